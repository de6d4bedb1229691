"""Clusters of this machine, and arrays cut into chunks, for the tests on dask."""

import logging
import multiprocessing
import os
import signal
from contextlib import contextmanager, suppress
from functools import cache

import numpy as np


@cache
def start_method():
    """How processes of workers start: forked, where they can be, of one made ready.

    It has imported what they need, which takes a worker that is spawned seconds.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return "spawn"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["distributed", "pandas", "skae", "skae.rows.dask"])
    first = context.Process()
    first.start()
    first.join()
    return "forkserver"


@contextmanager
def cluster(**options):
    """A client of two quiet workers; it is for the caller to make it the active one."""
    import dask
    from distributed import Client, LocalCluster

    dask.config.set({"distributed.worker.profile.enabled": False})
    if options.get("processes"):
        dask.config.set({"distributed.worker.multiprocessing-method": start_method()})
    settings = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "processes": False,
        "dashboard_address": ":0",
        "silence_logs": logging.CRITICAL,
        "memory_limit": 0,
    }
    workers = LocalCluster(**{**settings, **options})
    try:
        with Client(workers, set_as_default=False) as client:
            client.wait_for_workers(2)
            yield client
    finally:
        # On a busy machine a worker that was just killed or started may end later.
        with suppress(TimeoutError):
            workers.close()


def chunked(array, rows, columns=-1):
    """A dask array in chunks of these rows."""
    import dask.array as da

    if array is None:
        return None
    chunks = (rows, columns) if array.ndim == 2 else (rows,)
    return da.from_array(np.asarray(array), chunks=chunks)


def blocks_of(X, rows, weights=None, targets=None):
    """``Blocks`` of arrays of this process, in chunks of these rows."""
    from dask import delayed

    from skae.rows.dask import Blocks, prepare_block

    columns = [
        [None] * len(chunked(X, rows).chunks[0])
        if array is None
        else list(np.ravel(chunked(array, rows).to_delayed()))
        for array in (X, weights, targets)
    ]
    chunks = [
        delayed(prepare_block)(*parts, X.dtype, lambda targets: targets)
        for parts in zip(*columns, strict=True)
    ]
    return Blocks.compute(chunks, weights is not None)


class DiesOnce:
    """In place of a function of ``skae.engines.dask``: the first call kills its worker.

    As the system's guard of memory does it: nobody is told.
    """

    def __init__(self, name, marker):
        self.name, self.marker = name, marker

    def __call__(self, *args):
        from skae.engines import dask as engines

        try:
            self.marker.touch(exist_ok=False)
        except FileExistsError:
            return getattr(engines, self.name)(*args)
        os.kill(os.getpid(), signal.SIGKILL)


async def _leave_it():
    """What a nanny does to a lost worker that is to stay lost."""


class KillOnce:
    """Has one evaluation of engines kill a worker while it is computed.

    Parameters
    ----------
    at : int
        Which evaluation.
    during : str
        The function of ``skae.engines.dask`` that is computed.
    restart : bool
        Whether the worker's nanny starts another in its place.
    """

    def __init__(self, monkeypatch, directory, client, *, at, during, restart):
        from skae.engines import dask as engines

        if not restart:
            for nanny in client.cluster.workers.values():
                nanny.instantiate = _leave_it
        self.evaluations, self.marker = 0, directory / "killed"
        healthy = getattr(engines, during)
        evaluate = engines.DaskEngine._evaluate

        def counted(engine, theta):
            self.evaluations += 1
            deadly = self.evaluations == at
            function = DiesOnce(during, self.marker) if deadly else healthy
            setattr(engines, during, function)
            return evaluate(engine, theta)

        monkeypatch.setattr(engines, during, healthy)  # to have it back at the end
        monkeypatch.setattr(engines.DaskEngine, "_evaluate", counted)

    @property
    def killed(self):
        """Whether it has."""
        return self.marker.exists()
