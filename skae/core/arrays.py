"""Arrays that lie elsewhere: what NumPy cannot hand on to the library they are of.

The core is NumPy code. NumPy hands its ufuncs on to the arrays that it is given
(``__array_ufunc__``), ``out`` included, and most of its functions, too
(``__array_function__``); with ``like=`` it creates arrays where another lies. So the
same lines compute on the host and on a GPU with CuPy's arrays. What is left is here:
``vecdot``, which not every version of CuPy has, ``ones``, rows picked by an index, and
numbers that stay on the device until ``on_host`` fetches all of an evaluation at once.
An array of NumPy's is never converted, copied or wrapped by any of it.

On a device are the arrays of the packages in ``PACKAGES``, and of classes that were
given to ``register``. They have NumPy's methods, ``get()``, which copies to the host,
and refuse ``__array__``.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

# Reference for ``like=`` where arrays lie on the host.
HOST = np.empty(0)
# Packages of arrays on a device, and their class.
PACKAGES = {"cupy": "ndarray"}
_registered: list[type] = []


def register(kind: type) -> None:
    """Take a class of arrays as one of a device; see the module's docstring."""
    if kind not in _registered:
        _registered.append(kind)


def on_device(array: Any) -> bool:
    """Whether this is an array that lies on a device, of a kind that we work on."""
    if isinstance(array, np.ndarray):
        return False
    package = type(array).__module__.partition(".")[0]
    if package in PACKAGES:  # which is imported, as there is an array of it
        return isinstance(array, getattr(sys.modules[package], PACKAGES[package]))
    return isinstance(array, tuple(_registered))


def to_host(array: Any) -> np.ndarray:
    """The array itself if it is NumPy's, or else a copy in the host's memory."""
    if isinstance(array, np.ndarray):
        return array
    copy: np.ndarray = array.get()
    return copy


def beside(array: Any, like: Any) -> Any:
    """An array of the host where ``like`` lies; itself if it is there already."""
    if isinstance(like, np.ndarray) or not isinstance(array, np.ndarray):
        return array
    return np.asarray(array, like=like)


def moved(array: Any, like: Any) -> Any:
    """An array wherever it lies where ``like`` lies, a copy unless it is there."""
    return to_host(array) if isinstance(like, np.ndarray) else beside(array, like)


def in_containers(convert: Callable[[Any], Any], value: Any) -> Any:
    """``convert(value)``, or that of all that dicts, lists and tuples hold."""
    if type(value) is dict:
        return {name: in_containers(convert, item) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(in_containers(convert, item) for item in value)
    return convert(value)


def ones(shape: int | tuple[int, ...], dtype: Any, like: Any) -> Any:
    """Ones where ``like`` lies."""
    # Not np.ones: NumPy hands that on with an argument that CuPy's does not take.
    array = np.empty(shape, dtype, like=like)
    array.fill(1)
    return array


def vecdot(a: Any, b: Any) -> Any:
    """Scalar products along the last axis."""
    if isinstance(a, np.ndarray):
        return np.vecdot(a, b)
    if a is b:
        # CuPy has a norm in one pass; a product is another array to write and read.
        norms: Any = np.linalg.norm(a, axis=-1)
        return norms * norms
    return (a * b).sum(axis=-1)


def take_rows(X: Any, index: np.ndarray, out: Any) -> Any:
    """Write rows of X with these indices, all of them valid, to ``out``."""
    if isinstance(X, np.ndarray):
        # mode="clip" writes to out directly.
        return np.take(X, index, axis=0, out=out, mode="clip")
    return np.take(X, beside(index, X), axis=0, out=out)


def number(scalar: Any) -> Any:
    """A float for a scalar of NumPy's; an array () of a device stays where it is."""
    return float(scalar) if isinstance(scalar, np.generic) else scalar


def on_host(*groups: list[Any]) -> list[list[float]]:
    """Lists of the same numbers as floats: all come in one transfer.

    Some may be floats already, as of what is zero.
    """
    there = [v for group in groups for v in group if not isinstance(v, float)]
    fetched = iter(to_host(np.stack(there)).tolist() if there else ())
    return [
        [v if isinstance(v, float) else next(fetched) for v in group]
        for group in groups
    ]
