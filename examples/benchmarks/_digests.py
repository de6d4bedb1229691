"""A digest of a fitted estimator: of every bit that a user can see."""

import hashlib
from collections.abc import Mapping

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator


def absorb(digest, value):
    """Add a value, its type and all that it contains to a hash."""
    if isinstance(value, BaseEstimator):
        digest.update(type(value).__name__.encode())
        absorb(digest, fitted(value))
    elif isinstance(value, Mapping):
        digest.update(b"mapping")
        for key in sorted(value, key=str):
            absorb(digest, [key, value[key]])
    elif isinstance(value, list | tuple):
        digest.update(f"{len(value)} values".encode())
        for part in value:
            absorb(digest, part)
    elif issparse(value):
        absorb(digest, [value.format, value.shape, value.toarray()])
    elif isinstance(value, np.ndarray) and value.dtype == object:
        absorb(digest, [value.shape, value.ravel().tolist()])
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str} {value.shape}".encode())
        digest.update(value.tobytes(order="C"))
    elif isinstance(value, np.generic):
        absorb(digest, np.asarray(value))
    elif value is None or isinstance(value, bool | int | float | str):
        digest.update(f"{type(value).__name__} {value!r}".encode())
    elif callable(value):
        absorb(digest, value.__qualname__)
    else:
        raise TypeError(f"no digest of a {type(value).__name__}: {value!r}")


def fitted(estimator):
    """All public attributes that fitting set."""
    names = vars(estimator)
    return {n: names[n] for n in names if n.endswith("_") and not n.startswith("_")}


METHODS = ("transform", "predict", "predict_proba", "score_samples", "jacobian_norm")


def outcome(estimator, X, y=None):
    """A digest of a fitted estimator and of what it makes of a few rows."""
    made = {
        name: getattr(estimator, name)(X)
        for name in METHODS
        if hasattr(estimator, name)
    }
    made["score"] = estimator.score(X) if y is None else estimator.score(X, y)
    if hasattr(estimator, "corrupt") and not issparse(X) and type(X) is np.ndarray:
        made["corrupt"] = estimator.corrupt(X, random_state=1)
    made = {n: v.compute() if hasattr(v, "compute") else v for n, v in made.items()}
    if hasattr(estimator, "inverse_transform"):
        made["inverse_transform"] = estimator.inverse_transform(made["transform"])
    digest = hashlib.sha256()
    absorb(digest, [estimator, made])
    return digest.hexdigest()[:16]
