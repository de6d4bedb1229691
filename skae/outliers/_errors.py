"""What an error counts: scales of features, and their contributions to a row's score.

NumPy only. An entry that is not there, NaN, counts nothing, and those that are there
stand for it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

# The share of the rows that sets a scale. Of normal errors it is their standard
# deviation that comes out.
_SHARE = 0.9
_NORMAL_QUANTILE = 1.6448536269514722  # of (1 + _SHARE) / 2
# A scale is at least this part of the root mean square, so that a feature that nearly
# all rows have in common, or reconstruct exactly, does not outweigh the others.
_LEAST_OF_RMS = 0.25
# And a scale of errors at least this part of the feature's own: errors of rounding
# are none.
LEAST_OF_FEATURE = 0.01
_HUBER = 1.5


def squared(error: Array) -> Array:
    """z²."""
    return np.square(error)


def absolute(error: Array) -> Array:
    """|z|."""
    return np.abs(error)


def huber(error: Array) -> Array:
    """z² up to |z| = 1.5, and its tangent from there: 3 |z| − 2.25; in place."""
    size = np.abs(error, out=error)
    # min(|z|, δ) (2 |z| − min(|z|, δ)) is both pieces.
    inner = np.minimum(size, _HUBER)
    size *= 2
    size -= inner
    size *= inner
    return size


ERRORS = {"huber": huber, "squared": squared, "absolute": absolute}


def quantile(values: Array, share: float, weights: Array | None = None) -> Array:
    """Of each column, the value that ``share`` of the weight lies below.

    A step of the distribution function that is met exactly is halved, as in the usual
    median. A weight of two is a row twice; NaN is no value, and a column of nothing
    else gives NaN.

    Parameters
    ----------
    values : ndarray of shape (n_samples,) or (n_samples, n_features)
        Each column by itself.
    share : float
        In [0, 1].
    weights : ndarray of shape (n_samples,), optional
        Non-negative.
    """
    given = values
    values = values.reshape(len(values), -1)
    order = np.argsort(values, axis=0)  # NaN last
    ordered = np.take_along_axis(values, order, axis=0)
    if weights is None:
        weights = np.ones(len(values))
    counts = np.where(np.isnan(ordered), 0.0, weights[order])
    below = np.cumsum(counts, axis=0)
    level = share * below[-1]
    low = np.minimum((below < level).sum(axis=0), len(values) - 1)
    # The first row of a weight above the level.
    high = np.minimum((below <= level).sum(axis=0), _last(counts))
    columns = np.arange(values.shape[1])
    result = (ordered[low, columns] + ordered[high, columns]) / 2
    return result if given.ndim > 1 else result[0]


def _last(counts: Array) -> npt.NDArray[np.intp]:
    """The last row of each column that counts."""
    return len(counts) - 1 - (counts[::-1] > 0).argmax(axis=0)


def spread(errors: Array, weights: Array | None = None) -> Array:
    """A robust scale of each column about zero, like a standard deviation.

    The size that nine errors of ten stay below, over that of normal ones, but a quarter
    of the root mean square at least: what a tenth of the rows does moves it little.
    """
    present = ~np.isnan(errors)
    counts = present * (1.0 if weights is None else weights[:, np.newaxis])
    total = np.maximum(counts.sum(axis=0), np.finfo(float).tiny)
    squares = np.where(present, errors, 0.0) ** 2
    rms = np.sqrt((counts * squares).sum(axis=0) / total)
    sizes = np.abs(errors)
    share = np.nan_to_num(quantile(sizes, _SHARE, weights)) / _NORMAL_QUANTILE
    return np.maximum(share, _LEAST_OF_RMS * rms)


def or_one(scale: Array) -> Array:
    """The scale, but 1 for a feature that has none."""
    return np.where(scale > 0, scale, 1.0)


def upper_fence(scores: Array, weights: Array | None = None) -> float:
    """Tukey's upper fence of the square roots: q₃ + 1.5 (q₃ − q₁), as a score.

    Roots of a sum of squares are nearly normal, by Fisher's approximation of χ.
    """
    roots = np.sqrt(scores)
    low, high = (float(quantile(roots, share, weights)) for share in (0.25, 0.75))
    return (high + 1.5 * (high - low)) ** 2


def for_missing(contributions: Array) -> Array:
    """NaN as zero, and what is there as much more, in place: d over how many they are.

    So the scores of rows with missing entries and of others can be compared.
    """
    # NaN alone makes a sum of what is not negative NaN.
    if np.isnan(contributions.sum()):
        missing = np.isnan(contributions)
        n_features = contributions.shape[1]
        there = n_features - missing.sum(axis=1, keepdims=True)
        contributions[missing] = 0
        contributions *= n_features / np.maximum(there, 1)
    return contributions
