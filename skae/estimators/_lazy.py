"""Methods of X's that are not NumPy's: results are of X's kind, and lie where X does.

On dask's collections methods that map rows to rows are lazy, chunk by chunk. Of arrays
of other libraries, fitted attributes, too, are of X's kind.
"""

from collections.abc import Callable
from functools import partial, wraps
from inspect import signature
from types import FunctionType
from typing import Any, TypeVar, cast

from sklearn.base import TransformerMixin

from skae.core.arrays import on_device
from skae.rows.array_api import (
    check_same_kind,
    converted,
    dispatches,
    fitted_outward,
    host_of,
    inward,
    is_foreign,
    is_numeric,
    outward,
    refuse_device,
)
from skae.rows.dask_collections import compute, is_dask, lazily

Method = TypeVar("Method", bound=Callable[..., Any])


def on_chunks(method: Method) -> Method:
    """Let a method that maps rows to rows take dask's collections too."""

    @wraps(method)
    def either(self: Any, X: Any) -> Any:
        # The one place beside reading that asks: nothing is to be read yet.
        return lazily(self, method.__name__, X) if is_dask(X) else method(self, X)

    return cast("Method", either)  # called alike


def computed(*arrays: Any) -> tuple[Any, ...]:
    """The arrays, those of dask's collections in this process."""
    if not any(map(is_dask, arrays)):
        return arrays
    return compute(arrays)


# Those that learn of X, and those that compute of it what has been learnt.
_FITS = {"fit", "partial_fit", "fit_transform"}
_APPLIES = {
    *("transform", "inverse_transform", "predict", "predict_proba"),
    *("predict_log_proba", "score", "score_samples", "corrupt"),
    *("feature_scores", "decision_function"),
}


def _following(method: Method, name: str) -> Method:
    """Let a method of X take arrays of other libraries, and return such."""
    fits = name in _FITS
    begins = fits and name != "partial_fit"

    @wraps(method)
    def either(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        if not getattr(self, "_goes_on_devices", False):
            refuse_device(type(self).__name__, X)
        if not (begins and not getattr(self, "warm_start", False)):
            check_same_kind(self, _fitted(self), X, name)
        given = (X, *args, *kwargs.values())
        elsewhere = on_device(X)
        foreign = any(map(is_foreign, given)) and dispatches()
        if not (elsewhere or foreign):
            return method(self, X, *args, **kwargs)
        if elsewhere:
            bound = signature(method).bind(self, X, *args, **kwargs)
            for key in {*bound.arguments} - {"self", "X", "X_unlabeled"}:
                bound.arguments[key] = host_of(bound.arguments[key])
            result = method(*bound.args, **bound.kwargs)
            if fits:
                vars(self).update(vars(fitted_outward(self, outward(X))))
            return _numeric_outward(result, X)
        args = tuple(map(host_of, args))
        kwargs = {key: host_of(value) for key, value in kwargs.items()}
        if not is_foreign(X):
            return method(self, X, *args, **kwargs)
        inner = converted(self, inward)
        result = method(inner, inward(X), *args, **kwargs)
        if fits:
            # The parameters stay those that were given, and not copies.
            given = self.get_params(deep=False)
            self.__dict__ = {**vars(fitted_outward(inner, outward(X))), **given}
        if result is inner:
            return self
        return _numeric_outward(result, X)

    return cast("Method", either)


def _numeric_outward(result: Any, X: Any) -> Any:
    """An array of numbers as one of X's kind; anything else as it is."""
    return outward(X)(result) if is_numeric(result) else result


def _fitted(estimator: Any) -> Any:
    """An array that a fit has left, which tells the kind of its X."""
    held = vars(estimator)
    for name in ("components_", "coefs_", "mean_", "center_"):
        if name in held:
            return held["coefs_"][0] if name == "coefs_" else held[name]
    return None


class ArrayApiMixin:
    """An estimator whose methods take arrays of other libraries, and return such.

    Those on a device only where there is a true ``_goes_on_devices``.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _FITS | _APPLIES:
            method: Any = vars(cls).get(name)
            if isinstance(method, FunctionType):
                setattr(cls, name, _following(method, name))
            elif hasattr(method, "around"):  # of ``only_where``
                setattr(cls, name, method.around(partial(_following, name=name)))

    def __sklearn_array_api_convert__(self, converter: Callable[[Any], Any]) -> Any:
        """A copy whose fitted attributes are ``converter``'s, for scikit-learn."""
        return fitted_outward(self, converter)


class LazyTransformer(ArrayApiMixin, TransformerMixin):
    """``TransformerMixin`` with a ``transform`` that is lazy on dask's collections.

    scikit-learn wraps that method to set the output's container, for which it would
    compute all rows. So dask's are told apart outside of what it wraps.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _tell_apart(cls)

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit to X, and encode it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), optional
            Targets, of estimators that take some.
        **fit_params : dict
            What else ``fit`` takes, such as ``sample_weight``.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            What ``fit(X, y, **fit_params).transform(X)`` returns.
        """
        return super().fit_transform(X, y, **fit_params)


def _fit_and_transform_chunks(method: Method) -> Method:
    @wraps(method)
    def either(self: Any, X: Any, y: Any = None, **fit_params: Any) -> Any:
        if is_dask(X):
            return self.fit(X, y, **fit_params).transform(X)
        return method(self, X, y, **fit_params)

    return cast("Method", either)


def _tell_apart(cls: type) -> None:
    """Let the two methods of a class that return codes take dask's collections."""
    each = {"transform": on_chunks, "fit_transform": _fit_and_transform_chunks}
    for name, lazy in each.items():
        method: Any = vars(cls).get(name)
        if isinstance(method, FunctionType):
            setattr(cls, name, lazy(method))


_tell_apart(LazyTransformer)
