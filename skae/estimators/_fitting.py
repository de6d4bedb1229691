"""Around a fit: what it leaves, what a failure leaves, and what is warned of."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

from skae._warnings import warn
from skae.training.messages import LIMITS


class Fitted:
    """Types of attributes that every fit sets, for type checkers and completion."""

    n_features_in_: int
    feature_names_in_: np.ndarray
    n_iter_: int


class FittedAutoencoder(Fitted):
    """And of those that autoencoders of one layer have."""

    components_: np.ndarray
    intercept_hidden_: np.ndarray
    decoder_components_: np.ndarray
    intercept_visible_: np.ndarray
    mean_activation_: np.ndarray
    code_scale_: np.ndarray
    loss_: float
    loss_terms_: dict[str, float]
    loss_curve_: np.ndarray
    loss_curve_terms_: dict[str, np.ndarray]
    validation_scores_: np.ndarray | None
    penalties_: dict[str, list[float]]
    sparsity_of_weights_: dict[str, float]


class FittedStack(Fitted):
    """And of those that stacks have."""

    layers_: list[Any] | None
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    code_scale_: np.ndarray
    loss_: float | None
    loss_curve_: np.ndarray | None
    loss_curves_: dict[str, np.ndarray]
    validation_scores_: np.ndarray | None
    penalties_: dict[str, list[float]]
    sparsity_of_weights_: list[float]
    n_layers_: int


class FittedDictionary(Fitted):
    """And of those that sparse coding has."""

    components_: np.ndarray
    loss_curve_: np.ndarray
    pooling_: csr_array
    sparsity_weight_: float
    dictionary_penalty_: float


class ExtremeRowMixin:
    """Warns of a row that alone sets the scale of training.

    A meta-estimator that expects such rows, or that warns of them itself, silences the
    estimators that it fits by ``expect_extreme_rows``.
    """

    _expects_extreme_rows = False

    def __sklearn_clone__(self) -> Self:
        """A clone that is as silent: a search fits clones, perhaps elsewhere."""
        clone: Self = super().__sklearn_clone__()  # type: ignore[misc]
        if self._expects_extreme_rows:
            clone._expects_extreme_rows = True
        return clone

    def _warn_of_extreme_row(self, extreme: tuple[int, float] | None) -> None:
        """Warn of ``Moments.extreme_row`` of the rows, after a fit that succeeded."""
        if extreme is None or self._expects_extreme_rows:
            return
        row, part = extreme
        # Rounded down, and never to all of it.
        percent = min(np.floor(1e4 * part) / 100, 99.99)
        warn(
            f"Row {row} of X, counted from 0, is so far from the others that it alone "
            f"makes up {percent:g} % of the variance of X. {type(self).__name__} "
            "adapts to this row, and learns too little from the others. Correct the "
            "row or leave it out; or limit its values, for instance with "
            "QuantileTransformer, or with RobustScaler followed by numpy.clip. "
            "ReconstructionOutlierDetector finds more such rows. In cross-validation, "
            "X is the training part of a fold."
        )


def expect_extreme_rows(estimator: Any) -> Any:
    """Let an estimator, and those among its parameters, warn of no extreme row."""
    for part in _estimators_in(estimator):
        if isinstance(part, ExtremeRowMixin):
            part._expects_extreme_rows = True
    return estimator


def _estimators_in(value: Any) -> Iterator[Any]:
    """What has parameters, in a value, its parameters, and lists and dicts of these."""
    values: Any = ()
    if isinstance(value, FrozenEstimator):
        return  # the user's own, which is not fitted again
    if hasattr(value, "get_params") and not isinstance(value, type):
        yield value
        values = value.get_params(deep=False).values()
    elif isinstance(value, Mapping):
        values = value.values()
    elif isinstance(value, list | tuple):
        values = value
    for each in values:
        yield from _estimators_in(each)


@contextmanager
def unchanged_on_error(estimator):
    """Give a fit that fails the attributes back that an earlier one has set."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        # In one step: another thread may be predicting.
        estimator.__dict__ = before
        raise


def warn_if_cut_short(estimator, status, stage="Training", fault=None, kept="weights"):
    """Warn, at whoever called for the fit, if it has not converged.

    Where joblib runs it among others, Ctrl-C is meant for all of them, and raised.

    Parameters
    ----------
    estimator : estimator
        What was fitted.
    status : str or None
        How training ended.
    stage : str
        Of the fit.
    fault : str or None
        What makes it no fit at all, in words.
    kept : str
        What an interrupt leaves.
    """
    name = type(estimator).__name__
    if fault is not None:
        warn(f"{stage} of {name} {fault}", ConvergenceWarning)
    elif status in LIMITS:
        warn(
            f"{stage} stopped at {status}={getattr(estimator, status)} before {name} "
            f"converged; increase {status}, or tol if the loss has levelled off.",
            ConvergenceWarning,
        )
    if status == "interrupted":
        if _is_one_of_several():
            raise KeyboardInterrupt
        verb = "are" if kept.endswith("s") else "is"
        warn(f"Training interrupted by user; the {kept} found so far {verb} kept.")


def _is_one_of_several():
    """Whether joblib runs this fit, as for a grid search, with ``n_jobs=1`` too."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "joblib.parallel":
            return True
        frame = frame.f_back
    return False
