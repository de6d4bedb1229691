"""Column means and variance of rows, from which the scale of the data follows.

They are computed in float64, a few rows at a time, without differences of large
squares. They also tell whether the data are constant, too large or too small to train
on, or dominated by a single row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from skae.core.arrays import beside, number, ones, to_host, vecdot
from skae.rows.memory_map import blocks_of

_ENTRIES_AT_A_TIME = 2**18
# A row is extreme if the variance of the others is less than this part of that of all,
# and all rows weigh at least so many times as much: one of few, or one that counts as
# many, may well be most of the variance.
_OTHERS, _LEAST_ROWS = 0.1, 20
# Variances below this have lost digits, or all of them.
_LEAST_SQUARE = float(np.finfo(np.float64).tiny)

Part = tuple[slice, np.ndarray]


@dataclass(frozen=True)
class Moments:
    """Column means, and the mean squared distance of the rows from them.

    Of incomplete rows both are of the entries that were observed: a row's distance is a
    sum over those, and a column's mean is 0 where there are none.
    """

    mean: np.ndarray  # (n_features,), float64
    variance: float  # summed over the columns
    # What share of the rows has each column, (n_features,), float64; None: all.
    observed: np.ndarray | None = None
    # The row that adds most to the variance, and the part of the variance that would
    # be gone without it; None where it weighs more than a twentieth of all rows, and
    # where rows come in pieces or lie on a device.
    farthest: tuple[int, float] | None = None

    @property
    def extreme_row(self) -> tuple[int, float] | None:
        """``farthest``, if that row alone makes up nearly all of the variance.

        The scale of the rows is then that of the one row, and more than three times as
        large as that of the others.
        """
        if self.farthest is None or self.farthest[1] <= 1 - _OTHERS:
            return None
        return self.farthest

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")
    def combined(cls, moments: Sequence[Moments], totals: Sequence[float]) -> Moments:
        """Moments of all rows, of those of blocks and their sums of weights.

        The squared distances between the blocks' means come on top of those within
        the blocks: no difference of large squares is taken.
        """
        sums = np.array(totals)
        if any(m.observed is not None for m in moments):
            return cls._combined_of_observed(moments, sums)
        mean = sum(w * m.mean for w, m in zip(sums, moments, strict=True))
        mean /= sums.sum()
        mean = _of_what_is_there(
            mean, lambda: any(np.isnan(m.mean).any() for m in moments)
        )
        shifts = [m.mean - mean for m in moments]
        variances = [
            m.variance + shift @ shift for m, shift in zip(moments, shifts, strict=True)
        ]
        return cls(mean, float(sums @ variances / sums.sum()))

    @classmethod
    def _combined_of_observed(
        cls, moments: Sequence[Moments], sums: np.ndarray
    ) -> Moments:
        each = [
            np.ones(len(m.mean)) if m.observed is None else m.observed for m in moments
        ]
        shares = np.array(each) * sums[:, np.newaxis]  # weights of the entries
        means = np.array([m.mean for m in moments])
        mean = _mean_of_observed((shares * means).sum(axis=0), shares.sum(axis=0))
        between = (shares * (means - mean) ** 2).sum()
        within = sums @ np.array([m.variance for m in moments])
        total = sums.sum()
        variance = float(between + within) / total
        return cls(mean, variance, shares.sum(axis=0) / total)

    @np.errstate(over="ignore")  # of numbers that ``check_magnitude`` refuses
    def no_variation(self, dtype: np.dtype) -> bool:
        """Whether all rows count as equal: what varies is rounding at most."""
        rounding = 10 * np.finfo(dtype).eps * np.linalg.norm(self.mean)
        return bool(self.variance <= rounding**2)

    @np.errstate(over="ignore")
    def check_magnitude(self, n_samples: int, dtype: np.dtype, name: str = "X") -> None:
        """Refuse X, or y, with which sums and gradients leave the range of its dtype.

        A gradient sums products of three numbers of X's size over the rows; the
        solver's coordinates divide by such products. NaN is refused, too: under
        scikit-learn's ``assume_finite`` nobody has looked for it.
        """
        if np.isnan(self.mean).any():
            raise ValueError(
                f"Input {name} contains NaN; fill in missing values, for instance with "
                "SimpleImputer, or leave their rows out."
            )
        info = np.finfo(dtype)
        size = (self.mean @ self.mean + self.variance) ** 0.5
        least = (10 * info.tiny) ** (1 / 3)
        most = (0.1 * info.max / n_samples) ** (1 / 3)
        if not size < most:
            size = np.nan_to_num(size, nan=np.inf, posinf=np.inf)  # inf less inf
            problem = f"large: rows of length {size:.2g}, against {most:.2g} at most"
            if np.isinf(size):
                problem += f" (or {name} contains infinity)"
        elif self.spread < least and not self.no_variation(dtype):
            or_less = " or less" * (self.variance <= _LEAST_SQUARE)
            problem = (
                f"small: spread {self.spread:.2g}{or_less}, against {least:.2g} at "
                "least"
            )
        else:
            return
        raise ValueError(
            f"{name} is too {problem}, for training in {dtype}; scale {name}, for "
            "instance with StandardScaler."
        )

    def check_columns(self, name: str = "X") -> None:
        """Refuse X of which a column has missing entries only: it has no mean."""
        if self.observed is None or self.observed.all():
            return
        columns = np.flatnonzero(self.observed == 0)
        which = ", ".join(map(str, columns[:5])) + ", ..." * (len(columns) > 5)
        raise ValueError(
            f"Input {name} has columns in which every entry is NaN, of which nothing "
            f"can be learnt: {which}. Leave them out."
        )

    @property
    def spread(self) -> float:
        """Root mean square deviation of an entry."""
        entries = len(self.mean) if self.observed is None else self.observed.sum()
        return float(self.variance / entries) ** 0.5 if entries else 0.0

    @property
    def size(self) -> float:
        """Root mean square length of a row."""
        return float(self.mean @ self.mean + self.variance) ** 0.5


def _of_what_is_there(mean: np.ndarray, has_nan: Callable[[], bool]) -> np.ndarray:
    """The mean, which is NaN only where X has that, and not of sums that overflow."""
    if np.isfinite(mean).all() or has_nan():
        return mean
    return np.where(np.isfinite(mean), mean, np.inf)


def _not_lost(variance: float, mean: np.ndarray, sizes: Iterator[Any]) -> float:
    """The variance; the least normal number for 0 if rows differ all the same.

    Squares of small deviations underflow. ``sizes`` yields absolute deviations from the
    mean, and is only read if needed.
    """
    if not variance < _LEAST_SQUARE:
        return variance
    tops = (size.max(axis=0, keepdims=True) for size in sizes if len(size))
    largest = max((float(to_host(top).max()) for top in tops), default=0.0)
    rounding = 10 * np.finfo(np.float64).eps * np.abs(mean).max()
    return _LEAST_SQUARE if largest > rounding else variance


class _Farthest:
    """Finds the row that adds most to the variance, of rows that come in blocks."""

    def __init__(self) -> None:
        self._row, self._part, self._weight = -1, 0.0, 0.0

    def see(self, start: int, parts: np.ndarray, weights: np.ndarray) -> None:
        """Rows from ``start`` on, and their weighted squared distances."""
        best = int(parts.argmax())
        if parts[best] > self._part:
            self._row, self._part = start + best, float(parts[best])
            self._weight = float(weights[best])

    def of(self, squares: float, total: float) -> tuple[int, float] | None:
        """The row, and the part of ``squares``, those of all rows, that goes with it.

        Without it the mean is another, too: of n rows, n/(n − 1) d² goes.
        """
        if not 0 < _LEAST_ROWS * self._weight <= total or not np.isfinite(squares):
            return None
        gone = self._part * float(total / (total - self._weight))
        return int(self._row), min(1.0, gone / squares)


def total_weight(n_rows: int, weights: np.ndarray | None) -> float:
    """How much so many rows weigh together, one each without weights."""
    return float(n_rows if weights is None else weights.sum(dtype=np.float64))


@np.errstate(over="ignore", invalid="ignore")  # check_magnitude refuses these
def dense_moments(X: np.ndarray, weights: np.ndarray | None) -> Moments:
    """Weighted moments of X, a few rows at a time, in float64."""
    if weights is None:
        weights = np.broadcast_to(ones(1, np.float64, X), X.shape[:1])
    total = number(weights.sum(dtype=np.float64))
    sums = sum(weights[b].astype(np.float64) @ X[b] for b in blocks_of(X))
    mean = to_host(sums) / float(total)
    mean = _of_what_is_there(
        mean, lambda: any(np.isnan(X[b]).any() for b in blocks_of(X))
    )
    squares, center, farthest = 0.0, beside(mean, X), _Farthest()
    for b in blocks_of(X):
        deviations = X[b] - center
        # Rows of weight zero may hold anything, and 0 times inf is nan.
        distances = np.where(weights[b] > 0, vecdot(deviations, deviations), 0)
        squares += number(weights[b] @ distances)
        if isinstance(X, np.ndarray):  # elsewhere, this would be a transfer a block
            farthest.see(b.start, weights[b] * distances, weights[b])
    squares, total = float(squares), float(total)
    sizes = (abs((X[b] - center)[weights[b] > 0]) for b in blocks_of(X))
    variance = _not_lost(squares / total, mean, sizes)
    return Moments(mean, variance, farthest=farthest.of(squares, total))


def _mean_of_observed(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)


@np.errstate(over="ignore", invalid="ignore")  # check_magnitude refuses these
def incomplete_moments(
    n_rows: int,
    weights: np.ndarray | None,
    parts: Callable[[], Iterator[Part]],
    entry_weights: np.ndarray | None = None,
) -> Moments:
    """Weighted moments of rows with missing entries, in float64.

    Parameters
    ----------
    n_rows : int
        All of them.
    weights : ndarray of shape (n_rows,) or None
        Of the rows.
    parts : callable
        ``parts()`` yields (slice, rows) of all parts of them, arrays with NaN.
    entry_weights : ndarray of shape (n_rows, n_features), optional
        Of the entries, zero where they are NaN.
    """
    if weights is None:
        weights = np.broadcast_to(np.ones(1), n_rows)
    weights = weights.astype(np.float64, copy=False)

    def weighted(values: Any, rows: slice) -> Any:
        return values if entry_weights is None else values * entry_weights[rows]

    counts: Any = 0.0
    sums: Any = 0.0
    for b, X in parts():
        there = ~np.isnan(X) & (weights[b] > 0)[:, np.newaxis]
        counts = counts + weights[b] @ weighted(there, b)
        values = np.where(there, X, 0).astype(np.float64)
        sums = sums + weights[b] @ weighted(values, b)
    mean = _mean_of_observed(np.asarray(sums), np.asarray(counts))
    mean = np.where(np.isfinite(mean), mean, np.inf)  # sums that overflow
    squares, farthest = 0.0, _Farthest()
    for b, X in parts():
        there = ~np.isnan(X) & (weights[b] > 0)[:, np.newaxis]
        deviations = np.where(there, X - mean, 0)
        lengths = np.vecdot(weighted(deviations, b), deviations)
        squares += float(weights[b] @ lengths)
        farthest.see(b.start, weights[b] * lengths, weights[b])
    total = float(weights.sum())
    observed = np.asarray(counts) / total
    sizes = (np.nan_to_num(abs(X - mean)[weights[b] > 0]) for b, X in parts())
    variance = _not_lost(squares / total, mean, sizes)
    return Moments(mean, variance, observed, farthest.of(squares, total))


@dataclass(frozen=True)
class _SparsePart:
    """Consecutive rows of a CSR matrix, by their entries."""

    rows: slice
    lengths: np.ndarray  # how many entries each row has
    columns: np.ndarray  # of each entry
    entries: np.ndarray  # in float64

    def each(self, of_rows: np.ndarray) -> np.ndarray:
        """What each entry's row has, of one number for every row of the matrix."""
        return np.repeat(of_rows[self.rows], self.lengths)

    def deviations(self, mean: np.ndarray) -> np.ndarray:
        """Of the entries from their columns' means."""
        deviations: np.ndarray = self.entries - mean[self.columns]
        return deviations


