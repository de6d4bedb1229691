"""What the displays share: Matplotlib on use, and the estimator that is meant."""

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline


def pyplot() -> Any:
    """``matplotlib.pyplot``, or an error that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "skae.plotting needs Matplotlib; install it with pip install matplotlib."
        ) from error
    return plt


def last_step(estimator: Any) -> Any:
    """The estimator that learnt: inside a search, at the end of a pipeline."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        else:
            return estimator


def dense(X: Any) -> npt.NDArray[Any]:
    """X as an array: of a list, a table or a sparse matrix."""
    return X.toarray() if issparse(X) else np.asarray(X)


def check_count(name: str, value: Any) -> None:
    """Raise unless the value is a whole number from 1."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {value!r}.")


def check_option(name: str, value: str, options: Collection[str]) -> None:
    """Raise unless the value is one of the options."""
    if value not in options:
        allowed = " or ".join(map(repr, options))
        raise ValueError(f"{name} must be {allowed}, got {value!r}.")
