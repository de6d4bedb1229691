"""Blocks of rows: each row once, results in order, nothing left running."""

import threading
import time
from typing import NamedTuple

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skae.engines.row_map import RowEngine, fill, row_blocks


@pytest.mark.parametrize("n_components", [1, 121, 5000])
@pytest.mark.parametrize("n_samples", [1, 2, 500, 1000, 20_001])
def test_blocks_hold_each_row_once(n_samples, n_components):
    blocks = row_blocks(n_samples, n_components)
    rows = np.concatenate([np.arange(n_samples)[block] for block in blocks])
    np.testing.assert_array_equal(rows, np.arange(n_samples))
    lengths = [len(np.arange(n_samples)[block]) for block in blocks]
    assert min(lengths) > 0 and max(lengths) <= 2048


@pytest.mark.parametrize("threads", [1, 2])
def test_results_come_in_order(threads):
    before = threadpool_info()

    def compute(index):
        time.sleep(0.002 * (10 - index))
        blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        assert blas and all(pool["num_threads"] == 1 for pool in blas)
        return index

    with threadpool_limits(threads, user_api="blas"):
        with RowEngine() as engine:
            assert list(engine.map(compute, list(range(10)))) == list(range(10))
    assert threadpool_info() == before


@pytest.mark.usefixtures("two_blas_threads")
def test_an_error_ends_everything():
    before = threadpool_info()

    def compute(index):
        if index == 3:
            raise RuntimeError("in a block")
        return index

    with pytest.raises(RuntimeError, match="in a block"):
        with RowEngine() as engine:
            list(engine.map(compute, list(range(50))))
    assert threadpool_info() == before
    assert not [t for t in threading.enumerate() if t.name.startswith("skae-rows")]


class Cost(NamedTuple):
    numbers_per_row: int = 5000
    multiplications_per_row: float = 1e6


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [1, 300, 1001])
def test_fill_writes_every_row_once(threads, n):
    X = np.random.default_rng(0).standard_normal((n, 3))
    out, written = np.full(n, np.nan), np.zeros(n, int)

    def compute(x, y):
        np.sum(x, axis=1, out=y)
        first = y.__array_interface__["data"][0] - out.__array_interface__["data"][0]
        written[first // 8 : first // 8 + len(y)] += 1

    with threadpool_limits(threads, user_api="blas"):
        assert fill(out, compute, X, Cost()) is out
    np.testing.assert_array_equal(out, X.sum(axis=1))
    np.testing.assert_array_equal(written, 1)


@pytest.mark.parametrize(("work", "several"), [(1e6, True), (1e3, False)])
def test_fill_uses_threads_where_there_is_work(work, several):
    names = set()

    def compute(x, y):
        names.add(threading.current_thread().name)
        time.sleep(0.01)  # so that nobody does it all

    with threadpool_limits(2, user_api="blas"):
        fill(np.empty(1000), compute, np.empty((1000, 1)), Cost(5000, work))
    assert (len(names) == 2) == several


def test_floating_point_errors_are_as_the_caller_wants_them():
    def compute(x, y):
        np.exp(x[:, 0], out=y)

    X = np.full((1000, 1), 1e9)
    with threadpool_limits(2, user_api="blas"):
        with np.errstate(over="ignore"):
            assert np.isinf(fill(np.empty(1000), compute, X, Cost())).all()
        with np.errstate(over="raise"), pytest.raises(FloatingPointError):
            fill(np.empty(1000), compute, X, Cost())
