"""Runs tasks by the active ``distributed`` client or dask's local scheduler.

A runner plans tasks, has them computed, and fetches results. It knows nothing about
rows and objectives. A task is either planned (a delayed object), or the handle of a
result that is held where it was computed: a future of the client or, with the local
scheduler, a delayed object again. All planned tasks are sent to the scheduler as one
graph, with the first call that needs one of them, because a message costs milliseconds,
and another task in the same message much less.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any

import numpy as np

from skae._version import __version__
from skae._warnings import warn

Task = Any  # see above; dask has no types
Place = str | None  # name of a worker; None if it is unknown, or any will do

_SECONDS_BETWEEN_LOOKS = 5.0
_SECONDS_WITHOUT_WORKERS = 60.0
# Beyond this dask asks not to send a value inside a graph, from where a lost copy
# could be made again, but to scatter it.
_BYTES_IN_A_GRAPH = 8_000_000
# To so many workers the scheduler sends what a graph brings. Where there are more, they
# hand it on to each other, which takes longer and spares the scheduler.
_SENT_BY_SCHEDULER = 4


class LostError(Exception):
    """A value was lost together with its worker; what needed it may be repeated."""


def runner() -> Runner:
    """The runner of the moment: the active client's, if there is one."""
    distributed = sys.modules.get("distributed")
    if distributed is not None:
        try:
            return ClientRunner(distributed.get_client())
        except ValueError:
            pass  # which says that there is none
    warn(
        "No dask.distributed client is active, so dask's local scheduler computes the "
        "blocks, in this process; create a distributed.Client to use a cluster."
    )
    return LocalRunner()


def _same(value: Any) -> Any:
    return value


def _where(worker: Place) -> dict[str, Any]:
    """Options by which dask prefers a worker, but does without."""
    return {"workers": [worker], "allow_other_workers": True} if worker else {}


class Runner(ABC):
    """Plans tasks, has them computed, and fetches results."""

    @property
    @abstractmethod
    def memory(self) -> float:
        """Bytes that those who compute may hold together; infinity: no limit known."""

    @abstractmethod
    def start(self, tasks: Iterable[Task]) -> list[Task]:
        """Have tasks computed and held."""

    @abstractmethod
    def spread(self, tasks: Sequence[Task], sources: Sequence[Any]) -> list[Task]:
        """``start``, but tasks that follow each other on one worker if all may move.

        ``sources`` are the collections that tasks compute.
        """

    @abstractmethod
    def gather(self, tasks: Sequence[Task], needs: Sequence[Task] = ()) -> list[Any]:
        """The results of tasks; ``needs`` are those that nothing can stand in for."""

    @abstractmethod
    def places(self, tasks: Sequence[Task]) -> list[Place]:
        """Names of the workers that hold tasks."""

    def map(
        self,
        function: Callable[..., Any],
        *columns: Sequence[Any],
        places: Sequence[Place] | None = None,
    ) -> list[Task]:
        """Tasks of ``function`` on the entries of lists of equal length.

        ``places`` are the workers that had best compute them, None where any may.
        Otherwise dask weighs its guesses of times, and may move rows to where the
        parameters are.
        """
        from dask import annotate, delayed

        plan = delayed(function, pure=False)
        tasks = []
        places = places or [None] * len(columns[0])
        for place, *row in zip(places, *columns, strict=True):
            with annotate(**_where(place)):
                tasks.append(plan(*row))
        return tasks

    def bring(self, value: np.ndarray, places: Sequence[Place]) -> list[Task]:
        """For each place a task whose result is ``value``; it leaves here once."""
        distinct = list(set(places))
        if len(distinct) > _SENT_BY_SCHEDULER:
            return self.map(_same, [value]) * len(places)
        copies = self.map(_same, [value] * len(distinct), places=distinct)
        copy_at = dict(zip(distinct, copies, strict=True))
        return [copy_at[place] for place in places]

    def send(self, value: Any) -> Task:
        """A task that holds ``value``, which leaves this process once."""
        return self.start(self.map(_same, [value]))[0]


