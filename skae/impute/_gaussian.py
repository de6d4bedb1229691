"""Linear prediction of missing entries: conditional means of a Gaussian.

For rows x ~ N(μ, Σ) of which the entries o are observed and m are missing, the best
prediction is linear in what was observed, and different for each pattern of missing
entries,

    E(x_m | x_o) = μ_m − Λ_mm⁻¹ Λ_mo (x_o − μ_o),   Λ = Σ⁻¹.

μ and Σ are found by expectation maximisation (Dempster, Laird & Rubin 1977). There are
often fewer rows than a covariance needs, so that correlations are shrunk towards zero,
R → (1 − λ) R + λ I, by the estimate of the best factor (Schäfer & Strimmer 2005, with
the number of rows in which both columns were observed),

    λ = Σ_{i≠j} Var(r_ij) / Σ_{i≠j} r_ij²,   Var(r_ij) ≈ (1 − r_ij²)² / n_ij.

Of rows that are far from Gaussian the predictions may still vary too much. They are
multiplied, about the mean, by a slope: that of entries that were hidden, on predictions
from rows in which they were.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

_MAX_ITER, _TOL = 30, 1e-2
_LEAST_SHRINKAGE, _LEAST_VARIANCE = 1e-6, 1e-6
# Multiplications that one iteration may take, half a second or so: with more, it learns
# from fewer rows, but at least from four times as many as there are columns.
_MULTIPLICATIONS, _OF_EACH_ROW = 5e8, 1000
# How often entries are hidden to find the slope: once, if so many are hidden then.
_N_HIDDEN, _MANY_HIDDEN = 2, 5000
# Numbers that the blocks of rows in which as many entries are missing may have.
_NUMBERS_AT_A_TIME = 2**20


class Gaussian(NamedTuple):
    """Mean and covariance of complete rows, and by what predictions are multiplied."""

    mean: np.ndarray  # (d,)
    covariance: np.ndarray  # (d, d)
    slope: float = 1.0


def learn(X: np.ndarray) -> Gaussian:
    """The Gaussian of rows X, (n, d), of columns with mean 0 and variance 1, with NaN.

    Each column must have an observed entry.
    """
    X = _some_rows(X)
    factor = shrinkage(X)  # which depends on how many rows there are
    n, d = X.shape
    missing = np.isnan(X)
    gaussian = Gaussian(np.zeros(d), np.eye(d))
    last: Any = None
    for _ in range(_MAX_ITER):
        filled, uncertain = _expected(X, gaussian)
        if last is not None:
            change = np.square(filled - last).sum()
            if change <= _TOL**2 * np.count_nonzero(missing):
                break
        mean = filled.mean(axis=0)
        deviations = filled - mean
        covariance = (deviations.T @ deviations + uncertain) / n
        gaussian = Gaussian(mean, _shrunk(covariance, factor))
        last = filled
    return gaussian


def fill(X: np.ndarray, gaussian: Gaussian) -> np.ndarray:
    """A copy of the rows, with linear predictions in place of missing entries."""
    filled = _expected(X, gaussian, with_covariance=False)[0]
    if gaussian.slope == 1:
        return filled
    shrunk = gaussian.mean + gaussian.slope * (filled - gaussian.mean)
    return np.where(np.isnan(X), shrunk, filled)


def slope(X: np.ndarray, random_state: np.random.RandomState) -> float:
    """Of entries of X that are hidden on their conditional means, in [0, 1].

    In each row those are hidden that are missing in another row, so that they are
    missing in the way in which entries are.
    """
    X = _some_rows(X)
    missing = np.isnan(X)
    products = squares = 0.0
    n_hidden = 0
    for _ in range(_N_HIDDEN):
        if n_hidden >= _MANY_HIDDEN:
            break
        hidden = missing[random_state.permutation(len(X))] & ~missing
        hidden[:, (~missing & ~hidden).sum(axis=0) < 2] = False
        if not hidden.any():
            continue
        left = np.where(hidden, np.nan, X)
        gaussian = learn(left)
        predicted = (fill(left, gaussian) - gaussian.mean)[hidden]
        products += float(predicted @ (X - gaussian.mean)[hidden])
        squares += float(predicted @ predicted)
        n_hidden += len(predicted)
    return min(1.0, max(0.0, products / squares)) if squares else 1.0


def error(X: np.ndarray, gaussian: Gaussian) -> float:
    """Root mean square error that conditional means of missing entries should have.

    Of complete rows, that of a single missing entry.
    """
    X = _some_rows(X)
    n_missing = np.count_nonzero(np.isnan(X))
    if n_missing:
        variance = np.trace(_expected(X, gaussian)[1]) / n_missing
    else:
        variance = np.mean(1 / np.diag(np.linalg.inv(gaussian.covariance)))
    return float(np.sqrt(variance))


def shrinkage(X: np.ndarray) -> float:
    """The factor λ by which correlations of the columns of X, with NaN, are shrunk.

    Columns have mean 0 and variance 1. Correlations are those of the rows in which both
    columns were observed.
    """
    observed = ~np.isnan(X)
    counts = observed.astype(np.float64)
    values = np.where(observed, X, 0.0)
    pairs = counts.T @ counts
    variances = np.square(values).T @ counts
    scale = np.sqrt(variances * variances.T)
    known = (pairs > 1) & (scale > 0)
    np.fill_diagonal(known, False)
    products = values.T @ values
    squares = np.square(np.minimum(1, np.abs(products[known]) / scale[known]))
    variance = np.sum(np.square(1 - squares) / pairs[known])
    total = squares.sum()
    if variance >= total:
        return 1.0
    return max(_LEAST_SHRINKAGE, float(variance / total))


def _some_rows(X: np.ndarray) -> np.ndarray:
    """All rows, or as many at equal distances as the time allows."""
    n, d = X.shape
    of_inverse = np.mean(np.isnan(X).sum(axis=1, dtype=np.float64) ** 3)
    each = of_inverse + d * d + _OF_EACH_ROW
    most = max(4 * d, int(_MULTIPLICATIONS / each))
    return X if n <= most else X[np.linspace(0, n - 1, most).astype(int)]


def _shrunk(covariance: np.ndarray, factor: float) -> np.ndarray:
    """The covariance with all but its diagonal times 1 − ``factor``."""
    out = (1 - factor) * covariance
    np.fill_diagonal(out, np.maximum(np.diag(covariance), _LEAST_VARIANCE))
    return out


def _expected(
    X: np.ndarray, gaussian: Gaussian, with_covariance: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Conditional means, and the sum over all rows of conditional covariances."""
    mean, covariance = gaussian.mean, gaussian.covariance
    d = len(mean)
    precision = np.linalg.inv(covariance)
    filled = np.array(X, np.float64)
    uncertain = np.zeros(d * d)
    for rows, columns in _alike(np.isnan(X)):
        values = X[rows] - mean
        each = np.arange(len(rows))[:, np.newaxis]
        values[each, columns] = 0
        # Λ_mo (x_o − μ_o), as what is missing counts as zero.
        known = (values @ precision)[each, columns]
        block = precision[columns[:, :, np.newaxis], columns[:, np.newaxis]]
        if with_covariance:
            block = np.linalg.inv(block)
            predicted = np.vecdot(block, known[:, np.newaxis])
            places = columns[:, :, np.newaxis] * d + columns[:, np.newaxis]
            uncertain += np.bincount(places.ravel(), block.ravel(), d * d)
        else:
            predicted = np.linalg.solve(block, known[:, :, np.newaxis])[:, :, 0]
        filled[rows[:, np.newaxis], columns] = mean[columns] - predicted
    return filled, uncertain.reshape(d, d)


def _alike(missing: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows with equally many missing entries, and the columns of these, (rows, m)."""
    counts = missing.sum(axis=1)
    for m in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == m)
        columns = np.nonzero(missing[rows])[1].reshape(len(rows), m)
        step = max(1, _NUMBERS_AT_A_TIME // (m * m))
        for start in range(0, len(rows), step):
            yield rows[start : start + step], columns[start : start + step]
