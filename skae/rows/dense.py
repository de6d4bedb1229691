"""Rows of an array or a memory map.

They are never copied as a whole. Blocks are views, or copies without the rows of weight
zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from skae.core.arrays import beside, take_rows
from skae.core.autoencoder import AutoencoderObjective
from skae.core.blocks import Block, Workspace
from skae.core.corruptions import Noise
from skae.core.layers import Layers
from skae.core.network import NetworkObjective
from skae.core.protocols import Objective
from skae.rows.data import LocalRows, Rows
from skae.rows.deviations import DenseDeviations
from skae.rows.errors import write_squared_errors
from skae.rows.memory_map import Release
from skae.rows.moments import Moments, dense_moments, dense_ranges
from skae.rows.protocols import Compute, Cost, RowMap, Write


class DenseRows(LocalRows):
    """Rows of an array, which is never copied.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        C-contiguous where objectives are evaluated on it; only ever read.
    """

    def __init__(self, X: np.ndarray) -> None:
        self.X, self.shape, self.dtype = X, X.shape, X.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return self.X.nbytes

    @property
    def given(self) -> np.ndarray:
        """The array."""
        return self.X

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.X[rows]

    def release(self) -> Release:
        """Gives back the memory of rows that have been read, if they are a map's."""
        return Release(self.X)

    def moments(self, weights: np.ndarray | None = None) -> Moments:
        """Weighted column means and variance, in float64."""
        return dense_moments(self.X, weights)

    def ranges(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Least and greatest of each column, (2, n_features), of rows that count."""
        return dense_ranges(self.X, weights)

    def autoencoder(self, *args: Any, **kwargs: Any) -> AutoencoderObjective:
        """The objective for such rows, from arguments of ``AutoencoderObjective``."""
        return AutoencoderObjective(*args, **kwargs)

    def network(
        self, *args: Any, reconstructs: bool, **kwargs: Any
    ) -> NetworkObjective:
        """The objective for such rows, from arguments of ``NetworkObjective``."""
        return NetworkObjective(*args, **kwargs)

    def mapped(
        self, compute: Compute, n_columns: int, weights: np.ndarray | None = None
    ) -> DenseRows:
        """Rows of ``compute(rows)``; zeros for rows of weight zero."""
        return computed_rows(self, compute, weights)

    def joined(self, other: Rows) -> LocalRows:
        """The rows of ``other`` after these; sparse if those are."""
        assert isinstance(other, LocalRows), "both are read alike"
        return other.after(self)

    def after(self, dense: LocalRows) -> LocalRows:
        """The rows of an array, and then these."""
        return DenseRows(np.concatenate([dense.given, self.X]))

    def in_blocks(
        self,
        objective: Objective[Any],
        weights: np.ndarray | None,
        targets: LocalRows | None,
        rows: int | None = None,
    ) -> RowsInBlocks:
        """Blocks of ``rows`` rows, by default as many as fit a cache."""

        def rows_of(n_samples: int) -> int:
            return rows or self.rows_of_block(n_samples, objective.numbers_per_row)

        y = None if targets is None else targets.given
        blocks = RowsInBlocks(self.X, weights, y, rows_of)
        blocks.nbytes = self.nbytes * blocks.n_samples // len(self)
        blocks.multiplications = blocks.n_samples * objective.multiplications_per_row
        return blocks

    def batches(self, n_rows: int) -> Callable[[np.ndarray], np.ndarray]:
        """What hands out rows here and there, each time in the same array."""
        buffer = np.empty((n_rows, self.X.shape[1]), self.dtype)
        release = self.release()
        return lambda index: release.take(index, buffer[: len(index)])

    def picked(self, index: np.ndarray) -> LocalRows:
        """A copy of some rows."""
        rows = np.empty((len(index), self.X.shape[1]), self.dtype)
        return DenseRows(self.release().take(index, rows))

    def deviations(
        self, weights: np.ndarray | None, moments: Moments
    ) -> DenseDeviations:
        """How these rows deviate from the mean of them."""
        return DenseDeviations(self.X, weights, moments)

    def layers(self, layers: RowMap) -> RowMap:
        """``layers`` themselves."""
        return layers

    def errors(self, encode: RowMap, decode: Layers) -> tuple[Write, Cost]:
        """What writes ‖x̂_i − x_i‖² of a slice of rows, and what a row of it costs."""
        return partial(write_squared_errors, encode, decode), encode

    def corrupted(self, noise: Noise) -> np.ndarray:
        """A corrupted copy."""
        out = np.empty_like(self.X)
        noise(self.X, start=0, draw=0, out=out)
        return out


def computed_rows(
    rows: LocalRows, compute: Compute, weights: np.ndarray | None
) -> DenseRows:
    """Rows of ``compute(rows)``; zeros for rows of weight zero."""
    array = compute(rows)
    if weights is not None:
        array[weights == 0] = 0  # such rows may have held anything
    return DenseRows(array)


class RowsInBlocks:
    """Hands out blocks of consecutive rows of X: a ``BlockSequence``.

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
    """

    nbytes: int
    multiplications: float

    def __init__(
        self,
        X: np.ndarray,
        weights: np.ndarray | None,
        targets: np.ndarray | None,
        rows_of: Callable[[int], int],
    ) -> None:
        self._X, self._weights, self._targets = X, weights, targets
        self._release = Release(X)
        self._kept = None  # or weights, where 0 marks what is left out
        there: Sequence[int] | np.ndarray = range(len(X))
        if weights is not None and not weights.all():
            self._kept, there = weights, np.flatnonzero(weights)
            if (weights[there] == 1).all():
                self._weights = None
        self.n_samples = len(there)
        self._length = rows_of(self.n_samples)
        self._bounds = [*there[:: self._length], len(X)]
        self.weight_sum = self._weight_sum()
        if self._weights is not None:
            self._weights = beside(self._weights, X)

    def _weight_sum(self) -> float:
        """Block by block, as a cluster must: so both come to the same bits."""
        if self._weights is None:
            return float(self.n_samples)
        parts = (self._weights[slice(*bounds)] for bounds in pairwise(self._bounds))
        return float(sum(part[part > 0].sum(dtype=np.float64) for part in parts))

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def length(self, index: int) -> int:
        """Rows of the block with this index."""
        return min(self._length, self.n_samples - index * self._length)

    def take(self, index: int, workspace: Workspace) -> Block:
        """The block with this index; ``workspace["gathered"]`` may hold its rows."""
        start, stop = self._bounds[index : index + 2]
        first = index * self._length
        X = self._X[start:stop]
        weights = None if self._weights is None else self._weights[start:stop]
        targets = None if self._targets is None else self._targets[start:stop]
        if self._kept is None:
            return Block(X, weights, first, targets)
        there = np.flatnonzero(self._kept[start:stop])
        rows = workspace["gathered", len(there)]
        there = beside(there, X)
        take_rows(X, there, out=rows)
        weights = None if weights is None else weights[there]
        return Block(rows, weights, first, None if targets is None else targets[there])

    def release(self, index: int) -> None:
        """Give back the memory of the block with this index, if X is a large map."""
        start, stop = self._bounds[index : index + 2]
        self._release(self._X[start:stop])
