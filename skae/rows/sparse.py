"""Sparse rows, cut into blocks that share them or hold them by column."""

import numpy as np
import scipy.sparse

from skae.core.blocks import Block
from skae.core.sparse_rows import SparseRows

# Codes of a block: few enough for products by column to jump about in a cache.
_CODES = 2**19
# A product by column walks along all columns, so each is to have some entries.
_ENTRIES_PER_COLUMN = 8
# A multiplication of a sparse product against one of a dense product, in time.
_DEARER = 8


def sparse_block_rows(X, objective):
    """Most rows of a block, a function of the data alone."""
    n_samples, n_features = X.shape
    in_cache = _CODES // max(objective.product_columns)
    entries_per_row = max(1, X.nnz / n_samples)
    enough = _ENTRIES_PER_COLUMN * n_features / entries_per_row
    return int(max(1, in_cache, enough))


def sparse_multiplications(X, objective):
    """Of an evaluation's products, as many as take the time of dense ones."""
    dense = X.shape[0] * objective.dense_multiplications_per_row
    return _DEARER * X.nnz * sum(objective.product_columns) + dense


def stored_bytes(X):
    """Bytes of an array, or of a sparse matrix's entries and their places."""
    if scipy.sparse.issparse(X):
        return X.data.nbytes + X.indices.nbytes
    return X.nbytes


def cut_sparse(X, start, stop, by_column):
    """Rows start … stop − 1 of a matrix in row order, as ``SparseRows``.

    In row order they share the entries of X; in column order they are a copy, as
    large as the entries are: it makes products two to six times faster where
    X has 50,000 columns.
    """
    stop = min(stop, X.shape[0])
    first, last = X.indptr[start], X.indptr[stop]
    rows = type(X)((stop - start, X.shape[1]), dtype=X.dtype)
    # A slice would copy, and so would the constructor.
    rows.data, rows.indices = X.data[first:last], X.indices[first:last]
    rows.indptr = X.indptr[start : stop + 1] - first
    return SparseRows(rows.tocsc() if by_column else rows)


def without_zero_weights(X, weights, targets):
    """The rows of a CSR matrix that count, their weights and their targets."""
    if weights is None or weights.all():
        return X, weights, targets
    there = np.flatnonzero(weights)
    X, weights = X[there], weights[there]
    targets = None if targets is None else targets[there]
    return X, None if (weights == 1).all() else weights, targets


class SparseRowsInBlocks:
    """``RowsInBlocks`` of a CSR matrix: cut once, and kept.

    Parameters and attributes are those of ``RowsInBlocks``, but for weights of zero,
    which must be gone (see ``without_zero_weights``), and

    Parameters
    ----------
    by_column : bool
        The order in which a block is stored.
    """

    def __init__(self, X, weights, targets, rows_of, by_column):
        self.n_samples = n = X.shape[0]
        self.weight_sum = float(n)
        if weights is not None:
            self.weight_sum = float(weights.sum(dtype=np.float64))
        self._length = rows_of(n)

        def block(start):
            rows = slice(start, start + self._length)
            return Block(
                cut_sparse(X, start, start + self._length, by_column),
                None if weights is None else weights[rows],
                start,
                None if targets is None else targets[rows],
            )

        self._blocks = [block(start) for start in range(0, n, self._length)]

    def __len__(self):
        return len(self._blocks)

    def length(self, index):
        """Rows of the block with this index."""
        return len(self._blocks[index].X)

    def take(self, index, workspace):
        """The block with this index."""
        return self._blocks[index]

    def release(self, index):
        """Nothing: it is kept, with what it keeps between evaluations."""
