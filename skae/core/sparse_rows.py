"""Rows held by their non-zeros, and the few things an objective asks of them.

The matrix itself is any sparse matrix of SciPy's, which the core never imports: it
takes part in products only.
"""

import copy

import numpy as np


class SparseRows:
    """Consecutive rows of the data, (rows, n_features), without duplicate entries.

    Parameters
    ----------
    matrix : sparse array or matrix
        In row or in column order; only ever read. Where it is much wider than a
        cache, products are several times faster in column order: then
        they walk once along the dense factor, and jump about in as little as there
        are rows.
    """

    def __init__(self, matrix):
        self.matrix, self.shape = matrix, matrix.shape
        self._squared_norms = None
        self._masked = None  # (draw, rows): the noise of the moment

    def __len__(self):
        return self.shape[0]

    def times(self, B):
        """X B, (rows, k), for a C-contiguous B."""
        return self.matrix @ B

    def transposed_times(self, E):
        """Xᵀ E, (n_features, k)."""
        return self.matrix.T @ E

    def toarray(self, out):
        """Write the rows to ``out``, zeros included."""
        return self.matrix.toarray(out=out)

    @property
    def squared_norms(self):
        """‖x_i‖² of each row, in float64."""
        if self._squared_norms is None:
            entries = self.matrix.tocoo()
            squares = np.square(entries.data, dtype=np.float64)
            self._squared_norms = np.bincount(entries.row, squares, len(self))
        return self._squared_norms

    def masked(self, noise, start, draw):
        """The rows with the entries zero that masking or dropout takes away.

        Noise takes as long as for dense rows, which is longer than a product with
        sparse ones; so the rows of the latest draw are kept.

        Parameters
        ----------
        noise : Noise or Dropout
            Of the two kinds that leave zeros zero: masking noise, or dropout.
        start, draw : int
            As in a call of the noise.
        """
        if self._masked is None or self._masked[0] != draw:
            entries = self.matrix.tocoo()
            factors = noise.factors(entries.row, entries.col, self.shape, start, draw)
            masked = copy.copy(self.matrix)  # shares the indices
            masked.data = np.multiply(masked.data, factors, dtype=masked.data.dtype)
            self._masked = draw, SparseRows(masked)
        return self._masked[1]
