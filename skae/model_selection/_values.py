"""The values of a path: which are allowed, the default range, and their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone

from skae._sklearn import validate_params
from skae.core.activations import ACTIVATIONS
from skae.core.losses import LOSSES
from skae.estimators._base import BaseAutoencoder
from skae.estimators._parameters import n_units, strength
from skae.estimators._stack import BaseStack
from skae.estimators.coding import SparseCoding
from skae.estimators.top_k import TopKAutoencoder
from skae.rows.moments import Moments
from skae.rows.reading import read
from skae.training.scale import Scale

# The range in which a penalty has an effect, as multiples of its scale. If the mean
# code is kept near a given value, a tenth of the strongest penalty is sufficient for
# that.
_STRONGEST, _STRONGEST_OF_MEANS, _WEAKEST = 100.0, 10.0, 0.01
_POWER_ITERATIONS = 30

Ends = tuple[float, float]


@dataclass(frozen=True)
class Parameter:
    """A parameter for which each fit of a path can start from the fit before it.

    Parameters
    ----------
    descends : callable
        ``descends(estimator) -> bool``: whether the largest value is fitted first;
        otherwise the smallest is.
    largest_is_strongest : bool
        Whether the largest value restricts the codes most.
    is_strength : bool
        Whether values may be multiples of the penalty's own scale.
    ends : callable
        ``ends(estimator, X) -> (first, last)`` of a range, as multiples of the
        penalty's own scale for a strength.
    idle : callable
        ``idle(estimator) -> str or None``: the reason why it has no effect, if so.
    """

    descends: Callable[[Any], bool]
    largest_is_strongest: bool
    is_strength: bool
    ends: Callable[[Any, Any], Ends]
    idle: Callable[[Any], str | None]


@dataclass(frozen=True)
class Values:
    """The values of a path.

    Parameters
    ----------
    given : list
        The values, as ``set_params`` accepts them.
    order : list of int
        Their indices in the order of the fits.
    strongest_first : list of int
        Their indices, from the value that restricts the codes most to that which
        restricts them least.
    """

    given: list[Any]
    order: list[int]
    strongest_first: list[int]


def _always(estimator: Any) -> str | None:
    return None


def _down(estimator: Any) -> bool:
    return True


def _up(estimator: Any) -> bool:
    return False


def _down_unless_l1_of_codes(estimator: Any) -> bool:
    # Units that such a penalty has made inactive do not learn any more.
    return getattr(estimator, "sparsity", None) != "l1"


def _has_penalty(estimator: Any) -> str | None:
    if getattr(estimator, "sparsity", "") is None:
        return "with sparsity=None there is no such penalty; use sparsity='kl'"
    return None


def _has_target(estimator: Any) -> str | None:
    if estimator.sparsity != "kl":
        return f"sparsity={estimator.sparsity!r} has none; use sparsity='kl'"
    return None


def _has_level(estimator: Any) -> str | None:
    if callable(estimator.corruption):
        return "a callable corruption does not use it; use corruption='masking'"
    return None


def _of_strength(estimator: Any, X: Any) -> Ends:
    return _STRONGEST, _WEAKEST


def _of_sparsity(estimator: Any, X: Any) -> Ends:
    of_sizes = getattr(estimator, "sparsity", None) == "l1"
    return _STRONGEST if of_sizes else _STRONGEST_OF_MEANS, _WEAKEST


def _of_decay(estimator: Any, X: Any) -> Ends:
    return max(strongest_decay(estimator, X), 1.0), _WEAKEST


def _of_target(estimator: Any, X: Any) -> Ends:
    """From one active unit at a time to half of the units."""
    k = n_units(estimator.n_components, np.shape(X)[1])
    return min(max(1 / k, 0.005), 0.25), 0.5


def _of_corruption(estimator: Any, X: Any) -> Ends:
    """From noise that leaves almost nothing of a row."""
    return 3.0, 1 / 15


PARAMETERS = {
    "sparsity_weight": Parameter(
        _down_unless_l1_of_codes, True, True, _of_sparsity, _has_penalty
    ),
    "sparsity_target": Parameter(_up, False, False, _of_target, _has_target),
    # Zero weights have a zero gradient, so a path cannot leave them.
    "alpha": Parameter(_up, True, True, _of_decay, _always),
    "contraction_weight": Parameter(_up, True, True, _of_strength, _always),
    "dictionary_penalty": Parameter(_down, True, True, _of_strength, _always),
    "corruption_level": Parameter(_down, True, True, _of_corruption, _has_level),
}


def check_path(estimator: Any, param_name: Any) -> Parameter:
    """The parameter of that name, if a path along it is possible."""
    kinds = BaseAutoencoder, SparseCoding, BaseStack
    if isinstance(estimator, TopKAutoencoder):
        raise TypeError(
            "TopKAutoencoder has no parameter along which a path is possible, got "
            f"{estimator!r}; use GridSearchCV for n_nonzero_coefs or n_components."
        )
    if not isinstance(estimator, kinds):
        raise TypeError(
            "A path needs an autoencoder of skae, such as SparseAutoencoder(), got "
            f"{estimator!r}; a pipeline takes AutoencoderCV as a step, where the "
            "autoencoder would stand, and GridSearchCV searches other estimators."
        )
    name = type(estimator).__name__
    allowed = [p for p in PARAMETERS if p in estimator.get_params(deep=False)]
    if param_name not in allowed:
        raise ValueError(
            f"param_name must be one of {', '.join(map(repr, allowed))} for {name}, "
            f"got param_name={param_name!r}; use GridSearchCV for other parameters."
        )
    parameter = PARAMETERS[param_name]
    why = parameter.idle(estimator)
    if why is not None:
        others = " or ".join(
            repr(p) for p in allowed if PARAMETERS[p].idle(estimator) is None
        )
        raise ValueError(
            f"param_name={param_name!r} has no effect on {name}: {why}, or "
            f"param_name={others}."
        )
    return parameter


def path_values(estimator: Any, X: Any, param_name: str, param_range: Any) -> Values:
    """The values of a path.

    Parameters
    ----------
    estimator : estimator
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    param_name : str
    param_range : int or sequence
        As in ``autoencoder_path``.
    """
    parameter = check_path(estimator, param_name)
    if isinstance(param_range, int | np.integer) and not isinstance(param_range, bool):
        if param_range < 2:
            raise ValueError(
                f"param_range must be at least 2 values, got param_range={param_range}."
            )
        first, last = parameter.ends(estimator, X)
        sizes = np.geomspace(first, last, int(param_range)).tolist()
        values = [("scale", t) for t in sizes] if parameter.is_strength else sizes
    else:
        values = _given(param_range)
        sizes = _sizes(estimator, parameter, param_name, values)
    up = np.argsort(sizes, kind="stable").tolist()
    return Values(
        values,
        up[::-1] if parameter.descends(estimator) else up,
        up[::-1] if parameter.largest_is_strongest else up,
    )


def _given(param_range: Any) -> list[Any]:
    if isinstance(param_range, str) or not hasattr(param_range, "__iter__"):
        raise ValueError(
            "param_range must be an int, how many values, or the values themselves, "
            f"got param_range={param_range!r}."
        )
    # Python's numbers: parameters are shown, pickled and compared.
    return [v.item() if isinstance(v, np.generic) else v for v in param_range]


def _sizes(
    estimator: Any, parameter: Parameter, param_name: str, values: Sequence[Any]
) -> list[float]:
    """Numbers by which to order the values, which must be valid and differ."""
    sizes, kinds = [], set()
    for value in values:
        one = clone(estimator).set_params(**{param_name: value})
        validate_params(one)
        if parameter.is_strength:
            size, of_scale = strength(one, param_name)
        elif isinstance(value, Real):
            size, of_scale = float(value), False
        else:
            raise ValueError(
                f"param_range must be numbers for {param_name}, got {value!r}."
            )
        sizes.append(size)
        kinds.add(of_scale)
    if len(kinds) > 1:
        raise ValueError(
            "param_range must be either numbers or multiples of 'scale', not both, "
            f"got param_range={list(values)!r}."
        )
    if len(sizes) < 2 or len(set(sizes)) < len(sizes):
        raise ValueError(
            "param_range must be at least 2 values that differ, got "
            f"param_range={list(values)!r}."
        )
    return sizes


def strongest_decay(estimator: Any, X: Any) -> float:
    """The multiple of alpha="scale" from which nothing is learnt.

    Near W = D = 0 an autoencoder is linear. A unit along v gains s v'Cv |w| |d| of the
    squared error, with C the covariance of X and s ≤ max f' the unit's slope, and costs
    (α_W w² + α_D d²)/2. So from √(α_W α_D) = s λ₁(C) on zero weights are a minimum, as
    in [1]_. With an L1 part the gain s C_cc |w| |d| − ½ s² C_cc |w|² |d|² on a column c
    must pay for a (|w| + |d|), which it never does from a = (s/3) C_cc √(2/(3s)) on.

    References
    ----------
    .. [1] D. Kunin, J. M. Bloom, A. Goeva and C. Seed, Loss landscapes of regularized
       linear autoencoders, ICML 2019.
    """
    if not isinstance(estimator, BaseAutoencoder):
        return _STRONGEST
    rows, moments = _rows(estimator, X)
    scale = Scale.of(moments, LOSSES[estimator.loss], rows.dtype)
    squares, absolute = scale.alphas(
        1.0,
        float(estimator.l1_ratio),
        estimator.output_activation,
        estimator.loss,
        estimator.tied_weights,
    )
    slope = 0.25 if ACTIVATIONS[estimator.activation].bounds == (0, 1) else 1.0
    if estimator.output_activation == "logistic" and estimator.loss == "squared_error":
        slope *= 0.25
    most = np.inf
    with np.errstate(divide="ignore", invalid="ignore"):
        if estimator.l1_ratio < 1:
            gain = slope * _largest_eigenvalue(rows, moments.mean)
            most = min(most, gain / np.sqrt(squares[0] * squares[1]))
        if estimator.l1_ratio > 0:
            gain = slope / 3 * np.sqrt(2 / (3 * slope)) * _variances(rows).max()
            most = min(most, gain / np.sqrt(absolute[0] * absolute[1]))
    return float(most) if 0 < most < np.inf else _STRONGEST


def _rows(estimator: Any, X: Any) -> tuple[Any, Moments]:
    """X as an array or a sparse matrix, and its moments."""
    given = read(clone(estimator), X, reset=True)
    if not given.local:
        raise ValueError(
            "param_range must be the values themselves where X is a dask collection, "
            "whose range is not looked for."
        )
    data = given.data()
    return data.X.given, data.moments


def _largest_eigenvalue(X: Any, mean: np.ndarray) -> float:
    """λ₁ of the covariance of X, by the power method."""
    v = np.random.RandomState(0).normal(size=X.shape[1])
    size = 0.0
    for _ in range(_POWER_ITERATIONS):
        v /= np.linalg.norm(v)
        scores = X @ v - mean @ v
        v = (X.T @ scores - mean * scores.sum()) / X.shape[0]
        size = float(np.linalg.norm(v))
        if size == 0:
            break
    return size


def _variances(X: Any) -> np.ndarray:
    """Variances of the columns of X."""
    if not issparse(X):
        return np.var(X, axis=0, dtype=np.float64)
    squares = np.asarray(X.multiply(X).mean(axis=0)).ravel()
    return squares - np.asarray(X.mean(axis=0)).ravel() ** 2
