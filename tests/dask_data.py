"""Clusters of this machine, and arrays cut into chunks, for the tests on dask."""

import logging
import os
import signal
from contextlib import contextmanager, suppress

import numpy as np


@contextmanager
def cluster(**options):
    """A client of two quiet workers; it is for the caller to make it the active one."""
    from distributed import Client, LocalCluster

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

    from skae.engines.dask_rows import Blocks, prepare_block

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


def kill_a_worker(client, restart):
    """Kill the process of one, as the system's guard of memory would."""
    nanny = next(iter(client.cluster.workers.values()))
    nanny.auto_restart = restart
    os.kill(nanny.pid, signal.SIGKILL)


class KillOnce:
    """Kills a worker when the tasks of an evaluation are under way."""

    def __init__(self, monkeypatch, client, restart, at):
        from skae.engines.dask import DaskEngine

        self.calls, each_block = 0, DaskEngine._each_block

        def killing(engine, *args):
            tasks = each_block(engine, *args)
            self.calls += 1
            if self.calls == at:
                kill_a_worker(client, restart)
            return tasks

        monkeypatch.setattr(DaskEngine, "_each_block", killing)
