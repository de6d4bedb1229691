"""Blocks of rows: each row once, results in order, nothing left running."""

import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skae.engines.rows import RowEngine, row_blocks


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
