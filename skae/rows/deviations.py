"""Deviations of rows from their mean, for covariances.

A = diag(√(s_i/Σs)) (X − 1 mᵀ)/s̄, with weights s_i, column means m and spread s̄. Then
C = AᵀA is the covariance of the columns, in units in which their mean variance is one.
For sparse rows, A is never formed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from skae.rows.moments import Moments

# Of A at a time: a megabyte or two.
_NUMBERS = 2**18


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


def _shares(n_rows: int, weights: np.ndarray | None) -> np.ndarray:
    """√(s_i/Σs) as a column, in float64."""
    if weights is None:
        return np.full((n_rows, 1), n_rows**-0.5)
    share: np.ndarray = weights.astype(np.float64)
    return np.sqrt(share / share.sum())[:, np.newaxis]


class DenseDeviations(Deviations):
    """A of an array, of which some rows at a time are formed.

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
        self.shape, self._X = X.shape, X
        self._mean = moments.mean.astype(X.dtype)
        # Spread first: squares of the smallest data are not in float32's range.
        shares = _shares(len(X), weights) / moments.spread
        self._factors = shares.astype(X.dtype)

    def covariance(self) -> np.ndarray:
        """C = AᵀA."""
        d = self.shape[1]
        C = np.zeros((d, d), self._X.dtype)
        for _, A in self._blocks():
            C += A.T @ A
        return C

    def times(self, B: np.ndarray) -> np.ndarray:
        """A B."""
        B = B.astype(self._X.dtype, copy=False)
        product = np.empty((self.shape[0], B.shape[1]), B.dtype)
        for rows, A in self._blocks():
            np.matmul(A, B, out=product[rows])
        return product

    def transposed_times(self, B: np.ndarray) -> np.ndarray:
        """Aᵀ B."""
        B = B.astype(self._X.dtype, copy=False)
        product = np.zeros((self.shape[1], B.shape[1]), B.dtype)
        for rows, A in self._blocks():
            product += A.T @ B[rows]
        return product

    def _blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows of A, and which they are."""
        n_rows, d = self.shape
        step = max(1, _NUMBERS // d)
        for start in range(0, n_rows, step):
            rows = slice(start, start + step)
            A = self._X[rows] - self._mean
            A *= self._factors[rows]
            yield rows, A


class SparseDeviations(Deviations):
    """A of a CSR matrix of not too many columns, whose means are taken out afterwards.

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