def _sparse_parts(X: Any) -> Iterator[_SparsePart]:
    """All rows of a CSR matrix, in parts that have about as many entries each."""
    step = max(_ENTRIES_AT_A_TIME, X.shape[1])
    bounds = np.searchsorted(X.indptr, np.arange(step, X.nnz, step))
    for start, stop in pairwise(np.unique([0, *bounds, X.shape[0]])):
        ends = X.indptr[start : stop + 1]
        part = slice(ends[0], ends[-1])
        entries = X.data[part].astype(np.float64)
        yield _SparsePart(slice(start, stop), np.diff(ends), X.indices[part], entries)


def _column_sums(
    X: Any, weights: np.ndarray, values: Callable[[_SparsePart], Any]
) -> np.ndarray:
    """Σ_i s_i v_ij over the entries, where ``values(part)`` gives v_ij of some."""
    sums = np.zeros(X.shape[1])
    for part in _sparse_parts(X):
        s = part.each(weights)
        # Rows of weight zero may hold anything, and 0 times inf is nan.
        terms = np.where(s > 0, values(part) * s, 0)
        sums += np.bincount(part.columns, terms, X.shape[1])
    return sums


def _farthest_of_sparse(
    X: Any, weights: np.ndarray, mean: np.ndarray, of_zeros: np.ndarray
) -> _Farthest:
    """The row that adds most, if a zero of column j adds ``of_zeros[j]``."""
    farthest, of_empty_row = _Farthest(), of_zeros.sum()
    for part in _sparse_parts(X):
        rows = np.repeat(np.arange(len(part.lengths)), part.lengths)
        more = part.deviations(mean) ** 2 - of_zeros[part.columns]
        s = weights[part.rows]
        distances = of_empty_row + np.bincount(rows, more, len(part.lengths))
        farthest.see(part.rows.start, s * np.where(s > 0, distances, 0), s)
    return farthest


