"""Rows held by their non-zeros, and the few things an objective asks of them.

The matrix itself is any sparse matrix of SciPy's, which the core never imports: it
takes part in products only.
"""

import copy
from typing import Any, Protocol

import numpy as np


class EntryNoise(Protocol):
    """Noise that multiplies entries, so that zeros stay zero."""

    def factors(
        self,
        rows: np.ndarray,
        columns: np.ndarray,
        shape: tuple[int, int],
        start: int,
        draw: int,
    ) -> np.ndarray:
        """What it multiplies the entries at these places of a block by."""


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

    def __init__(self, matrix: Any):
        self.matrix = matrix
        self.shape: tuple[int, int] = matrix.shape
        self._squared_norms: np.ndarray | None = None
        # The noise of the moment: itself, so that no other can have its identity,
        # with its start and draw, and the rows that it has left.
        self._latest: tuple[EntryNoise, tuple[int, int], SparseRows] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def times(self, B: np.ndarray) -> np.ndarray:
        """X B, (rows, k), for a C-contiguous B."""
        return self.matrix @ B

    def transposed_times(self, E: np.ndarray) -> np.ndarray:
        """Xᵀ E, (n_features, k)."""
        return self.matrix.T @ E

    def toarray(self, out: np.ndarray) -> np.ndarray:
        """Write the rows to ``out``, zeros included."""
        return self.matrix.toarray(out=out)

    @property
    def squared_norms(self) -> np.ndarray:
        """‖x_i‖² of each row, in float64."""
        if self._squared_norms is None:
            entries = self.matrix.tocoo()
            squares = np.square(entries.data, dtype=np.float64)
            self._squared_norms = np.bincount(entries.row, squares, len(self))
        return self._squared_norms

    def masked(self, noise: EntryNoise, start: int, draw: int) -> "SparseRows":
        """The rows with the entries zero that masking or dropout takes away.

        Noise takes as long as for dense rows, which is longer than a product with
        sparse ones; so the rows that the latest has left are kept.

        Parameters
        ----------
        noise : Noise or Dropout
            Of the two kinds that leave zeros zero: masking noise, or dropout.
        start, draw : int
            As in a call of the noise.
        """
        if self._latest is not None:
            latest, place, rows = self._latest
            if latest is noise and place == (start, draw):
                return rows
        entries = self.matrix.tocoo()
        factors = noise.factors(entries.row, entries.col, self.shape, start, draw)
        masked = copy.copy(self.matrix)  # shares the indices
        masked.data = np.multiply(masked.data, factors, dtype=masked.data.dtype)
        rows = SparseRows(masked)
        self._latest = noise, (start, draw), rows
        return rows
