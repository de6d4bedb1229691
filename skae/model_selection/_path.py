"""Fits along a parameter, each of which starts from the one before."""

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
    """Fit an autoencoder at each value of a parameter, from one to the next.

    As on the path of a lasso [1]_, only the first fit starts from random weights. Every
    other one starts from the weights of its neighbour, which are nearly right.
    Penalties are fitted from the strongest to the weakest, but ``alpha``,
    ``contraction_weight`` and, with ``sparsity="l1"``, ``sparsity_weight`` from the
    weakest on, as what they have silenced would stay silent; ``corruption_level`` from
    the highest to the lowest [2]_, and ``sparsity_target`` from the smallest up. Those
    were the orders that ended at the lower losses, or in less time.

    Parameters
    ----------
    estimator : estimator
        An autoencoder of this package, such as ``SparseAutoencoder()``. It is cloned.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training data.

    param_name : str, default="sparsity_weight"
        The parameter: "sparsity_weight", "sparsity_target", "alpha",
        "contraction_weight", "dictionary_penalty" or "corruption_level", whichever
        the estimator has.

    param_range : int or sequence, default=10
        The values, at least two, in any order: numbers, or for the weight of a penalty
        multiples of its own scale, ``[("scale", 0.1), ("scale", 1)]``. An int makes
        so many in a geometric sequence, whose ends are found from the data: for "alpha"
        from the weight at which zero is a minimum, and nothing is learnt, down to a
        hundredth of "scale"; for other weights from 10 or, of penalties without a
        target, 100 times to a hundredth of "scale", which is a fraction of the loss of
        constant predictions; for
        "sparsity_target" from one active unit at a time (but 0.005 at least) to half of
        them; for "corruption_level" from 0.9 to 0.02, of Gaussian noise from 3 to 0.05
        times the spread of X.

    y : array-like of shape (n_samples,), default=None
        Targets, of estimators that have some.

    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.

    return_estimators : bool, default=False
        Whether to keep the fitted estimators.

    callback : callable, default=None
        ``callback(value, fitted)``, called after each fit; what is True ends the path.
        ``fitted`` goes on to the next value: copy what is to be kept.

    verbose : int, default=0
        Whether to print a line for each value.

    Returns
    -------
    Bunch
        With, for each value of ``param_range``, a list, in the order they are given or
        made (the strongest penalty first):

        * ``losses``, (n_values,), and ``loss_terms``, a dict of the like by term;
        * ``scores``, (n_values,): fraction of the variance of X explained, or what
          ``score`` of the estimator is;
        * ``mean_codes``, (n_values, n_components), means of what ``transform`` gives;
        * ``near_zero``, (n_values,): share of codes below a twentieth of the
          largest of their unit;
        * ``effective``, list: what a value has come to, such as ``sparsity_weight_`` or
          ``penalties_`` of the fitted estimator;
        * ``seconds`` and ``n_iters``, (n_values,), of the fits;
        * ``estimators``, list, if they are kept.

        And ``param_name`` and ``order``, (n_fitted,), in which they
        were fitted. Where Ctrl-C or the callback has ended the path, the rest is nan or
        None.

    Raises
    ------
    ValueError
        If there is no such parameter, if it has no effect on this estimator, or if
        values are not allowed or fewer than two.
    TypeError
        If the estimator is none of this package.

    See Also
    --------
    AutoencoderCV : Such a path in every fold, to choose a value.
    skae.plotting.PathDisplay : Draws it.

    Notes
    -----
    The loss is not convex, and a path may come to other minima than fits from random
    weights do; on the whole to lower ones, see the page on choosing in the user guide.

    References
    ----------
    .. [1] J. Friedman, T. Hastie and R. Tibshirani, Regularization paths for
       generalized linear models via coordinate descent, Journal of Statistical
       Software 33 (2010).
    .. [2] K. J. Geras and C. Sutton, Scheduled denoising autoencoders, ICLR 2015.

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
    """Fit at one value after the other; each fit starts where the last one ended.

    Parameters
    ----------
    estimator : estimator
        It is cloned.
    param_name, values, order : str, sequence, sequence of int
        The path.
    X, y, fit_params : array-like, array-like or None, dict
        For ``fit``.
    each : callable
        ``each(index, fitted, seconds)``; what is True ends the path.

    Returns
    -------
    done : list of int
        Indices of the values at which there are fits.
    interrupted : bool
        Whether Ctrl-C ended it.
    """
    fitted = clone(estimator)
    done: list[int] = []
    try:
        for index in order:
            fitted.set_params(**{param_name: values[index], "warm_start": bool(done)})
            began = time.perf_counter()
            # Under joblib a fit raises Ctrl-C, where alone it keeps its weights.
            Parallel(n_jobs=1)([delayed(fitted.fit)(X, y, **fit_params)])
            seconds = time.perf_counter() - began
            ends = each(index, fitted, seconds)
            done.append(index)
            if ends is True:
                break
    except KeyboardInterrupt:
        return done, True
    return done, False


class _Table:
    """What is kept of the fits of a path."""

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
        """Take in a fit."""
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
            # A fit sets new attributes and changes none of the old.
            self._estimators[index] = as_given(copy(fitted), self._estimator)

    def bunch(self, values: list[Any], order: list[int]) -> Bunch:
        """All of it."""
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
    """The fitted estimator, with the ``warm_start`` that its model has."""
    return fitted.set_params(warm_start=estimator.warm_start)


def near_zero(codes: np.ndarray) -> float:
    """Share of codes below a twentieth of the largest of their unit."""
    sizes = np.abs(codes)
    return float(np.mean(sizes <= _NEARLY * sizes.max(axis=0)))


def effective(fitted: Any, param_name: str) -> Any:
    """What a parameter has come to in a fit."""
    if param_name == "alpha":
        return fitted.penalties_
    return getattr(fitted, f"{param_name}_", getattr(fitted, param_name))


def shown(value: Any) -> str:
    """A value of a path in a line of text."""
    if isinstance(value, tuple | list):
        return f"{value[1]:.4g} x scale"
    return value if isinstance(value, str) else f"{value:.4g}"
