"""Spreads of features, and the functions ρ that turn errors into contributions.

NumPy only. Missing entries (NaN) contribute nothing, and the contributions of the
other entries are scaled up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

# A spread is this quantile of the absolute values, divided by the same quantile for the
# standard normal distribution. For normal errors it is the standard deviation.
_SHARE = 0.9
_NORMAL_QUANTILE = 1.6448536269514722  # of (1 + _SHARE) / 2
# A spread is at least this fraction of the root mean square. Otherwise, a feature that
# is equal or exactly reconstructed in nearly all rows would dominate the score.
_LEAST_OF_RMS = 0.25
# The spread of the errors is at least this fraction of the spread of the feature, so
# that rounding errors do not count.
LEAST_OF_FEATURE = 0.01
_HUBER = 1.5


def squared(error: Array) -> Array:
    """z²."""
    return np.square(error)


def absolute(error: Array) -> Array:
    """|z|."""
    return np.abs(error)


def huber(error: Array) -> Array:
    """z² up to |z| = 1.5, and the tangent 3 |z| − 2.25 above, in place."""
    size = np.abs(error, out=error)
    # min(|z|, δ) (2 |z| − min(|z|, δ)) equals both formulas.
    inner = np.minimum(size, _HUBER)
    size *= 2
    size -= inner
    size *= inner
    return size


ERRORS = {"huber": huber, "squared": squared, "absolute": absolute}


def sum_squared(error: Array) -> Array:
    """Σ z² of each row."""
    return np.vecdot(error, error)


def sum_absolute(error: Array) -> Array:
    """Σ |z| of each row."""
    return np.dot(np.abs(error), np.ones(error.shape[1]))


def sum_huber(error: Array) -> Array:
    """Σ c (2 z − c) of each row, with c = z clipped to ±1.5."""
    inner = np.clip(error, -_HUBER, _HUBER)
    sums = np.vecdot(inner, error)
    sums *= 2
    sums -= np.vecdot(inner, inner)
    return sums


# Sums of the functions over each row, in fewer steps.
SUMS = {"huber": sum_huber, "squared": sum_squared, "absolute": sum_absolute}


def quantile(values: Array, share: float, weights: Array | None = None) -> Array:
    """Weighted quantile of each column.

    If the quantile lies between two values, it is their mean, as for the usual median.
    A row with weight two counts like two equal rows. NaN is ignored. The quantile of a
    column with only NaN is NaN.

    Parameters
    ----------
    values : ndarray of shape (n_samples,) or (n_samples, n_features)
        The values. Each column is treated separately.
    share : float
        The level of the quantile, in [0, 1].
    weights : ndarray of shape (n_samples,), optional
        Non-negative weights of the rows.
    """
    given = values
    values = values.reshape(len(values), -1)
    if weights is None and not np.isnan(values.sum()):
        result = _plain_quantile(values, share)
        return result if given.ndim > 1 else result[0]
    order = np.argsort(values, axis=0)  # NaN last
    ordered = np.take_along_axis(values, order, axis=0)
    if weights is None:
        weights = np.ones(len(values))
    counts = np.where(np.isnan(ordered), 0.0, weights[order])
    below = np.cumsum(counts, axis=0)
    level = share * below[-1]
    low = np.minimum((below < level).sum(axis=0), len(values) - 1)
    # The first row with a cumulative weight above the level.
    high = np.minimum((below <= level).sum(axis=0), _last(counts))
    columns = np.arange(values.shape[1])
    result = (ordered[low, columns] + ordered[high, columns]) / 2
    return result if given.ndim > 1 else result[0]


def _plain_quantile(values: Array, share: float) -> Array:
    """``quantile`` without weights or NaN, for which the rows need not be sorted."""
    below = np.arange(1, len(values) + 1)
    level = share * len(values)
    low = min(int((below < level).sum()), len(values) - 1)
    high = min(int((below <= level).sum()), len(values) - 1)
    # Along the last axis, of contiguous rows.
    ordered = np.partition(np.ascontiguousarray(values.T), (low, high), axis=1)
    return (ordered[:, low] + ordered[:, high]) / 2


def _last(counts: Array) -> npt.NDArray[np.intp]:
    """The last row with a positive count, in each column."""
    return len(counts) - 1 - (counts[::-1] > 0).argmax(axis=0)


def spread(errors: Array, weights: Array | None = None) -> Array:
    """Robust estimate of the standard deviation of each column about zero.

    The 90 % quantile of the absolute values, divided by this quantile for the standard
    normal distribution, but at least a quarter of the root mean square. A tenth of the
    rows or less has only a small influence on it.
    """
    present = ~np.isnan(errors)
    counts = present * (1.0 if weights is None else weights[:, np.newaxis])
    total = np.maximum(counts.sum(axis=0), np.finfo(float).tiny)
    squares = np.where(present, errors, 0.0) ** 2
    rms = np.sqrt((counts * squares).sum(axis=0) / total)
    sizes = np.abs(errors)
    share = np.nan_to_num(quantile(sizes, _SHARE, weights)) / _NORMAL_QUANTILE
    return np.maximum(share, _LEAST_OF_RMS * rms)


def refuse_too_large(deviations: Array, dtype: Any) -> Array:
    """The deviations, if their squares, which spreads are made of, are finite."""
    most = float(np.nanmax(np.abs(deviations), initial=0.0))
    if most > np.sqrt(np.finfo(dtype).max):
        raise ValueError(
            f"X has entries as far as {most:.1g} from the median of their column, and "
            f"the squares of such distances overflow {np.dtype(dtype).name}. Divide X "
            "by a constant, or correct these entries."
        )
    return deviations


def or_one(scale: Array) -> Array:
    """The scale, with 1 in place of 0."""
    return np.where(scale > 0, scale, 1.0)


def upper_fence(scores: Array, weights: Array | None = None) -> float:
    """Tukey's upper fence q₃ + 1.5 (q₃ − q₁) of the square roots, squared again.

    The root of a sum of squares is nearly normal, by Fisher's approximation of χ.
    """
    roots = np.sqrt(scores)
    low, high = (float(quantile(roots, share, weights)) for share in (0.25, 0.75))
    return (high + 1.5 * (high - low)) ** 2


def for_missing(contributions: Array) -> Array:
    """Replace NaN by zero, and scale up the other entries of the row, in place.

    The factor is d divided by the number of observed entries. Scores of rows with and
    without missing entries can then be compared.
    """
    # The terms are not negative, so the sum is NaN only if a term is.
    if np.isnan(contributions.sum()):
        missing = np.isnan(contributions)
        n_features = contributions.shape[1]
        there = n_features - missing.sum(axis=1, keepdims=True)
        contributions[missing] = 0
        contributions *= n_features / np.maximum(there, 1)
    return contributions