class ClientRunner(Runner):
    """Tasks of a ``distributed.Client``."""

    def __init__(self, client: Any) -> None:
        if client.asynchronous:
            raise ValueError(
                "The active dask client is asynchronous, but fit and score wait for "
                "their results; use Client(..., asynchronous=False)."
            )
        self.client = client
        _check_versions(client)

    def bring(self, value: np.ndarray, places: Sequence[Place]) -> list[Task]:
        """For each place a task whose result is ``value``; it leaves here once."""
        if value.nbytes <= _BYTES_IN_A_GRAPH:
            return super().bring(value, places)
        with _errors_in_words(self):
            # With its hash for a name, dask may drop the copy of the last evaluation
            # and this one with it.
            return [self.client.scatter(value, hash=False)] * len(places)

    def start(self, tasks: Iterable[Task]) -> list[Task]:
        """Have tasks computed and held."""
        with _errors_in_words(self):
            return self.client.compute(list(tasks))

    def spread(self, tasks: Sequence[Task], sources: Sequence[Any]) -> list[Task]:
        """``start``, but tasks that follow each other on one worker if all may move.

        dask itself deals out what is ready to whoever is free.
        """
        threads = self.client.nthreads()
        if not threads or not _may_move(tasks, sources):
            return self.start(tasks)
        ends = np.cumsum(list(threads.values())) * len(tasks) // sum(threads.values())
        started: list[Task] = []
        with _errors_in_words(self):
            for worker, end in zip(threads, ends, strict=True):
                own = tasks[len(started) : end]
                started += self.client.compute(own, **_where(worker))
        return started

    def gather(self, tasks: Sequence[Task], needs: Sequence[Task] = ()) -> list[Any]:
        """The results of tasks; ``needs`` are those that nothing can stand in for."""
        with _errors_in_words(self, needs):
            tasks = self.client.compute(tasks)
            self._wait(tasks)
            return self.client.gather(tasks)

    def places(self, tasks: Sequence[Task]) -> list[Place]:
        """Names of the workers that hold tasks."""
        with _errors_in_words(self, tasks):
            self._wait(tasks)
            found = self.client.who_has(tasks)
        return [min(found.get(task.key) or (None,)) for task in tasks]

    def _wait(self, tasks: Sequence[Task]) -> None:
        """Wait, unless there is nobody left to wait for."""
        from distributed import wait

        idle = 0.0
        while True:
            try:
                wait(tasks, timeout=_SECONDS_BETWEEN_LOOKS)
                return
            except TimeoutError:
                there = self.client.status == "running" and self.client.nthreads()
                idle = 0.0 if there else idle + _SECONDS_BETWEEN_LOOKS
                if idle >= _SECONDS_WITHOUT_WORKERS:
                    raise RuntimeError(
                        "The dask cluster has had no workers for "
                        f"{_SECONDS_WITHOUT_WORKERS:g} s; start workers and call fit "
                        "again."
                    ) from None

    @property
    def memory(self) -> float:
        """Bytes that the workers may hold together, infinity where not limited."""
        try:
            info = self.client.scheduler_info(n_workers=-1)
        except TypeError:  # before 2025 it always tells of all workers
            info = self.client.scheduler_info()
        limits = [worker["memory_limit"] for worker in info["workers"].values()]
        return sum(limits) if limits and all(limits) else np.inf


def _may_move(tasks: Sequence[Task], sources: Sequence[Any]) -> bool:
    """Whether nothing has its place, by its user's wish or as a result that is held.

    Nor may tasks share what they need: each worker would make its own.
    """
    from dask.highlevelgraph import HighLevelGraph
    from distributed import futures_of

    graph = HighLevelGraph.merge(*(task.__dask_graph__() for task in tasks))
    if futures_of(sources) or any(part.annotations for part in graph.layers.values()):
        return False
    needed = [key for keys in graph.get_all_dependencies().values() for key in keys]
    return len(needed) == len(set(needed))


class _errors_in_words:
    """Turns dask's errors about workers and clients into what to do about them."""

    def __init__(self, run: ClientRunner, needs: Sequence[Task] = ()) -> None:
        self._run, self._needs = run, needs

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None or not issubclass(kind, Exception):
            return
        from distributed import KilledWorker

        if issubclass(kind, KilledWorker):
            raise RuntimeError(
                "Workers of the dask cluster died repeatedly while computing one "
                f"block ({error}). Most often they run out of memory: use smaller "
                "chunks of rows, or workers with more memory."
            ) from error
        if self._run.client.status != "running":
            raise RuntimeError(
                "The dask client was closed, or lost its scheduler, while computing "
                f"(its status is {self._run.client.status!r}); create a new Client "
                "and call fit again."
            ) from error
        if not issubclass(kind, CancelledError):
            return
        # What is lost only is being made again.
        if any(task.status == "cancelled" for task in self._needs):
            raise RuntimeError(
                "Blocks of the data were cancelled, or were lost with a worker and "
                "cannot be computed again because they were scattered; pass "
                "data that dask can compute again, and call fit again."
            ) from error
        raise LostError from error


def _check_versions(client: Any) -> None:
    """Refuse workers that would compute with another skae, NumPy or Python."""

    # Inside another function it travels as code, to where there may be no skae. dask
    # itself knows the versions of what is installed, which a checkout may not be.
    def own_version() -> str | None:
        try:
            from skae._version import __version__
        except ImportError:
            return None
        return __version__

    found, versions_of_skae = client.get_versions(), client.run(own_version)
    mine = {**_main_versions(found["client"]), "skae": __version__}
    for address, report in found["workers"].items():
        skae = versions_of_skae.get(address, mine["skae"])
        theirs = {**_main_versions(report), "skae": skae}
        if theirs != mine:
            raise RuntimeError(
                f"The dask worker {address} has {theirs}, but this process has {mine}; "
                "install the same versions on all machines, as by pip install "
                '".[dask]" in a clone of skae at the same commit.'
            )


def _main_versions(report: dict[str, Any]) -> dict[str, str]:
    """Python and NumPy as far as they make a difference: 3.11, not 3.11.7."""
    packages = report["packages"]
    versions = {name: str(packages.get(name)) for name in ("python", "numpy")}
    return {name: ".".join(v.split(".")[:2]) for name, v in versions.items()}


class LocalRunner(Runner):
    """Tasks of dask's local scheduler, by default threads of this process."""

    memory = np.inf

    def start(self, tasks: Iterable[Task]) -> list[Task]:
        """Have tasks computed and held in memory."""
        import dask

        return list(dask.persist(*tasks))

    def spread(self, tasks: Sequence[Task], sources: Sequence[Any]) -> list[Task]:
        """All are here."""
        return self.start(tasks)

    def gather(self, tasks: Sequence[Task], needs: Sequence[Task] = ()) -> list[Any]:
        """The results of tasks."""
        import dask

        return list(dask.compute(*tasks))

    def places(self, tasks: Sequence[Task]) -> list[Place]:
        """All are here."""
        return [None] * len(tasks)
