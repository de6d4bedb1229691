"""Test of the difference of two scores over folds that share training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class Paired:
    """Mean difference of two scores, with its interval and its p-value.

    Parameters
    ----------
    difference, error : float
        Mean over the folds, and its corrected standard error.
    low, high : float
        The 95 % interval.
    p : float
        Two-sided p-value of the hypothesis that there is no difference.
    """

    difference: float
    error: float
    low: float
    high: float
    p: float


def corrected_error(scores: np.ndarray, test_share: float) -> float:
    """Standard error of a mean over J folds, √((1/J + n_test/n_train) s²).

    The folds' training sets overlap, so that s²/J, for independent scores, is too
    small; this is the correction of Nadeau and Bengio [1]_.

    Parameters
    ----------
    scores : ndarray of shape (n_folds,)
    test_share : float
        Ratio of the numbers of scored rows and training rows, n_test/n_train.

    References
    ----------
    .. [1] C. Nadeau and Y. Bengio, Inference for the generalization error, Machine
       Learning 52 (2003) 239-281.
    """
    n = len(scores)
    if n < 2:
        return float("nan")
    return float(np.sqrt((1 / n + test_share) * scores.var(ddof=1)))


def paired_test(differences: np.ndarray, test_share: float) -> Paired:
    """The corrected resampled t-test, also of repeated folds [2]_.

    Parameters
    ----------
    differences : ndarray of shape (n_folds,)
        Differences of two scores on the same folds.
    test_share : float
        See ``corrected_error``.

    References
    ----------
    .. [2] R. R. Bouckaert and E. Frank, Evaluating the replicability of significance
       tests for comparing learning algorithms, PAKDD 2004.
    """
    mean = float(differences.mean())
    error = corrected_error(differences, test_share)
    freedom = len(differences) - 1
    # Of equal differences the variance cannot be estimated.
    if not np.isfinite(error) or (error == 0 and mean != 0):
        return Paired(mean, error, float("nan"), float("nan"), float("nan"))
    reach = float(stdtrit(freedom, 0.975)) * error
    p = 1.0 if error == 0 else 2 * float(stdtr(freedom, -abs(mean) / error))
    return Paired(mean, error, mean - reach, mean + reach, p)
