"""The only file that imports private scikit-learn names or bridges versions.

Everything else uses scikit-learn's public interface. Tried on 1.6 to 1.9.
"""

from contextlib import nullcontext

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils._array_api import _convert_to_numpy, get_namespace
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.metadata_routing import _routing_enabled
from sklearn.utils.validation import _check_method_params, _check_sample_weight

try:  # from 1.9
    from sklearn.callback import CallbackSupportMixin

    # For a ``with`` statement around a fit. The public decorator of the same would put
    # a frame between ``fit`` and its caller, whom our warnings point at.
    from sklearn.callback._callback_support import (
        callback_management_context as managed_callbacks,
    )

    HAS_CALLBACKS = True
except ImportError:
    HAS_CALLBACKS = False
    managed_callbacks = nullcontext

    class CallbackSupportMixin:
        """Stands where scikit-learn has no callbacks yet."""


__all__ = [
    "HAS_CALLBACKS",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "callback_context",
    "check_sample_weight",
    "in_container",
    "like_frame",
    "managed_callbacks",
    "params_of_rows",
    "routes_metadata",
    "rows_of",
    "to_numpy",
    "validate_params",
]


def validate_params(estimator):
    """Check the constructor's parameters against ``_parameter_constraints``."""
    estimator._validate_params()


def check_sample_weight(sample_weight, X):
    """Non-negative weights in X's dtype, not all of them zero; None stays None."""
    if sample_weight is None:
        return None
    # scikit-learn checks this itself from 1.9.
    if np.all(np.asarray(sample_weight) == 0):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    with np.errstate(over="ignore"):
        weights = _check_sample_weight(
            sample_weight, X, dtype=X.dtype, ensure_non_negative=True
        )
    _check_total(weights)
    return weights


def _check_total(weights):
    """Refuse weights that no sum can hold, or that nobody was to check."""
    if np.isnan(weights).any():
        raise ValueError("Input sample_weight contains NaN.")
    total = weights.sum(dtype=np.float64)
    most = float(np.finfo(weights.dtype).max) ** 0.9
    if not total <= most:
        raise ValueError(
            f"sample_weight is too large: it sums to {total:.2g}, against {most:.2g} "
            f"at most in {weights.dtype}; divide it by its mean."
        )


def callback_context(estimator, n_subtasks, sequential=True):
    """The root of a fit's tasks, or None where no callback follows the fit."""
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return estimator._init_callback_context(
        max_subtasks=n_subtasks, sequential_subtasks=sequential
    )


def in_container(estimator, values, X, columns):
    """Values as the container that the estimator's, or else all, output is set to.

    Parameters
    ----------
    estimator : estimator
        Its ``set_output`` counts first.
    values : ndarray of shape (n_samples, n_columns)
        What is returned as it is by default.
    X : object
        What the values were computed of; a data frame gives its index.
    columns : ndarray of shape (n_columns,)
        Names.
    """
    container = _get_output_config("transform", estimator)["dense"]
    if container == "default":
        return values
    adapter = ADAPTERS_MANAGER.adapters[container]
    return adapter.create_container(values, X, columns=columns)


def like_frame(values, X):
    """Values in a data frame such as X, with its names and its index, if X is one."""
    adapter = ADAPTERS_MANAGER.adapters.get(type(X).__module__.partition(".")[0])
    if adapter is None or not hasattr(X, "columns"):
        return values
    return adapter.create_container(values, X, columns=list(X.columns))


def routes_metadata():
    """Whether ``fit`` hands on only the metadata that has been requested."""
    return _routing_enabled()


def rows_of(X, index):
    """Rows of an array, a list, a sparse matrix or a table."""
    return _safe_indexing(X, index)


def params_of_rows(X, params, index):
    """Parameters of a method for some rows of X: of those with a row each, theirs."""
    return _check_method_params(X, params, index)


def to_numpy(array):
    """An array of another library in the host's memory as one of NumPy's."""
    if hasattr(array, "detach"):  # a tensor may have a gradient
        array = array.detach()
    return _convert_to_numpy(array, get_namespace(array)[0])
