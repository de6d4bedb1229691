"""Picks the kind of rows for X after it has been checked."""

from typing import Any

from scipy.sparse import issparse

from skae.core.arrays import on_device
from skae.rows.data import LocalRows
from skae.rows.dense import DenseRows
from skae.rows.device import DeviceRows
from skae.rows.sparse import CsrRows


def source(X: Any) -> LocalRows:
    """Rows of an array or a CSR matrix, which is not copied, or X if it is such."""
    if isinstance(X, LocalRows):
        return X
    if on_device(X):
        return DeviceRows(X)
    return CsrRows(X) if issparse(X) else DenseRows(X)