@np.errstate(over="ignore", invalid="ignore")  # check_magnitude refuses these
def sparse_moments(X: Any, weights: np.ndarray | None) -> Moments:
    """Weighted moments of a CSR matrix, a few entries at a time.

    Zeros deviate by m_j, entries by x_ij − m_j: no difference of large squares.
    """
    if weights is None:
        weights = np.broadcast_to(np.ones(1), X.shape[0])
    weights = weights.astype(np.float64, copy=False)
    total = float(weights.sum())
    counted = (weights > 0).astype(np.float64)
    mean = _column_sums(X, weights, lambda part: part.entries) / total
    mean = _of_what_is_there(mean, lambda: bool(np.isnan(X.data).any()))
    squares = _column_sums(X, weights, lambda part: part.deviations(mean) ** 2)
    # Of a column without zeros rounding alone would be left, of another too little.
    full = _column_sums(X, counted, lambda part: 1.0) == counted.sum()
    there = _column_sums(X, weights, lambda part: 1.0)
    zeros = np.where(full, 0.0, np.maximum(total - there, 0))
    whole = float(squares.sum() + zeros @ mean**2)
    farthest = _farthest_of_sparse(X, weights, mean, np.where(full, 0.0, mean) ** 2)

    def sizes() -> Iterator[np.ndarray]:
        yield abs(mean[zeros > 0])
        for part in _sparse_parts(X):
            yield abs(part.deviations(mean))[part.each(counted) > 0]

    variance = _not_lost(whole / total, mean, sizes())
    return Moments(mean, variance, farthest=farthest.of(whole, total))


def dense_ranges(X: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Minimum and maximum of each column, (2, n_features), where weights are not 0."""
    low = np.full(X.shape[1], np.inf, X.dtype)
    high = -low
    for b in blocks_of(X):
        there = True if weights is None else weights[b, np.newaxis] > 0
        np.minimum(low, X[b].min(axis=0, where=there, initial=np.inf), out=low)
        np.maximum(high, X[b].max(axis=0, where=there, initial=-np.inf), out=high)
    return np.stack([low, high])
