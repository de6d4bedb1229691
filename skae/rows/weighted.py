"""Rows of an array in which single entries have weights (``entry_weight``).

Entries and weights are stored side by side in one array, so that every selection of
rows selects both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

from skae.core.arrays import on_device
from skae.core.incomplete import WeightedAutoencoder
from skae.rows.data import LocalRows
from skae.rows.incomplete import IncompleteRows
from skae.rows.masked import refuse_masked
from skae.rows.memory_map import is_large_map
from skae.rows.moments import Moments, incomplete_moments


class WeightedRows(IncompleteRows):
    """Rows whose entries have weights; those of weight zero are NaN, and missing.

    Parameters
    ----------
    X : ndarray of shape (n_samples, 2 n_features)
        The rows, and beside them the weights; only ever read.
    fill : ndarray of shape (n_features,), optional
        What stands where an entry is missing; zeros until it is known.
    """

    def __init__(self, X: np.ndarray, fill: np.ndarray | None = None) -> None:
        n_features = X.shape[1] // 2
        super().__init__(X, np.zeros(n_features, X.dtype) if fill is None else fill)
        self.shape = len(X), n_features

    @property
    def given(self) -> np.ndarray:
        """The rows, without the weights."""
        return self.X[:, : self.shape[1]]

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.given[rows]

    def _parts(self) -> Any:
        return ((b, X[:, : self.shape[1]]) for b, X in super()._parts())

    def moments(self, weights: np.ndarray | None = None) -> Moments:
        """Column means and variance, weighted by rows and entries, in float64."""
        of_entries = self.X[:, self.shape[1] :]
        return incomplete_moments(len(self), weights, self._parts, of_entries)

    def autoencoder(self, *args: Any, **kwargs: Any) -> WeightedAutoencoder:
        """The objective for such rows, from arguments of ``AutoencoderObjective``."""
        return WeightedAutoencoder(*args, fill=self.fill, **kwargs)

    def picked(self, index: np.ndarray) -> LocalRows:
        """A copy of some rows and of their weights."""
        return WeightedRows(self.X[index], self.fill)


def weighted(rows: LocalRows, entry_weight: Any) -> LocalRows:
    """The same rows, whose entries have weights; as they are if all weights are one."""
    X = rows.given
    if issparse(X):
        raise ValueError(
            "entry_weight needs dense X, got a sparse matrix; use X.toarray()."
        )
    if on_device(X):
        raise ValueError(
            "entry_weight needs X in the memory of the host, got an array on a device; "
            "fit without entry_weight, or with a copy of X on the host."
        )
    if is_large_map(X):
        raise ValueError(
            "entry_weight needs X in memory, because its entries and their weights are "
            "copied, got a large memory map; write NaN into the map where entries are "
            "missing."
        )
    refuse_masked(entry_weight, "entry_weight")
    if np.shape(entry_weight) != X.shape:
        raise ValueError(
            f"entry_weight must have the shape of X, {X.shape}, got "
            f"{np.shape(entry_weight)}."
        )
    weights = check_array(entry_weight, dtype=X.dtype, input_name="entry_weight")
    if (weights < 0).any():
        raise ValueError(
            f"entry_weight must not be negative, got {weights.min():g}; use 0 for "
            "entries that are to be ignored."
        )
    if (weights == 1).all():
        return rows
    there = (weights > 0) & ~np.isnan(X)
    if not there.any(axis=0).all():
        columns = np.flatnonzero(~there.any(axis=0))
        which = ", ".join(map(str, columns[:5])) + ", ..." * (len(columns) > 5)
        raise ValueError(
            "X has columns without an entry that is observed and has an entry_weight "
            f"above 0, of which nothing can be learnt: {which}. Leave them out."
        )
    both = np.empty((len(X), 2 * X.shape[1]), X.dtype)
    both[:, : X.shape[1]] = np.where(there, X, np.nan)
    both[:, X.shape[1] :] = np.where(there, weights, 0)
    return WeightedRows(both)
