"""Rows with missing entries: NaN in an array, a memory map or a CSR matrix.

The NaN stay in the rows. For the encoder, a block at a time is filled with one value
for each column. Losses use only the entries that were observed.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np

from skae.core.blocks import Block, Workspace
from skae.core.corruptions import Noise
from skae.core.incomplete import (
    IncompleteAutoencoder,
    IncompleteNetwork,
    as_bits,
    filled,
    write_observed,
)
from skae.core.layers import Layers
from skae.core.protocols import Objective
from skae.rows.data import LocalRows, Rows
from skae.rows.dense import DenseRows, RowsInBlocks
from skae.rows.errors import Map, write_squares
from skae.rows.memory_map import blocks_of, is_large_map
from skae.rows.moments import Moments, Part, incomplete_moments
from skae.rows.protocols import Cost, RowMap, Write
from skae.rows.sparse import CsrRows

# Of a CSR matrix that is written out, entries at a time.
_ENTRIES_AT_A_TIME = 2**18


def incomplete(X: Any, fill: np.ndarray | None = None) -> LocalRows:
    """Rows of an array or a CSR matrix with missing entries."""
    kind = IncompleteRows if isinstance(X, np.ndarray) else IncompleteCsrRows
    return kind(X, fill)


class _Incomplete(LocalRows):
    """What both kinds do alike; before their other base among a class's bases."""

    X: Any
    fill: np.ndarray  # (n_features,), what stands where an entry is missing

    def _parts(self) -> Iterator[Part]:
        """All rows as arrays with NaN, a few at a time."""
        raise NotImplementedError

    def filled_by(self, mean: np.ndarray) -> Self:
        """The same rows, with ``mean``, (n_features,), in place of missing entries."""
        if mean is None:
            raise ValueError(
                "Input X contains NaN, but this estimator was fitted by a version that "
                "took none; fit it again."
            )
        rows = copy(self)
        rows.fill = mean.astype(self.dtype)
        return rows

    def moments(self, weights: np.ndarray | None = None) -> Moments:
        """Weighted column means and variance of what was observed, in float64."""
        return incomplete_moments(len(self), weights, self._parts)

    def ranges(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Least and greatest observed of each column, (2, n_features)."""
        low = np.full(self.shape[1], np.inf, self.dtype)
        high = -low
        for b, X in self._parts():
            there = ~np.isnan(X)
            if weights is not None:
                there &= weights[b, np.newaxis] > 0
            low = np.minimum(low, X.min(axis=0, where=there, initial=np.inf))
            high = np.maximum(high, X.max(axis=0, where=there, initial=-np.inf))
        # Of a column without an entry, what stands in for them.
        return np.where(low <= high, np.stack([low, high]), self.fill)

    def autoencoder(self, *args: Any, **kwargs: Any) -> Any:
        """The objective for such rows, from arguments of ``AutoencoderObjective``."""
        return IncompleteAutoencoder(*args, fill=self.fill, **kwargs)

    def network(self, *args: Any, reconstructs: bool, **kwargs: Any) -> Any:
        """The objective for such rows, from arguments of ``NetworkObjective``."""
        return IncompleteNetwork(*args, fill=self.fill, **kwargs)

    def joined(self, other: Rows) -> LocalRows:
        """The rows of ``other`` after these."""
        both = super().joined(other)  # type: ignore[safe-super]
        return incomplete(both.given, self.fill)

    def after(self, dense: LocalRows) -> LocalRows:
        """The rows of an array, and then these."""
        both = super().after(dense)  # type: ignore[safe-super]
        return incomplete(both.given, self.fill)

    def picked(self, index: np.ndarray) -> LocalRows:
        """A copy of some rows."""
        some = super().picked(index)  # type: ignore[safe-super]
        return incomplete(some.given, self.fill)

    def layers(self, layers: RowMap) -> RowMap:
        """``layers`` for slices of these rows, which are filled."""
        inner = super().layers(layers)  # type: ignore[safe-super]
        return _Filling(inner, self.fill)

    def errors(self, encode: RowMap, decode: Layers) -> tuple[Write, Cost]:
        """What writes Σ (x̂_ij − x_ij)² over observed j, and what a row costs."""
        return partial(_write_errors_of_observed, encode, decode), encode

    def of_whole_rows(self, errors: np.ndarray) -> np.ndarray:
        """Errors of the observed entries times n_features/(how many there are).

        NaN for a row with nothing observed.
        """
        counts = np.empty(len(self))
        for b, X in self._parts():
            counts[b] = X.shape[1] - np.isnan(X).sum(axis=1)
        whole = np.full(len(self), np.nan)
        np.divide(errors * self.shape[1], counts, out=whole, where=counts > 0)
        return whole


class IncompleteRows(_Incomplete, DenseRows):
    """Rows of an array with NaN where entries are missing, which is never copied.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Only ever read.
    fill : ndarray of shape (n_features,), optional
        What stands where an entry is missing; zeros until it is known.
    """

    def __init__(self, X: np.ndarray, fill: np.ndarray | None = None) -> None:
        super().__init__(X)
        self.fill = np.zeros(X.shape[1], X.dtype) if fill is None else fill

    def _parts(self) -> Iterator[Part]:
        return ((b, self.X[b]) for b in blocks_of(self.X))

    def complete(self) -> LocalRows:
        """A copy of the rows, filled."""
        return DenseRows(filled(self.given, self.fill))

    def in_blocks(
        self,
        objective: Objective[Any],
        weights: np.ndarray | None,
        targets: LocalRows | None,
        rows: int | None = None,
    ) -> RowsInBlocks:
        """Blocks of ``rows`` rows, by default as many as fit a cache.

        If all rows count, they are filled once, in a copy: every evaluation is spared
        a twentieth to a tenth of its time. A large memory map is left as it is.
        """
        blocks = super().in_blocks(objective, weights, targets, rows)
        if is_large_map(self.X) or blocks.n_samples < len(self):
            return blocks
        return FilledBlocks(blocks, self.complete().given)

    def corrupted(self, noise: Noise) -> np.ndarray:
        """A corrupted copy; what is missing stays so."""
        out: np.ndarray = self.complete().corrupted(noise)
        np.copyto(out, np.nan, where=np.isnan(self.given))
        return out


class FilledBlocks(RowsInBlocks):
    """Blocks of rows that have been filled, beside the rows as they were.

    Parameters
    ----------
    blocks : RowsInBlocks
        Of all rows, with NaN.
    complete : ndarray of shape (n_samples, n_features)
        The same rows, filled.
    """

    def __init__(self, blocks: RowsInBlocks, complete: np.ndarray) -> None:
        vars(self).update(vars(blocks))
        self._complete = complete

    def take(self, index: int, workspace: Workspace) -> Block:
        """The block with this index."""
        block = super().take(index, workspace)
        rows = slice(block.start, block.start + len(block.X))
        return replace(block, X=self._complete[rows], given=block.X)


class IncompleteCsrRows(_Incomplete, CsrRows):
    """Rows of a CSR matrix of whose entries some are NaN, and missing.

    Entries that are not stored are zeros, and observed. Objectives have the rows
    written out, a block at a time.

    Parameters
    ----------
    X : CSR array or matrix of shape (n_samples, n_features)
        Only ever read.
    fill : ndarray of shape (n_features,), optional
        What stands where an entry is missing; zeros until it is known.
    """

    def __init__(self, X: Any, fill: np.ndarray | None = None) -> None:
        super().__init__(X)
        self.fill = np.zeros(X.shape[1], X.dtype) if fill is None else fill

    def _parts(self) -> Iterator[Part]:
        step = max(1, _ENTRIES_AT_A_TIME // self.shape[1])
        for start in range(0, len(self), step):
            rows = slice(start, start + step)
            yield rows, self.X[rows].toarray()

    def complete(self) -> LocalRows:
        """A copy of the rows, filled, and as sparse."""
        return CsrRows(_filled_entries(self.X, self.fill))

    def corrupted(self, noise: Noise) -> Any:
        """A corrupted copy; what is missing stays so."""
        out = self.complete().corrupted(noise)
        missing = self.X.tocoo()
        which = np.isnan(missing.data)
        places = missing.row[which], missing.col[which]
        out = out.tolil() if not isinstance(out, np.ndarray) else out
        out[places] = np.nan
        return out if isinstance(out, np.ndarray) else out.tocsr()


class _Filling:
    """Fills rows, and maps them as ``layers`` does.

    Parameters
    ----------
    layers : RowMap
        Of slices of complete rows.
    fill : ndarray of shape (n_features,)
    """

    def __init__(self, layers: RowMap, fill: np.ndarray) -> None:
        self._layers, self._fill = layers, fill

    @property
    def numbers_per_row(self) -> int:
        """Numbers that a row keeps in cache, which sets the size of the blocks."""
        return self._layers.numbers_per_row

    @property
    def multiplications_per_row(self) -> float:
        """Of the matrix products."""
        return self._layers.multiplications_per_row

    def for_sparse(self, entries_per_row: float) -> RowMap:
        """The same for sparse rows with so many entries, on average."""
        return _Filling(self._layers.for_sparse(entries_per_row), self._fill)

    def __call__(self, X: Any, out: np.ndarray | None = None) -> np.ndarray:
        """What the rows X, filled, are mapped to, written to ``out`` if given."""
        fill = filled if isinstance(X, np.ndarray) else _filled_entries
        return self._layers(fill(X, self._fill), out)


def _filled_entries(X: Any, fill: np.ndarray) -> Any:
    """A CSR matrix with values of their columns in place of entries that are NaN."""
    X = X.copy()
    missing = np.isnan(X.data)
    X.data[missing] = fill[X.indices[missing]]
    return X


def _write_errors_of_observed(
    encode: Map, decode: Map, X: Any, out: np.ndarray
) -> None:
    """Write Σ_j (x̂_ij − x_ij)² over the observed entries of each row, (rows,)."""
    residual = decode(encode(X))
    X = X if isinstance(X, np.ndarray) else X.toarray()
    residual -= X
    bits = np.empty_like(residual)
    write_observed(X, as_bits(bits))
    as_bits(residual)[:] &= as_bits(bits)
    write_squares(residual, out)
