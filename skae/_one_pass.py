"""Functions of several ufuncs, in one pass over arrays that lie on a device.

NumPy computes one ufunc after the other, which is fast while a block of rows stays in
cache. On a GPU each of them reads its arrays from memory and writes them back, and
these passes are most of what an evaluation costs beside its matrix products.

``cupy.fuse`` makes a single pass of several functions of CuPy's. It traces them: it
calls a Python function once, with variables in place of the arrays, and notes what is
called with them. NumPy does not hand its ufuncs on to these variables. ``_Traced``
wraps them and does, so that the core is written once, in ufuncs of NumPy's.
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
        Calls ufuncs alone, which work entry by entry, each with an array among its
        arguments: CuPy would compute 1 - number in half precision. It is traced once,
        and found again by itself, so it must be the same object at each call, or the
        same method of the same class, and must not depend on anything else.
    *arguments : arrays, numbers or None
        The first one is an array.
    scratch : tuple of arrays
        Room for what ``function`` needs in between; it has to write there before it
        reads. On a device, what it writes never goes to memory, and the arrays are
        left as they are.
    """
    first = arguments[0]
    if isinstance(first, np.ndarray):
        function(*arguments, *scratch)
    else:
        package = type(first).__module__.partition(".")[0]
        _fused(package, function, len(scratch))(*arguments)


class _Traced(NDArrayOperatorsMixin):
    """A variable that hands ufuncs of NumPy's on to another library, by their names.

    Parameters
    ----------
    library : module
        Has functions of the ufuncs' names.
    inside : variable or number, default=None
        What these take. None is scratch: it becomes what is written to it.
    """

    def __init__(self, library: Any, inside: Any = None) -> None:
        self.inside, self._library = inside, library
        self._is_scratch = inside is None

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None
    ) -> Any:
        if method != "__call__":
            return NotImplemented
        function = getattr(self._library, ufunc.__name__)
        given = [x.inside if isinstance(x, _Traced) else x for x in inputs]
        if not any(getattr(x, "ndim", 0) > 0 for x in given):
            raise TypeError(f"{ufunc.__name__} in one pass takes no numbers alone")
        if out is None:
            return _Traced(self._library, function(*given))
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
    """The function for arrays of a package, in one pass if the package has ``fuse``.

    Otherwise NumPy hands its ufuncs on to the arrays, one after the other.
    """
    library: Any = import_module(package)  # which is imported, as there are arrays
    if not hasattr(library, "fuse"):
        library = np

    def traced(*arguments: Any) -> None:
        given = [None if a is None else _Traced(library, a) for a in arguments]
        function(*given, *(_Traced(library) for _ in range(n_scratch)))

    traced.__name__ = function.__name__  # that of the kernel
    return traced if library is np else library.fuse(traced)
