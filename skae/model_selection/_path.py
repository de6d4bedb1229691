"""Fits for a sequence of values, each starting from the fit before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import Bunch

from skae.estimators._fitting import warn_if_cut_short
from skae.model_selection._values import path_values
from skae.rows.array_api import refuse_device

# A code is near zero below this fraction of the largest of its unit.
_NEARLY = 0.05

# ``each(index, fitted, seconds)``, called after every fit of a path.
Each = Callable[[int, Any, float], Any]


def autoencoder_path(
    estimator: Any,
    X: Any,
    *,
    param_name: str = "sparsity_weight",
    param_range: int | Sequence[Any] = 10,
    y: Any = None,
    sample_weight: Any = None,
    return_estimators: bool = False,
    callback: Callable[[Any, Any], Any] | None = None,
    verbose: int = 0,
) -> Bunch:
    """Fit an autoencoder for a sequence of values of one parameter.

    Only the first fit starts from random weights. Every other fit starts from the
    weights of the fit before it, as for the path of the lasso [1]_.

    Most penalties are fitted from the strongest to the weakest. ``alpha``,
    ``contraction_weight`` and, with ``sparsity="l1"``, ``sparsity_weight`` are fitted
    from the weakest to the strongest, because units that a strong penalty has made
    inactive would stay inactive. ``corruption_level`` is fitted from the highest to the
    lowest value [2]_, and ``sparsity_target`` from the smallest to the largest. In our
    experiments, these orders led to lower losses, or took less time.

    Parameters
    ----------
    estimator : estimator
        An autoencoder of this package, such as ``SparseAutoencoder()``. A clone of it
        is fitted.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training data.

    param_name : str, default="sparsity_weight"
        Name of the parameter: "sparsity_weight", "sparsity_target", "alpha",
        "contraction_weight", "dictionary_penalty" or "corruption_level", if the
        estimator has this parameter.

    param_range : int or sequence, default=10
        The values, at least two, in any order. They are numbers or, for weights of
        penalties, multiples of "scale" such as ``[("scale", 0.1), ("scale", 1)]``.
        "scale" is a fraction of the loss of constant predictions. An int is the number
        of values of a geometric sequence, which runs

        * for "alpha" from the weight above which nothing is learnt, because zero
          weights are a minimum, to 0.01 times "scale";
        * for "sparsity_weight" from 10 times to 0.01 times "scale", or from 100 times
          with ``sparsity="l1"``;
        * for other weights from 100 times to 0.01 times "scale";
        * for "sparsity_target" from 1 / n_components, but at least 0.005, to 0.5;
        * for "corruption_level" from 3 times to 1/15 of "scale", which is from 0.9 to
          0.02 of the entries or, for Gaussian noise, of their standard deviation.

    y : array-like of shape (n_samples,), default=None
        Targets, for estimators that need them.

    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.

    return_estimators : bool, default=False
        Whether to return the fitted estimators.

    callback : callable, default=None
        Function ``callback(value, fitted)``, called after each fit. If it returns True,
        the path ends. ``fitted`` is fitted again for the next value, so copy what you
        want to keep.

    verbose : int, default=0
        If not 0, print a line for each value.

    Returns
    -------
    Bunch
        A dictionary with the following entries:

        * ``param_name``, str: the name of the parameter;
        * ``param_range``, list: the values, in the given order or, for an int,
          from the first to the last value listed above;
        * ``order``, (n_fitted,): the indices of the values in the order of the fits;
        * ``losses``, (n_values,): the loss for each value;
        * ``loss_terms``, dict of str to (n_values,): the terms of the loss;
        * ``scores``, (n_values,): the ``score`` of the estimator, for autoencoders the
          fraction of the variance of X that is explained;
        * ``mean_codes``, (n_values, n_components): the mean code of each unit;
        * ``near_zero``, (n_values,): the fraction of codes whose absolute value is at
          most 5 % of the largest of their unit;
        * ``effective``, list: the value that the fit used, such as
          ``sparsity_weight_`` or ``penalties_`` of the fitted estimator;
        * ``seconds`` and ``n_iters``, (n_values,): duration and number of iterations;
        * ``estimators``, list: the fitted estimators, with ``return_estimators=True``.

        If Ctrl-C or the callback ended the path, the entries for the remaining values
        are NaN or None.

    Raises
    ------
    ValueError
        If the estimator does not have this parameter, if the parameter has no effect,
        or if there are fewer than two values or invalid ones.
    TypeError
        If the estimator is not an autoencoder of this package, or a TopKAutoencoder,
        which has no parameter for a path; or if ``callback`` is not callable.

    See Also
    --------
    AutoencoderCV : Choose a value by a path in every fold.
    skae.plotting.PathDisplay : Draw the path.

    Notes
    -----
    The loss is not convex, so a path may end in other minima than fits from random
    weights. The user guide compares their losses.

    References
    ----------
    .. [1] Jerome Friedman, Trevor Hastie and Rob Tibshirani, Regularization paths for
       generalized linear models via coordinate descent, Journal of Statistical
       Software 33 (2010).
    .. [2] Krzysztof J. Geras and Charles Sutton, Scheduled denoising autoencoders,
       ICLR 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoder, autoencoder_path
    >>> X, _ = load_digits(return_X_y=True)
    >>> autoencoder = SparseAutoencoder(16, tol=0.1, random_state=0)
    >>> path = autoencoder_path(autoencoder, X[:300], param_range=4)
    >>> [round(times, 2) for scale, times in path.param_range]
    [10.0, 1.0, 0.1, 0.01]
    >>> path.mean_codes.shape
    (4, 16)
    >>> bool(path.losses[-1] < path.losses[0])
    True
    """
    if callback is not None and not callable(callback):
        raise TypeError(
            "callback must be a function callback(value, fitted) or None, got "
            f"{callback!r}."
        )
    refuse_device("autoencoder_path", X)
    path = path_values(estimator, X, param_name, param_range)
    values = path.given
    given = {"sample_weight": sample_weight} if sample_weight is not None else {}
    table = _Table(estimator, param_name, len(values), X, y, return_estimators)

    def each(index: int, fitted: Any, seconds: float) -> Any:
        table.note(index, fitted, seconds)
        if verbose:
            print(
                f"{param_name} {shown(values[index])}  loss {table.losses[index]:.6e}  "
                f"score {table.scores[index]:.4f}  {seconds:.2f} s",
                flush=True,
            )
        return callback is not None and callback(values[index], fitted)

    done, interrupted = follow(
        estimator, param_name, values, path.order, X, y, given, each
    )
    if interrupted:
        warn_if_cut_short(estimator, "interrupted", kept="values")
    return table.bunch(values, done)


def follow(
    estimator: Any,
    param_name: str,
    values: Sequence[Any],
    order: Sequence[int],
    X: Any,
    y: Any,
    fit_params: dict[str, Any],
    each: Each,
) -> tuple[list[int], bool]:
    """Fit one value after the other; each fit starts from the last one.

    Parameters
    ----------
    estimator : estimator
        A clone of it is fitted.
    param_name, values, order : str, sequence, sequence of int
        The parameter, its values, and the indices in the order of the fits.
    X, y, fit_params : array-like, array-like or None, dict
        Arguments of ``fit``.
    each : callable
        ``each(index, fitted, seconds)``, called after each fit. If it returns True, the
        path ends.

    Returns
    -------
    done : list of int
        Indices of the values that were fitted.
    interrupted : bool
        Whether Ctrl-C ended the path.
    """
    fitted = clone(estimator)
    done: list[int] = []
    try:
        for index in order:
            fitted.set_params(**{param_name: values[index], "warm_start": bool(done)})
            began = time.perf_counter()
            # Inside joblib, a fit raises KeyboardInterrupt; alone, it would end with
            # the weights so far.
            Parallel(n_jobs=1)([delayed(fitted.fit)(X, y, **fit_params)])
            seconds = time.perf_counter() - began
            ends = each(index, fitted, seconds)
            done.append(index)
            if isinstance(ends, bool | np.bool_) and ends:
                break
    except KeyboardInterrupt:
        return done, True
    return done, False


class _Table:
    """The results of the fits of a path."""

    def __init__(
        self,
        estimator: Any,
        param_name: str,
        n_values: int,
        X: Any,
        y: Any,
        keeps_estimators: bool,
    ) -> None:
        self._estimator, self._name = estimator, param_name
        self._X, self._y = X, y
        empty = np.full(n_values, np.nan)
        self.losses, self.scores, self.near_zero, self.seconds, self.n_iters = (
            empty.copy() for _ in range(5)
        )
        self._terms: list[dict[str, float]] = [{} for _ in range(n_values)]
        self._means: list[Any] = [None] * n_values
        self._effective: list[Any] = [None] * n_values
        self._estimators: list[Any] | None = None
        if keeps_estimators:
            self._estimators = [None] * n_values

    def note(self, index: int, fitted: Any, seconds: float) -> None:
        """Add the results of one fit."""
        loss = getattr(fitted, "loss_", None)
        self.losses[index] = fitted.loss_curve_[-1] if loss is None else loss
        self._terms[index] = getattr(fitted, "loss_terms_", {})
        self.scores[index] = fitted.score(self._X, self._y)
        codes = np.asarray(fitted.transform(self._X))
        self._means[index] = codes.mean(axis=0)
        self.near_zero[index] = near_zero(codes)
        self._effective[index] = effective(fitted, self._name)
        self.seconds[index], self.n_iters[index] = seconds, fitted.n_iter_
        if self._estimators is not None:
            # The next fit replaces attributes and does not change them in place.
            self._estimators[index] = as_given(copy(fitted), self._estimator)

    def bunch(self, values: list[Any], order: list[int]) -> Bunch:
        """All results."""
        names = {name: None for terms in self._terms for name in terms}
        terms = {
            name: np.array([terms.get(name, np.nan) for terms in self._terms])
            for name in names
        }
        some = next((mean for mean in self._means if mean is not None), np.empty(0))
        missing = np.full(len(some), np.nan)
        more = {} if self._estimators is None else {"estimators": self._estimators}
        return Bunch(
            param_name=self._name,
            param_range=values,
            order=np.array(order, dtype=int),
            effective=self._effective,
            losses=self.losses,
            loss_terms=terms,
            scores=self.scores,
            mean_codes=np.array([missing if m is None else m for m in self._means]),
            near_zero=self.near_zero,
            seconds=self.seconds,
            n_iters=self.n_iters,
            **more,
        )


def as_given(fitted: Any, estimator: Any) -> Any:
    """The fitted estimator with the original ``warm_start``."""
    return fitted.set_params(warm_start=estimator.warm_start)


def near_zero(codes: np.ndarray) -> float:
    """Fraction of codes of at most 5 % of the largest of their unit."""
    sizes = np.abs(codes)
    return float(np.mean(sizes <= _NEARLY * sizes.max(axis=0)))


def effective(fitted: Any, param_name: str) -> Any:
    """The value of a parameter that a fit used, with "scale" resolved."""
    if param_name == "alpha":
        return fitted.penalties_
    return getattr(fitted, f"{param_name}_", getattr(fitted, param_name))


def shown(value: Any) -> str:
    """A value of a path as text."""
    if isinstance(value, tuple | list):
        return f"{value[1]:.4g} x scale"
    return value if isinstance(value, str) else f"{value:.4g}"
