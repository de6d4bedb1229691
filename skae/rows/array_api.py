"""Arrays of other libraries as input, and results of the same kind.

With ``sklearn.set_config(array_api_dispatch=True)``, X can be an array of another
library than NumPy.

* Arrays on a device stay there; see ``skae.rows.device``.
* Tensors of torch, and arrays of JAX and array-api-strict, in the memory of the host
  are converted to NumPy, without a copy if the library allows it, and results are
  converted back.
* Tensors of torch and arrays of JAX on a GPU are used as arrays of CuPy that share
  their memory.

Arrays of JAX never change. Memory that is shared with them is only read, and results
for JAX are copies, because the solver may write to the original again.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config

from skae._sklearn import to_numpy
from skae.core.arrays import beside, in_containers, on_device, to_host

# Packages whose arrays go through NumPy or, on a GPU, through CuPy: their namespaces.
_THROUGH_NUMPY = {
    "torch": "torch",
    "array_api_strict": "array_api_strict",
    "jaxlib": "jax.numpy",
}
_TO_CPU = {"torch": "X.cpu()", "jax.numpy": "jax.device_put(X, jax.devices('cpu')[0])"}
_NVIDIA = {"cuda", "gpu"}  # as torch and as JAX say
_MOVE = (
    "You can move the estimator to the same namespace and device as X with: "
    "'from sklearn.utils._array_api import get_namespace_and_device, "
    "move_estimator_to; xp, _, device = get_namespace_and_device(X); "
    "estimator = move_estimator_to(estimator, xp, device)'"
)
Convert = Callable[[Any], Any]


class Kind(NamedTuple):
    """What arrays are of: their namespace, and the device on which they lie."""

    package: str
    device: str

    @classmethod
    def of(cls, array: Any) -> Kind:
        """Of an array, or of whatever else becomes one of NumPy's."""
        if is_foreign(array) or on_device(array):
            package = _package(array)
            package = _THROUGH_NUMPY.get(package, package)
            return cls(package, str(getattr(array, "device", "")))
        return _NUMPY


_NUMPY = Kind("numpy", "")


def is_foreign(array: Any) -> bool:
    """Whether this is an array that goes through NumPy or CuPy, and comes back."""
    if isinstance(array, np.ndarray):
        return False
    return _package(array) in _THROUGH_NUMPY and hasattr(array, "shape")


def _package(array: Any) -> str:
    return type(array).__module__.partition(".")[0]


def dispatches() -> bool:
    """Whether scikit-learn is set to follow X's kind."""
    return bool(get_config()["array_api_dispatch"])


def inward(array: Any) -> Any:
    """An array of NumPy's or CuPy's for a foreign one; anything else as it is."""
    if not is_foreign(array):
        return array
    where, to_cpu = _where(array), _to_host(array)
    if where == "cpu":
        return to_numpy(array)
    if where == "several devices":
        raise ValueError(
            "X is an array of JAX with a sharding, and skae computes on a single "
            f"device; use {to_cpu}."
        )
    if where not in _NVIDIA:
        raise ValueError(
            f"X is an array of {Kind.of(array).package} on {array.device}, on which "
            f"skae does not compute; use one on the CPU, {to_cpu}, or on an NVIDIA GPU."
        )
    try:
        return _shared_with_cupy(array)
    except ImportError as error:
        raise ValueError(
            "X lies on a GPU, on which skae computes with CuPy, which is not "
            f"installed: pip install cupy-cuda12x; or use {to_cpu}."
        ) from error


def _where(array: Any) -> str:
    """The kind of device of a foreign array."""
    device = array.device
    if hasattr(device, "device_set"):  # a sharding of JAX's
        return "several devices"
    return str(getattr(device, "type", getattr(device, "platform", "cpu")))


def _to_host(array: Any) -> str:
    """What makes a copy in the host's memory of an array on a device."""
    return _TO_CPU.get(Kind.of(array).package, "X.get()")


def _shared_with_cupy(array: Any) -> Any:
    import cupy

    # A tensor may have a gradient.
    return cupy.from_dlpack(array.detach() if hasattr(array, "detach") else array)


