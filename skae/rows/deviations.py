"""How rows deviate from their mean: A = diag(√(s_i/Σs)) (X − 1 mᵀ)/s̄, so C = AᵀA.

C is then the covariance of the columns in units in which their mean variance is one.
Of sparse rows A is never formed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from skae.rows.moments import Moments


class Deviations(ABC):
    """A, (n_rows, n_features), as what it does to arrays.

    Attributes
    ----------
    shape : tuple of int
    """

    shape: tuple[int, int]

    @abstractmethod
    def covariance(self) -> np.ndarray:
        """C = AᵀA, (n_features, n_features)."""

    @abstractmethod
    def times(self, B: np.ndarray) -> np.ndarray:
        """A B."""

    @abstractmethod
    def transposed_times(self, B: np.ndarray) -> np.ndarray:
        """Aᵀ B."""


def _shares(n_rows: int, weights: np.ndarray | None) -> np.ndarray:
    """√(s_i/Σs) as a column, in float64."""
    if weights is None:
        return np.full((n_rows, 1), n_rows**-0.5)
    share: np.ndarray = weights.astype(np.float64)
    return np.sqrt(share / share.sum())[:, np.newaxis]


class DenseDeviations(Deviations):
    """A as an array, a copy of the rows.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,) or None
    moments : Moments
        Of X; it varies.
    """

    def __init__(
        self, X: np.ndarray, weights: np.ndarray | None, moments: Moments
    ) -> None:
        self.shape = X.shape
        # Spread first: squares of the smallest data are not in float32's range.
        self._A = X - moments.mean.astype(X.dtype)
        self._A *= X.dtype.type(1 / moments.spread)
        self._A *= _shares(len(X), weights).astype(X.dtype)

    def covariance(self) -> np.ndarray:
        """C = AᵀA."""
        return self._A.T @ self._A

    def times(self, B: np.ndarray) -> np.ndarray:
        """A B."""
        return self._A @ B.astype(self._A.dtype, copy=False)

    def transposed_times(self, B: np.ndarray) -> np.ndarray:
        """Aᵀ B."""
        return self._A.T @ B.astype(self._A.dtype, copy=False)


class SparseDeviations(Deviations):
    """A of a CSR matrix, whose means are taken out of products afterwards.

    Parameters are those of ``DenseDeviations``.
    """

    def __init__(self, X: Any, weights: np.ndarray | None, moments: Moments) -> None:
        self.shape = X.shape
        self._shares = _shares(X.shape[0], weights)
        self._X = X.astype(np.float64) / moments.spread
        self._mean = moments.mean / moments.spread

    def covariance(self) -> np.ndarray:
        """C = AᵀA."""
        X = self._X.multiply(self._shares).tocsr()
        C: np.ndarray = (X.T @ X).toarray()
        C -= np.multiply.outer(self._mean, self._mean)
        return C

    def times(self, B: np.ndarray) -> np.ndarray:
        """A B."""
        product: np.ndarray = self._X @ B
        product -= self._mean @ B
        product *= self._shares
        return product

    def transposed_times(self, B: np.ndarray) -> np.ndarray:
        """Aᵀ B."""
        shared = B * self._shares
        product: np.ndarray = self._X.T @ shared
        product -= np.multiply.outer(self._mean, shared.sum(axis=0))
        return product
