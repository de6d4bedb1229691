"""Limits BLAS to one thread in the whole process while blocks run in threads.

The number of threads of BLAS is a setting of the process, but fits may overlap: two
threads may each call ``fit``. If each fit set and restored the limit on its own, the
first one to end would lift it for the other, and the last one could restore a wrong
number. So entries are counted: the first one sets the limit, and the last one to leave
restores the number of threads.

* Ctrl-C may arrive at any moment, also twice. Entries have names, so that leaving twice
  does no harm, the original number of threads is noted before the limit is set, and
  setting and restoring are repeated until nothing interrupts them.
* A fork copies entries of threads that do not exist in the child, and perhaps a lock
  that is held. So no fork can happen while the lock is held, and the child starts
  without entries and without the limit.
* From version 3.8 on, threadpoolctl lets only the thread that first set OpenBLAS's
  limit set it again, as long as this thread lives, and ignores others silently. Here
  any thread may be first or last, so both claim this right, and the last one gives it
  back.
"""

import os
import threading
from collections.abc import Callable
from typing import Any

from threadpoolctl import ThreadpoolController


class _BlasLimit:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._controller: Any = None
        self._active: dict[_Entry, int] = {}  # the thread of each
        self._before: list[int] | None = None  # threads of each BLAS; None: no limit
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=lambda: self._lock.acquire(),
                after_in_parent=lambda: self._lock.release(),
                after_in_child=self._begin_anew,
            )

    def __call__(self) -> "_Entry":
        return _Entry(self)

    def enter(self, entry: "_Entry") -> int:
        """Count an entry; returns its share of the threads."""
        with self._lock:
            self._active[entry] = threading.get_ident()
            self._settle()
            # Who enters again is at rest where it entered before.
            others = len(set(self._active.values()))
            return max(1, max(self._before or [1]) // others)

    def leave(self, entry: "_Entry") -> None:
        """Count it no longer; as often as one likes."""
        with self._lock:
            self._active.pop(entry, None)
            self._settle()

    def _settle(self) -> None:
        """Set or lift the limit, if that is due; as often as one likes."""
        if self._active and self._before is None:
            if self._controller is None:
                # Finding the libraries takes 20 ms, setting a limit 0.01 ms.
                self._controller = ThreadpoolController().select(user_api="blas")
            # A BLAS that cannot be limited keeps its own threads, and we use none.
            pools = self._controller.lib_controllers
            self._before = [pool.get_num_threads() or 1 for pool in pools]
        if self._before is None:
            return
        limited = bool(self._active)
        self._set([1] * len(self._before) if limited else self._before)
        if not limited:
            self._before = None

    def _set(self, threads: list[int]) -> None:
        self._free_control()
        pools = self._controller.lib_controllers
        for pool, n_threads in zip(pools, threads, strict=True):
            pool.set_num_threads(n_threads)
        if not self._active:
            self._free_control()

    def _free_control(self) -> None:
        for library in self._controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._active.clear()
        self._settle()


class _Entry:
    """A context manager that is left for certain, whatever interrupts it."""

    def __init__(self, limit: _BlasLimit) -> None:
        self._limit = limit

    def __enter__(self) -> int:
        try:
            return self._limit.enter(self)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exception: Any) -> None:
        uninterrupted(lambda: self._limit.leave(self))


def uninterrupted(action: Callable[[], Any]) -> None:
    """Do it, again if Ctrl-C interrupts it, which is raised in the end."""
    interrupt = None
    while True:
        try:
            action()
            break
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt


# Process-global, because what it guards is: see the module's docstring.
single_threaded_blas = _BlasLimit()
single_threaded_blas.__doc__ = """Limit BLAS to one thread; yields our own share.

The share is how many threads BLAS was allowed on entering (so a joblib worker,
where joblib has limited BLAS, gets what is the worker's), divided among the fits
that run at that moment.
"""
