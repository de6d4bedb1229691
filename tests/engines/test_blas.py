"""The limit on BLAS: lifted whatever interrupts, and left behind by a fork."""

import linecache
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skae.engines import blas, row_map
from skae.engines.blas import single_threaded_blas
from skae.engines.row_map import RowEngine


def blas_threads():
    return [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        yield
        assert blas_threads() == before


class Presses:
    """Ctrl-C at the n-th line of what the limit does; counts the lines.

    Between a ``with`` and its body, and between the body and the release of the lock,
    Python looks for no signals: only tracing could interrupt there.
    """

    def __init__(self, at):
        self.at, self.lines = at, 0

    def __call__(self, frame, event, _):
        code = frame.f_code
        if code.co_filename != blas.__file__ or "_BlasLimit" not in code.co_qualname:
            return None
        line = linecache.getline(code.co_filename, frame.f_lineno).strip()
        if event == "line" and not line.startswith("with "):
            self.lines += 1
            if self.lines == self.at:
                raise KeyboardInterrupt
        return self


def enter_and_leave(presses):
    tracing = sys.gettrace()
    sys.settrace(presses)
    try:
        with single_threaded_blas():
            assert set(blas_threads()) == {1}
    finally:
        sys.settrace(tracing)


def test_ctrl_c_at_any_line_lifts_the_limit():
    before = blas_threads()
    enter_and_leave(Presses(at=None))  # which looks for the libraries
    counted = Presses(at=None)
    enter_and_leave(counted)
    assert counted.lines > 20
    for at in range(1, counted.lines + 1):
        with pytest.raises(KeyboardInterrupt):
            enter_and_leave(Presses(at))
        assert blas_threads() == before, at
        assert not single_threaded_blas._active


def test_ctrl_c_while_threads_are_waited_for_lifts_the_limit(monkeypatch):
    class Impatient(ThreadPoolExecutor):
        def shutdown(self, **how):
            super().shutdown(**how)
            raise KeyboardInterrupt  # the second one

    monkeypatch.setattr(row_map, "ThreadPoolExecutor", Impatient)
    before = blas_threads()
    with pytest.raises(KeyboardInterrupt):
        with RowEngine():
            raise KeyboardInterrupt
    assert blas_threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_takes_neither_entries_nor_the_limit_along():
    entered, leave = threading.Event(), threading.Event()

    def enter():
        with single_threaded_blas():
            entered.set()
            leave.wait()

    before = blas_threads()
    thread = threading.Thread(target=enter)
    thread.start()
    entered.wait()
    child = os.fork()
    if child == 0:
        fine = blas_threads() == before
        with single_threaded_blas() as share:
            fine &= share == 2 and set(blas_threads()) == {1}
        os._exit(0 if fine and blas_threads() == before else 1)
    status = os.waitpid(child, 0)[1]
    assert set(blas_threads()) == {1}  # here a thread still has it
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_no_fork_while_the_lock_is_held():
    """Of ten children, born while threads enter and leave, none hangs."""
    stop = threading.Event()

    def enter_and_leave():
        while not stop.is_set():
            with single_threaded_blas():
                np.ones(3)

    threads = [threading.Thread(target=enter_and_leave) for _ in range(3)]
    for thread in threads:
        thread.start()
    exits = []
    for _ in range(10):
        child = os.fork()
        if child == 0:
            free = single_threaded_blas._lock.acquire(timeout=10)
            os._exit(0 if free and not single_threaded_blas._active else 1)
        exits.append(os.waitpid(child, 0)[1])
    stop.set()
    for thread in threads:
        thread.join()
    assert exits == [0] * 10
