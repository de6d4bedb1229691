"""Validation of codes and rows: arrays or sparse matrices of numbers."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

DTYPES = [np.float64, np.float32]


def checked(array: Any, name: str) -> Any:
    """Validate as a finite array (n, m) or a CSR matrix without duplicate entries."""
    refuse_estimator(array, name, "transform(X)")
    array = check_array(array, accept_sparse="csr", dtype=DTYPES, input_name=name)
    if issparse(array) and not array.has_canonical_format:
        array = array.copy()
        array.sum_duplicates()
    return array


def refuse_estimator(array: Any, name: str, instead: str) -> None:
    """Refuse an estimator where what it has learnt or returns is wanted."""
    if hasattr(array, "get_params"):
        kind = type(array).__name__
        raise TypeError(
            f"{name} must be an array, got the estimator {kind}; pass what its "
            f"{instead} is."
        )


def check_transforms(estimator: Any) -> None:
    """Refuse codes where the estimator is wanted that makes them."""
    if not hasattr(estimator, "transform"):
        raise TypeError(
            "estimator must be fitted and have transform, got "
            f"{type(estimator).__name__}; pass the estimator itself, and X."
        )


def is_integer(value: Any) -> bool:
    """Whether a value is an integer of Python or NumPy."""
    return isinstance(value, Integral)


def checked_pair(first: Any, second: Any, names: tuple[str, str]) -> tuple[Any, Any]:
    """Validate two arrays with the same number of rows."""
    first, second = checked(first, names[0]), checked(second, names[1])
    if first.shape[0] != second.shape[0]:
        raise ValueError(
            f"{names[0]} has {first.shape[0]} rows and {names[1]} {second.shape[0]}; "
            "pass both of the same samples."
        )
    return first, second
