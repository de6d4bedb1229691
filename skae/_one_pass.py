"""Functions of several ufuncs, in one pass over arrays that lie on a device.

NumPy computes one ufunc after the other, which is fast while a block of rows stays in
cache. On a GPU each of them reads its arrays from memory and writes them back, and
these passes are most of what an evaluation costs beside its matrix products.
``cupy.fuse`` makes a single pass of several functions of CuPy's. It learns which by
calling a Python function with stand-ins for its arrays, to which NumPy does not hand
its ufuncs on. ``_Noted`` does, so that the core is written once, in ufuncs of NumPy's.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


def in_one_pass(
    function: Callable[..., None], *arguments: Any, scratch: tuple[Any, ...] = ()
) -> None:
    """Call ``function(*arguments, *scratch)``, which changes its arrays in place.

    Parameters
    ----------
    function : callable
        Computes with ufuncs alone, entry by entry, and each of them takes an array:
        CuPy would compute 1 - number in half precision. One and the same object, or
        method of one and the same class, at each call.
    *arguments : arrays and numbers
        The first one an array.
    scratch : tuple of arrays
        Room for what ``function`` needs in between. On a device, this never goes to
        memory, so the arrays are left as they are.
    """
    first = arguments[0]
    if isinstance(first, np.ndarray):
        function(*arguments, *scratch)
    else:
        package = type(first).__module__.partition(".")[0]
        _fused(package, function, len(scratch))(*arguments)


class _Noted(NDArrayOperatorsMixin):
    """Hands ufuncs of NumPy's on to another library, by their names."""

    def __init__(self, library: Any, inside: Any = None) -> None:
        self.inside, self._library = inside, library
        self._is_scratch = inside is None

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None
    ) -> Any:
        if method != "__call__":
            return NotImplemented
        function = getattr(self._library, ufunc.__name__)
        given = [x.inside if isinstance(x, _Noted) else x for x in inputs]
        if not any(getattr(x, "ndim", 0) > 0 for x in given):
            raise TypeError(f"{ufunc.__name__} in one pass takes no numbers alone")
        if out is None:
            return _Noted(self._library, function(*given))
        (result,) = out
        if result._is_scratch:
            result.inside = function(*given)
        else:
            function(*given, out=result.inside)
        return result


@cache
def _fused(
    package: str, function: Callable[..., None], n_scratch: int
) -> Callable[..., None]:
    """The function for arrays of a package, or of any that NumPy hands ufuncs on to."""
    library: Any = import_module(package)  # which is imported, as there are arrays
    if not hasattr(library, "fuse"):
        library = np

    def noted(*arguments: Any) -> None:
        given = [None if a is None else _Noted(library, a) for a in arguments]
        function(*given, *(_Noted(library) for _ in range(n_scratch)))

    noted.__name__ = function.__name__
    return noted if library is np else library.fuse(noted)
