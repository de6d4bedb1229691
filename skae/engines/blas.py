"""One BLAS thread in the whole process while blocks run in threads.

The limit of a BLAS thread pool is global to the process, but fits may overlap:
two threads may each call ``fit``. If each of them set and restored the limit,
the first to end would lift it under the other, and the last might "restore" the
limit it found on entering. So the first to enter sets it, the last to leave
restores it, and in between everyone counts.

From 3.8 on, threadpoolctl lets only the first thread that set OpenBLAS's limit set
it again, and silently ignores the others, for as long as that thread lives. Here
any thread may be the first or the last, so both claim that right, and the last
gives it back.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController


class _BlasLimit:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._controller: Any = None
        self._limiter: Any = None
        self._active: Counter[int] = Counter()  # of entries, by thread
        self._allowed = 1

    @contextmanager
    def __call__(self) -> Iterator[int]:
        me = threading.get_ident()
        with self._lock:
            if not self._active:
                self._enter_first()
            self._active[me] += 1
            # Who enters again is at rest where it entered before.
            share = max(1, self._allowed // len(self._active))
        try:
            yield share
        finally:
            with self._lock:
                self._active[me] -= 1
                if not self._active[me]:
                    del self._active[me]
                if not self._active:
                    self._free_control()
                    self._limiter.restore_original_limits()
                    self._free_control()

    def _enter_first(self) -> None:
        if self._controller is None:
            # Finding the libraries takes about 20 ms, setting a limit 0.01 ms.
            self._controller = ThreadpoolController().select(user_api="blas")
        pools = self._controller.info()
        # A BLAS that cannot be limited keeps its own threads, and we use none.
        self._allowed = max((pool["num_threads"] for pool in pools), default=1)
        self._free_control()
        self._limiter = self._controller.limit(limits=1)

    def _free_control(self) -> None:
        for library in self._controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)


# Process-global, because what it guards is: see the module's docstring.
single_threaded_blas = _BlasLimit()
single_threaded_blas.__doc__ = """Limit BLAS to one thread; yields our own share.

The share is how many threads BLAS was allowed on entering (so a joblib worker,
where joblib has limited BLAS, gets what is the worker's), divided among the fits
that run at that moment.
"""
