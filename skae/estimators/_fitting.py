"""Around a fit: rows that count, what a failure leaves, and what is warned of."""

import warnings
from contextlib import contextmanager

import numpy as np
from sklearn.exceptions import ConvergenceWarning


def present(weights, *arrays):
    """Leave out rows of weight zero: absent means absent.

    From ranges, from counts of noisy rows, from early stopping.

    Parameters
    ----------
    weights : ndarray of shape (n_samples,) or None
    *arrays : ndarray of shape (n_samples, ...)

    Returns
    -------
    weights, *arrays
        Themselves where no weight is zero.
    """
    if weights is None or weights.all():
        return weights, *arrays
    kept = weights > 0
    return weights[kept], *(array[kept] for array in arrays)


def targets_that_count(weights, y):
    """Give rows of weight zero the target of a row that counts.

    So they stay where they are beside the rows, and absent from classes and ranges.

    Parameters
    ----------
    weights : ndarray of shape (n_samples,) or None
    y : array of shape (n_samples, ...)
        Targets, dense or CSR.

    Returns
    -------
    y
        Itself where no weight is zero.
    """
    if weights is None or weights.all():
        return y
    return y[np.where(weights > 0, np.arange(len(weights)), weights.argmax())]


@contextmanager
def unchanged_on_error(estimator):
    """Give a fit that fails the attributes back that an earlier one has set."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


FAULTS = {
    "diverged": "{stage} of {name} has diverged: constant predictions would be better. "
    "Steps with learning_rate_init={rate} are too long; lower it.",
    "not begun": "{stage} of {name} took its start for a minimum: no entry of the "
    "gradient exceeds tol={tol}, while predictions are about as good as constant ones. "
    "Lower tol, or the weights of the penalties.",
}


def warn_if_cut_short(estimator, status, stage="Training", fault=None, kept="weights"):
    """Warn, at the caller of the ``fit`` that calls this, if it has not converged."""
    if fault is not None:
        given = {
            "stage": stage,
            "name": type(estimator).__name__,
            "rate": getattr(estimator, "learning_rate_init", None),
            "tol": estimator.tol,
        }
        warnings.warn(FAULTS[fault].format(**given), ConvergenceWarning, stacklevel=3)
    elif status in ("max_iter", "max_fun"):
        warnings.warn(
            f"{stage} stopped at {status}={getattr(estimator, status)} before it "
            f"converged; increase {status}, or tol if the loss has levelled off.",
            ConvergenceWarning,
            stacklevel=3,
        )
    if status == "interrupted":
        verb = "are" if kept.endswith("s") else "is"
        warnings.warn(
            f"Training interrupted by user; the {kept} so far {verb} kept.",
            stacklevel=3,
        )
