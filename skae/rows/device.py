"""Rows of an array on a device, such as a GPU.

The rows stay there, and their weights are on the host. Blocks are large, because a
device is busy only with large ones: the temporary arrays of a block take about a
gigabyte. Results that are no longer than a row, such as means, come to the host, where
the scale, the coordinates of the solver and the start are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import maxsize
from typing import Any, TypeVar

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import validate_data

from skae.core.arrays import beside, take_rows, to_host
from skae.core.autoencoder import AutoencoderObjective
from skae.core.network import NetworkObjective
from skae.core.protocols import Objective
from skae.rows.data import LocalRows
from skae.rows.dense import DenseRows, RowsInBlocks
from skae.rows.lengths import even_length
from skae.rows.moments import Moments, dense_moments
from skae.rows.protocols import Compute

Result = TypeVar("Result")

# A block's rows x (n_features + n_components): of float32 half a gigabyte, with all
# temporaries up to twice as much.
_BLOCK_NUMBERS = 2**27


class DeviceRows(DenseRows):
    """Rows of an array on a device, which is never copied as a whole.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        C-contiguous; only ever read.
    """

    in_threads = False
    # A fifth of X however large it is: X may still take three fifths of the memory.
    code_memory = 2**30, maxsize

    def __init__(self, X: Any) -> None:
        super().__init__(X)
        self.like = X[:0]

    def on_host(self) -> LocalRows:
        """A copy in the host's memory."""
        return DenseRows(to_host(self.X))

    @property
    def stand_in(self) -> np.ndarray:
        """An array of the host with as many rows of the same dtype."""
        return np.broadcast_to(np.zeros(1, self.dtype), (len(self), 1))

    def rows_of_block(self, n_samples: int, numbers_per_row: int) -> int:
        """How many of so many rows a block has, each with so many numbers."""
        return even_length(n_samples, max(1, _BLOCK_NUMBERS // numbers_per_row))

    def moments(self, weights: np.ndarray | None = None) -> Moments:
        """Weighted column means and variance, in float64, on the host."""
        return dense_moments(self.X, self._weights(weights))

    def _weights(self, weights: np.ndarray | None) -> Any:
        return None if weights is None else beside(weights, self.X)

    def ranges(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Least and greatest of each column, (2, n_features), of rows that count."""
        there = None if weights is None else beside(weights > 0, self.X)[:, np.newaxis]
        ends = []
        for of_what, beyond in ((np.min, np.inf), (np.max, -np.inf)):
            X = self.X
            if there is not None:
                X = np.where(there, X, X.dtype.type(beyond))
            ends.append(to_host(of_what(X, axis=0)))
        return np.stack(ends)

    def autoencoder(self, *args: Any, **kwargs: Any) -> AutoencoderObjective:
        """The objective for such rows, from arguments of ``AutoencoderObjective``."""
        objective = super().autoencoder(*args, **kwargs)
        objective.like = self.like
        return objective

    def network(
        self, *args: Any, reconstructs: bool, **kwargs: Any
    ) -> NetworkObjective:
        """The objective for such rows, from arguments of ``NetworkObjective``."""
        objective = super().network(*args, reconstructs=reconstructs, **kwargs)
        objective.like = self.like
        return objective

    def reduced(
        self, compute: Callable[[LocalRows, Any], Result], weights: Any = None
    ) -> list[Result]:
        """``compute(rows, weights)`` of all of them, the one part that there is."""
        return [compute(self, self._weights(weights))]

    def in_blocks(
        self,
        objective: Objective[Any],
        weights: np.ndarray | None,
        targets: LocalRows | None,
        rows: int | None = None,
    ) -> RowsInBlocks:
        """Blocks of ``rows`` rows, by default as many as keep a device busy."""
        blocks = super().in_blocks(objective, weights, targets, rows)
        blocks.multiplications = 0  # of this machine
        return blocks

    def batches(self, n_rows: int) -> Callable[[np.ndarray], Any]:
        """What hands out rows here and there, each time in the same array."""
        shape = n_rows, self.shape[1]
        buffer = np.empty(shape, self.dtype, like=self.X)
        return lambda index: take_rows(self.X, index, buffer[: len(index)])

    def picked(self, index: np.ndarray) -> LocalRows:
        """A copy of some rows."""
        return DeviceRows(self.X[beside(index, self.X)])

    def mapped(
        self, compute: Compute, n_columns: int, weights: np.ndarray | None = None
    ) -> DeviceRows:
        """Rows of ``compute(rows)``; zeros for rows of weight zero."""
        array = compute(self)
        if weights is not None:
            array[beside(weights == 0, array)] = 0
        return DeviceRows(array)

    def after(self, dense: LocalRows) -> LocalRows:
        """The rows of an array on the device, and then these."""
        return DeviceRows(np.concatenate([dense.given, self.X]))


def device_rows(estimator: Any, X: Any, order: str | None, reset: bool) -> DeviceRows:
    """Rows of an array on a device, checked; it is not copied unless it has to be.

    Parameters
    ----------
    estimator : estimator
        Learns how many columns there are if ``reset``, otherwise compares.
    X : array of shape (n_samples, n_features)
        On a device.
    order : {"C", None}
        In which memory must lie; None: in any.
    reset : bool
        Whether this is the first fit.
    """
    X = check_device_array(estimator, X, order)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return DeviceRows(X)


def check_device_array(estimator: Any, X: Any, order: str | None) -> Any:
    """A matrix of finite float32 or float64, on the device where X is."""
    kind = type(X).__module__.partition(".")[0]
    if not get_config()["array_api_dispatch"]:
        raise ValueError(
            f"X is an array of {kind}, which lies on a device; call "
            "sklearn.set_config(array_api_dispatch=True) so that results follow X, or "
            "pass X.get(), a copy of NumPy's."
        )
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead; use X.reshape(-1, 1) if "
            "it has a single feature, or X.reshape(1, -1) if it is a single row."
        )
    for size, what in zip(X.shape, ("sample", "feature"), strict=True):
        if not size:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 "
                f"is required by {type(estimator).__name__}."
            )
    if X.dtype.kind not in "biuf":
        raise ValueError(f"X must hold real numbers, got an array of {X.dtype}.")
    if X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)
    if order == "C" and not X.flags.c_contiguous:
        X = X.copy(order="C")
    # A sum is finite where all is, nearly always.
    if not np.isfinite(float(X.sum())) and not np.isfinite(X).all():
        raise ValueError(
            "Input X contains NaN or infinity, which arrays on a device must not "
            "have; fill in missing values, for instance with SimpleImputer on X.get()."
        )
    return X
