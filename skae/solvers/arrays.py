"""The types of arrays, named for what they hold; their shapes are in the docstrings."""

from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.floating]  # float32 or float64, as everything with decimals
Matrix = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


def on_device(x: object) -> bool:
    """Whether x lies on a device: NumPy hands functions on to it, and it has `get`.

    `get()` copies it to the host, as that of CuPy's arrays does. This is wider than
    what estimators accept, because solvers know no other package.
    """
    if isinstance(x, np.ndarray):
        return False
    return hasattr(x, "get") and hasattr(x, "__array_function__")


def copied(x0: Any) -> Vector:
    """A copy of an array-like where that lies."""
    copy: Vector = x0.copy() if on_device(x0) else np.array(x0)
    return copy


def read_only(x: Vector) -> Vector:
    """A view that must not be written to; NumPy's does not allow it."""
    view = x.view()
    if isinstance(view, np.ndarray):
        view.flags.writeable = False
    return view
