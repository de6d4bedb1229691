"""An array for tests that lies on a device, as far as anybody can tell.

`DeviceArray` holds an array of NumPy's and takes what CuPy's arrays take from NumPy
and no more: ufuncs that are called, but none of their methods (`reduce`, `outer`) and
no `vecdot`; the functions in `FUNCTIONS`, without the arguments that CuPy does not
have; and never an array of NumPy's beside it. It refuses `__array__`, so that a silent
step through the host is an error, and every explicit one is counted in `TRANSFERS`.
"""

from types import SimpleNamespace

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from skae.core.arrays import register

TRANSFERS = []  # numbers that each copy to the host had, in their order

# Functions that are handed on, as CuPy has them.
FUNCTIONS = {
    *("empty", "zeros", "ones", "full", "asarray", "array", "arange", "shape"),
    *("empty_like", "zeros_like", "ones_like", "broadcast_to", "copyto", "take"),
    *("where", "clip", "sum", "dot", "stack", "concatenate", "isfinite", "norm"),
    *("count_nonzero", "max", "min", "mean", "any", "all"),
}
REFUSED_ARGUMENTS = {"take": "mode", "max": "where", "min": "where", "sum": "where"}
NO_UFUNCS = {"vecdot", "matvec", "vecmat"}


class DeviceArray(NDArrayOperatorsMixin):
    """See the module's docstring."""

    def __init__(self, array):
        assert isinstance(array, np.ndarray | np.generic), type(array)
        self._array = np.asarray(array)

    # -- what NumPy hands on ------------------------------------------------------

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__" or ufunc.__name__ in NO_UFUNCS:
            return NotImplemented
        out = kwargs.pop("out", None)
        if out is not None:
            assert len(out) == 1 and isinstance(out[0], DeviceArray), out
            kwargs["out"] = out[0]._array
        result = ufunc(*map(_inside, inputs), **kwargs)
        return DeviceArray(result) if out is None else out[0]

    def __array_function__(self, function, types, args, kwargs):
        name = function.__name__
        if name not in FUNCTIONS or REFUSED_ARGUMENTS.get(name) in kwargs:
            return NotImplemented
        # NumPy hands it on with ones and full, even if it was not given.
        assert "device" not in kwargs, f"{name}() of CuPy takes no device"
        if name in ("asarray", "array"):
            assert not isinstance(args[0], DeviceArray)
            return DeviceArray(np.array(*args, **kwargs))
        out = kwargs.get("out")
        result = function(
            *map(_inside, args), **{k: _inside(v) for k, v in kwargs.items()}
        )
        if out is not None:
            return out
        if isinstance(result, np.ndarray | np.generic):
            return DeviceArray(result)
        return result

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    # -- to the host --------------------------------------------------------------

    def get(self):
        TRANSFERS.append(self._array.size)
        return self._array.copy()

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __bool__(self):
        return bool(self.get())

    def __reduce__(self):
        return DeviceArray, (self.get(),)

    # -- an array's own -----------------------------------------------------------

    shape = property(lambda self: self._array.shape)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    dtype = property(lambda self: self._array.dtype)
    nbytes = property(lambda self: self._array.nbytes)
    strides = property(lambda self: self._array.strides)
    T = property(lambda self: DeviceArray(self._array.T))

    @property
    def flags(self):
        flags = self._array.flags
        return SimpleNamespace(
            c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous
        )

    def __len__(self):
        return len(self._array)

    def __getitem__(self, index):
        index = _index(index)
        return DeviceArray(self._array[index])

    def __setitem__(self, index, value):
        self._array[_index(index)] = _inside(value)

    def fill(self, value):
        self._array.fill(value)

    def dot(self, other, out=None):
        return np.dot(self, other, out=out)


def _method(name):
    def call(self, *args, **kwargs):
        return DeviceArray(getattr(self._array, name)(*args, **kwargs))

    return call


for _name in (
    *("reshape", "astype", "copy", "view", "ravel"),
    *("sum", "max", "min", "mean", "any", "all", "argmax"),
):
    setattr(DeviceArray, _name, _method(_name))


def _index(index):
    if isinstance(index, tuple):
        return tuple(map(_index, index))
    if isinstance(index, DeviceArray):
        if index.dtype == bool:  # how many rows come is known on the host only
            TRANSFERS.append(1)
        return index._array
    assert not isinstance(index, np.ndarray), "an index of the host"
    return index


def _inside(value):
    """What lies in a device's array, of one; arrays of the host are refused."""
    if isinstance(value, DeviceArray):
        return value._array
    if isinstance(value, list | tuple) and any(
        isinstance(v, DeviceArray) for v in value
    ):
        return type(value)(map(_inside, value))
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return value


register(DeviceArray)


def on_test_device(array):
    """A copy of an array of NumPy's on the device."""
    return DeviceArray(np.array(array))
