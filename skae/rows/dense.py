"""Rows, their weights and targets, in blocks; rows of weight zero are left out."""

from itertools import pairwise

import numpy as np

from skae.core.blocks import Block
from skae.rows.memory_map import Release


class RowsInBlocks:
    """Hands out blocks of consecutive rows of X.

    They are views, unless some weights are zero: then a block is a copy of its rows
    with other weights, in a buffer, and is what it would be if the others had been
    taken from X. Copying costs 1 to 4 % of an evaluation, and evaluating rows only to
    multiply them by zero, as many as are held out by default, 8 to 13 % (10,000 rows,
    64-25 and 784-196).

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows; only ever read.
    weights : ndarray of shape (n_samples,) or None
        Of the rows, not all of them zero.
    targets : ndarray of shape (n_samples, n_outputs) or None
        Of the rows.
    rows_of : callable
        ``rows_of(n_samples)``: rows of a block, if there are that many rows.

    Attributes
    ----------
    n_samples : int
        Rows in all blocks.
    weight_sum : float
        Their weights' sum.
    """

    def __init__(self, X, weights, targets, rows_of):
        self._X, self._weights, self._targets = X, weights, targets
        self._release = Release(X)
        some = weights is not None and not weights.all()
        n = X.shape[0]
        there = np.flatnonzero(weights) if some else range(n)
        self.n_samples = len(there)
        self._kept = weights if some else None  # 0 marks what is left out
        if some and (weights[there] == 1).all():
            self._weights = None
        self._length = rows_of(self.n_samples)
        self._bounds = [*there[:: self._length], n]
        self.weight_sum = self._weight_sum()

    def _weight_sum(self):
        """Block by block, as a cluster must: so both come to the same bits."""
        if self._weights is None:
            return float(self.n_samples)
        parts = (self._weights[slice(*bounds)] for bounds in pairwise(self._bounds))
        return float(sum(part[part > 0].sum(dtype=np.float64) for part in parts))

    def __len__(self):
        return len(self._bounds) - 1

    def length(self, index):
        """Rows of the block with this index."""
        return min(self._length, self.n_samples - index * self._length)

    def take(self, index, workspace):
        """The block with this index; ``workspace["gathered"]`` may hold its rows."""
        start, stop = self._bounds[index : index + 2]
        X = self._X[start:stop]
        if self._kept is None:
            there = slice(None)
        else:
            there = np.flatnonzero(self._kept[start:stop])
            rows = workspace["gathered", len(there)]
            # mode="clip" writes to out directly; the indices are always valid.
            X = np.take(X, there, axis=0, out=rows, mode="clip")

        def part(array):
            return None if array is None else array[start:stop][there]

        first = index * self._length
        return Block(X, part(self._weights), first, part(self._targets))

    def release(self, index):
        """Give back the memory of the block with this index, if X is a large map."""
        start, stop = self._bounds[index : index + 2]
        self._release(self._X[start:stop])