def refuse_device(name: str, X: Any) -> None:
    """Refuse X on a device, for what is computed in the host's memory only."""
    if on_device(X) or (is_foreign(X) and _where(X) != "cpu"):
        package = Kind.of(X).package.partition(".")[0]
        raise ValueError(
            f"{name} does not compute on a device, and was given an array of {package} "
            f"on one; pass a copy in the host's memory, such as {_to_host(X)}. "
            "SparseAutoencoder, DenoisingAutoencoder, ContractiveAutoencoder and the "
            "stacks do compute on a device."
        )


def in_host_memory(name: str, *arrays: Any) -> list[Any]:
    """Arrays of NumPy's for those of another library; refuses those on a device."""
    for array in arrays:
        refuse_device(name, array)
    return [host_of(array) for array in arrays]


def outward(like: Any) -> Convert:
    """What makes numeric arrays such as ``like``, on its device."""
    if on_device(like):
        return lambda array: beside(array, like)
    package, device = Kind.of(like).package, like.device
    module = import_module(package)

    def shared(array: Any) -> Any:
        if on_device(array):
            return module.from_dlpack(array)
        return module.asarray(array, device=device)

    def copied(array: Any) -> Any:
        if on_device(array):
            array = module.from_dlpack(array)
        copy = module.asarray(array, device=device, copy=True)
        return copy.block_until_ready()

    return copied if package == "jax.numpy" else shared


def converted(value: Any, convert: Convert) -> Any:
    """``value`` with ``convert(array)`` for every array, in containers, too.

    And in estimators, which are copied with what they hold.
    """

    def one(item: Any) -> Any:
        if _is_estimator(item):
            return with_attributes(item, lambda held: converted(held, convert))
        return convert(item)

    return in_containers(one, value)


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def with_attributes(estimator: Any, convert: Convert) -> Any:
    """A copy of an estimator that holds ``convert(attribute)`` for all attributes."""
    copy = object.__new__(type(estimator))
    copy.__dict__ = {name: convert(value) for name, value in vars(estimator).items()}
    return copy


def fitted_outward(estimator: Any, convert: Convert) -> Any:
    """A copy whose fitted attributes are ``convert``'s arrays.

    Labels stay as they are, as they may be words; so do private containers, such as
    the state of a solver. The fitted estimators of a pipeline are its steps.
    """

    def one(value: Any) -> Any:
        if _is_estimator(value):
            return fitted_outward(value, convert)
        return convert(value) if is_numeric(value) else value

    copy = with_attributes(estimator, lambda value: value)
    for name, value in vars(estimator).items():
        fitted = name.endswith("_") or name == "steps" or is_numeric(value)
        if fitted and name != "classes_":
            copy.__dict__[name] = in_containers(one, value)
    return copy


def is_numeric(value: Any) -> bool:
    """Whether it is an array, of numbers if it is one of NumPy's."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return is_foreign(value) or on_device(value)


def check_same_kind(estimator: Any, fitted: Any, X: Any, method: str) -> None:
    """Refuse X of another kind than the estimator was fitted on, as scikit-learn does.

    Parameters
    ----------
    estimator : estimator
    fitted : array or None
        A fitted attribute, if there is one.
    X : array-like
        What the method is given.
    method : str
        Its name.
    """
    if fitted is None or (type(fitted) is type(X) is np.ndarray):
        return
    of_fit, of_X = Kind.of(fitted), Kind.of(X)
    if of_X != _NUMPY and not (dispatches() or on_device(X)):
        of_X = _NUMPY  # scikit-learn takes it as such
    if of_fit == of_X:
        return
    if of_fit.package != of_X.package:
        differ = (
            f"Array namespaces used during fit ({of_fit.package}) and {method} "
            f"({of_X.package}) differ."
        )
    else:
        differ = (
            f"Devices used during fit ({of_fit.device}) and {method} ({of_X.device}) "
            "differ."
        )
    raise ValueError(
        f"Inputs passed to {type(estimator).__name__}.{method}() must use the same "
        f"namespace and the same device as those passed to fit(). {differ} {_MOVE}"
    )


def host_of(array: Any) -> Any:
    """An array of NumPy's for one of another library or of a device; else itself."""
    if is_foreign(array):
        return to_numpy(array)
    return to_host(array) if on_device(array) else array
