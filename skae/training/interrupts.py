"""Ctrl-C while several starts are trained in threads or processes.

Only the main thread of a process gets the signal. ``TellsOthers`` catches it there, and
tells the others through a file, so that they end and keep what they have found.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self


class TellsOthers:
    """While it is entered, the first Ctrl-C raises nothing, but is told to others.

    Those are threads, which no signal meets, and processes, which meet one only where
    a terminal sends it to all of them. They look for a file that is there from the
    first Ctrl-C on. The second one raises, as ever.

    Signals meet the main thread alone: entered in another one this does nothing, nor
    where somebody else has a handler of their own.

    Attributes
    ----------
    pressed : int
        How often Ctrl-C has come.
    ask : callable
        ``ask() -> bool``: ``pressed``, for others; it may be pickled.
    """

    def __enter__(self) -> Self:
        self.pressed = 0
        self._folder = tempfile.TemporaryDirectory(
            prefix="skae-", ignore_cleanup_errors=True
        )
        self._file = os.path.join(self._folder.name, "interrupted")
        self.ask: Callable[[], bool] = partial(os.path.exists, self._file)
        self._default = signal.getsignal(signal.SIGINT)
        ours = threading.current_thread() is threading.main_thread()
        self._hears = ours and self._default is signal.default_int_handler
        if self._hears:
            signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._hears:
            signal.signal(signal.SIGINT, self._default)
        self._folder.cleanup()

    def _press(self, number: int, frame: Any) -> None:
        self.pressed += 1
        if self.pressed > 1:
            raise KeyboardInterrupt
        with suppress(OSError):
            open(self._file, "w").close()
