"""Methods that map rows to rows, on dask's collections: lazily, chunk by chunk."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from sklearn.base import TransformerMixin

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


class LazyTransformer(TransformerMixin):
    """``TransformerMixin`` with a ``transform`` that is lazy on dask's collections.

    scikit-learn wraps that method to set the output's container, for which it would
    compute all rows. So dask's are told apart outside of what it wraps.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _tell_chunks_apart(cls)

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


_EACH = {"transform": on_chunks, "fit_transform": _fit_and_transform_chunks}


def _tell_chunks_apart(cls: type) -> None:
    for name, how in _EACH.items():
        if name in vars(cls):
            setattr(cls, name, how(getattr(cls, name)))


_tell_chunks_apart(LazyTransformer)
