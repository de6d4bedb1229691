"""What codes and rows may be: arrays or sparse matrices of numbers."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

DTYPES = [np.float64, np.float32]


def checked(array: Any, name: str) -> Any:
    """A finite array, (n, m), or a CSR matrix without duplicate entries."""
    array = check_array(array, accept_sparse="csr", dtype=DTYPES, input_name=name)
    if issparse(array) and not array.has_canonical_format:
        array = array.copy()
        array.sum_duplicates()
    return array


def is_integer(value: Any) -> bool:
    """Whether it is an integer of Python's or NumPy's."""
    return isinstance(value, Integral)


def checked_pair(first: Any, second: Any, names: tuple[str, str]) -> tuple[Any, Any]:
    """Two such of as many rows."""
    first, second = checked(first, names[0]), checked(second, names[1])
    if first.shape[0] != second.shape[0]:
        raise ValueError(
            f"{names[0]} has {first.shape[0]} rows and {names[1]} {second.shape[0]}; "
            "pass both of the same samples."
        )
    return first, second
