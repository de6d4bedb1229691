"""Some rows of a matrix, handed out in blocks.

They are the rows that count, or the rows of a batch. Only the block that is needed is
gathered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from skae.core.sparse_rows import SparseRows
from skae.rows.memory_map import Release
from skae.rows.sparse import cut_sparse


class PickedRows:
    """Hands out blocks of rows of X, dense or CSR, and never copies them all.

    Blocks of consecutive rows share X. Others are gathered, each when it is taken.

    Parameters
    ----------
    X : ndarray or CSR array or matrix of shape (n_samples, n_features)
        Rows; only ever read.
    weights : ndarray of shape (n_samples,) or None
        Of the rows.
    index : ndarray of int of shape (n_picked,), optional
        The rows picked, by default all of them.
    """

    def __init__(
        self, X: Any, weights: np.ndarray | None, index: np.ndarray | None = None
    ) -> None:
        self.dtype = X.dtype
        self._X, self._weights, self._index = X, weights, index
        self._in_order = index is None
        self._release = Release(X)

    @classmethod
    def that_count(cls, X: Any, weights: np.ndarray | None) -> PickedRows:
        """Those of weight zero left out, as if they had never been there."""
        index = None
        if weights is not None and not weights.all():
            index = np.flatnonzero(weights)
        rows = cls(X, weights, index)
        rows._in_order = True
        return rows

    def pick(self, positions: np.ndarray) -> PickedRows:
        """Those at these positions among the rows picked here."""
        index = positions if self._index is None else self._index[positions]
        rows = PickedRows(self._X, self._weights, index)
        rows._release = self._release  # which counts what all of them have read
        return rows

    def __len__(self) -> int:
        return self._X.shape[0] if self._index is None else len(self._index)

    def block(self, rows: slice) -> tuple[Any, np.ndarray | None]:
        """The rows of a slice, an ndarray or ``SparseRows``, and their weights."""
        index, weights = self._index, self._weights
        if index is None:
            if issparse(self._X):
                X = cut_sparse(self._X, rows.start, rows.stop, False)
            else:
                X = self._X[rows]
            return X, None if weights is None else weights[rows]
        where = index[rows]
        weights = None if weights is None else weights[where]
        if issparse(self._X):
            return SparseRows(self._X[where]), weights
        out = np.empty((len(where), self._X.shape[1]), self.dtype)
        return self._release.take(where, out), weights

    def release(self, rows: slice) -> None:
        """Give back the memory of a block in order of X, if X is a large map."""
        if not self._in_order:
            return  # its rows are here and there: ``Release.take``
        if self._index is not None:
            where = self._index[rows]
            rows = slice(where[0], where[-1] + 1)
        self._release(self._X[rows])
