"""Rows picked from a matrix: the right ones, and no copy of all of them."""

import mmap

import numpy as np
import pytest
import scipy.sparse

from skae.core.sparse_rows import SparseRows
from skae.rows import memory_map
from skae.rows.picked import PickedRows

N, D = 50, 6
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(N, D)) * (RNG.random((N, D)) < 0.4)
WEIGHTS = np.where(np.arange(N) % 3, RNG.uniform(0.5, 2, N), 0)
KINDS = [np.asarray, scipy.sparse.csr_array, scipy.sparse.csr_matrix]
BLOCKS = [slice(0, 7), slice(7, 21), slice(21, 1000)]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=["dense", "array", "matrix"])


def dense(rows):
    return rows.matrix.toarray() if isinstance(rows, SparseRows) else rows


def assert_rows(picked, index, weights):
    assert len(picked) == len(index)
    for block in BLOCKS:
        rows, w = picked.block(block)
        np.testing.assert_array_equal(dense(rows), X[index][block])
        assert len(rows) == len(dense(rows))
        if weights is None:
            assert w is None
        else:
            np.testing.assert_array_equal(w, weights[index][block])


@each_kind
def test_all_rows_are_shared(kind):
    rows = kind(X)
    picked = PickedRows.that_count(rows, None)
    assert_rows(picked, np.arange(N), None)
    for block in BLOCKS:
        part = picked.block(block)[0]
        if isinstance(part, SparseRows):
            assert np.shares_memory(part.matrix.data, rows.data)
            assert np.shares_memory(part.matrix.indices, rows.indices)
        else:
            assert np.shares_memory(part, X)


@each_kind
@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS + 1])
def test_batches_of_what_counts(kind, weights):
    picked = PickedRows.that_count(kind(X), weights)
    there = np.arange(N) if weights is None else np.flatnonzero(weights)
    assert_rows(picked, there, weights)
    positions = RNG.permutation(len(there))[:30]
    assert_rows(picked.pick(positions), there[positions], weights)
    assert picked.dtype == picked.pick(positions).dtype == X.dtype


@pytest.mark.skipif(not hasattr(mmap.mmap, "madvise"), reason="gives nothing back")
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_blocks_in_order_are_given_back(weights, tmp_path, monkeypatch):
    """Each with the rows of weight zero between its own, and no other."""
    given_back = []
    monkeypatch.setattr(memory_map, "LARGE", 0)
    monkeypatch.setattr(
        memory_map.Release, "__call__", lambda release, rows: given_back.append(rows)
    )
    X.tofile(tmp_path / "rows")
    mapped = np.memmap(tmp_path / "rows", X.dtype, "r", shape=X.shape)
    picked = PickedRows.that_count(mapped, weights)
    for block in BLOCKS:
        picked.release(block)
    there = np.arange(N) if weights is None else np.flatnonzero(weights)
    for rows, block in zip(given_back, BLOCKS, strict=True):
        where = there[block]
        np.testing.assert_array_equal(rows, X[where[0] : where[-1] + 1])
    # Those here and there span the map, and others may be at work on it.
    picked.pick(RNG.permutation(len(there))).release(BLOCKS[0])
    assert len(given_back) == len(BLOCKS)
