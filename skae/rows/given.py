"""X, y and weights as passed to ``fit`` or ``score``, before they become rows.

``Given`` has the same methods for arrays and for chunks of dask: they return ``Data``,
or the mean of errors over all rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from sklearn.utils import compute_sample_weight

from skae._sklearn import check_sample_weight
from skae.core.arrays import beside, on_device, to_host
from skae.rows.data import Data
from skae.rows.masked import refuse_masked
from skae.rows.moments import Moments
from skae.rows.protocols import Compute, Encode
from skae.rows.source import source
from skae.rows.weighted import weighted


class Given(ABC):
    """X, y and weights as they were given, checked as far as that costs nothing.

    Attributes
    ----------
    local : bool
        Whether they lie in this process.
    on_device : bool
        Whether the rows lie on a device.
    dtype : dtype
        float32 or float64.
    weights : ndarray, or dask array or Series, of shape (n_samples,), or None
        Of the rows.
    shown : tuple
        (X, y, weights) as callbacks are shown them. The targets of an autoencoder are
        its rows.
    """

    local = True
    on_device = False
    dtype: np.dtype
    weights: Any
    shown: tuple[Any, Any, Any]

    @abstractmethod
    def data(self, encode: Encode | None = None) -> Data:
        """Rows, weights and the targets ``encode(y)``, an array (rows, n_outputs)."""

    def weigh_entries(self, entry_weight: Any) -> None:
        """Give the entries of the rows weights, of the shape of X."""
        raise ValueError(
            "entry_weight needs X in this process, got a dask collection; use "
            "X.compute()."
        )

    @property
    @abstractmethod
    def y_ndim(self) -> int:
        """1 where y is one column that is not a matrix."""

    @abstractmethod
    def y_values(self) -> Any:
        """An array as wide as y that has all its values, of rows that count."""

    @abstractmethod
    def weigh_classes(self, class_weight: Any) -> None:
        """Multiply the weights of the rows by those of their classes."""

    @abstractmethod
    def mean_error(self, errors_of: Compute) -> tuple[float, Moments, int]:
        """Of all rows ``errors_of(rows)``, (rows,), and more.

        Returns
        -------
        mean : float
            Weighted.
        moments : Moments
            Of the rows.
        n_rows : int
            Of a weight above zero.
        """


class Arrays(Given):
    """Arrays, sparse matrices and memory maps, validated."""

    def __init__(self, X: Any, y: Any, sample_weight: Any) -> None:
        self.rows = source(X)
        self.dtype, X = self.rows.dtype, self.rows.given
        self.on_device = on_device(X)
        refuse_masked(sample_weight, "sample_weight")
        self.weights = check_sample_weight(sample_weight, self.rows.stand_in)
        self.shown = X, X if y is None else y, self.weights
        self.y: Any = None if y is None else _only_targets_that_count(self.weights, y)

    def data(self, encode: Encode | None = None) -> Data:
        """Rows, weights and the targets ``encode(y)``, in the dtype of X."""
        targets: Any = None
        if encode is not None:
            with np.errstate(over="ignore"):  # check_magnitude refuses these
                targets = np.ascontiguousarray(encode(self.y), self.dtype)
            targets = source(beside(targets, self.rows.like))
        return Data(self.rows, self.weights, targets)

    def weigh_entries(self, entry_weight: Any) -> None:
        """Give the entries of the rows weights, of the shape of X."""
        self.rows = weighted(self.rows, entry_weight)

    @property
    def y_ndim(self) -> int:
        """1 where y is one column that is not a matrix."""
        return self.y.ndim

    def y_values(self) -> Any:
        """The targets of rows that count."""
        return self.y

    def weigh_classes(self, class_weight: Any) -> None:
        """Multiply the weights of the rows by those of their classes."""
        if class_weight is None:
            return
        shape, weights = len(self.rows), self.weights
        total = np.ones(shape, self.dtype) if weights is None else weights.copy()
        there = total > 0
        total[there] *= compute_sample_weight(class_weight, self.y[there])
        if not total.any():
            raise ValueError(
                f"class_weight={class_weight!r} gives every row the weight 0; give at "
                "least one class of y a weight above 0."
            )
        self.weights = total

    def mean_error(self, errors_of: Compute) -> tuple[float, Moments, int]:
        """Weighted mean of ``errors_of(rows)``, the rows' moments, how many count."""
        errors = to_host(errors_of(self.rows))
        mean = float(np.average(errors, weights=self.weights))
        data = self.data()
        return mean, data.moments, data.n_rows


def _only_targets_that_count(weights: np.ndarray | None, y: Any) -> Any:
    """Targets, with that of a row that counts for rows of weight zero.

    So they stay where they are beside the rows, and absent from classes and ranges.
    """
    if weights is None or weights.all():
        return y
    return y[np.where(weights > 0, np.arange(len(weights)), weights.argmax())]
