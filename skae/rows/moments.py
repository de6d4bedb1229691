"""Column means and spread: the scale of the data, by which training is set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from skae.core.arrays import beside, number, to_host, vecdot
from skae.rows.memory_map import blocks_of

_ENTRIES_AT_A_TIME = 2**18

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
            problem = f"small: spread {self.spread:.2g}, against {least:.2g} at least"
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


def total_weight(n_rows: int, weights: np.ndarray | None) -> float:
    """How much so many rows weigh together, one each without weights."""
    return float(n_rows if weights is None else weights.sum(dtype=np.float64))


@np.errstate(over="ignore", invalid="ignore")  # check_magnitude refuses these
def dense_moments(X: np.ndarray, weights: np.ndarray | None) -> Moments:
    """Weighted moments of X, a few rows at a time, in float64."""
    if weights is None:
        weights = np.broadcast_to(np.ones(1, like=X), X.shape[:1])
    total = number(weights.sum(dtype=np.float64))
    sums = sum(weights[b].astype(np.float64) @ X[b] for b in blocks_of(X))
    mean = to_host(sums) / float(total)
    mean = _of_what_is_there(
        mean, lambda: any(np.isnan(X[b]).any() for b in blocks_of(X))
    )
    squares, center = 0.0, beside(mean, X)
    for b in blocks_of(X):
        deviations = X[b] - center
        distances = vecdot(deviations, deviations)
        # Rows of weight zero may hold anything, and 0 times inf is nan.
        squares += number(weights[b] @ np.where(weights[b] > 0, distances, 0))
    return Moments(mean, float(squares) / float(total))


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
    squares = 0.0
    for b, X in parts():
        there = ~np.isnan(X) & (weights[b] > 0)[:, np.newaxis]
        deviations = np.where(there, X - mean, 0)
        lengths = np.vecdot(weighted(deviations, b), deviations)
        squares += float(weights[b] @ lengths)
    total = weights.sum()
    return Moments(mean, squares / total, np.asarray(counts) / total)


@np.errstate(over="ignore", invalid="ignore")
def sparse_moments(X: Any, weights: np.ndarray | None) -> Moments:
    """Weighted moments of a CSR matrix, a few entries at a time.

    Zeros deviate by m_j, entries by x_ij − m_j: no difference of large squares.
    """
    n_features = X.shape[1]
    if weights is None:
        weights = np.broadcast_to(np.ones(1), X.shape[0])
    weights = weights.astype(np.float64, copy=False)
    total = weights.sum()

    # Bounds of parts of the rows, each with about that many entries.
    step = max(_ENTRIES_AT_A_TIME, n_features)
    bounds = np.searchsorted(X.indptr, np.arange(step, X.nnz, step))
    bounds = np.unique([0, *bounds, X.shape[0]])

    def column_sums(
        values: Callable[[np.ndarray, np.ndarray], Any], weights: np.ndarray = weights
    ) -> np.ndarray:
        """Σ_i s_i v_ij over the entries, where ``values(x_ij, j)`` gives v_ij."""
        sums = np.zeros(n_features)
        for start, stop in pairwise(bounds):
            ends = X.indptr[start : stop + 1]
            part = slice(ends[0], ends[-1])
            columns = X.indices[part]
            entries = values(X.data[part].astype(np.float64), columns)
            s = np.repeat(weights[start:stop], np.diff(ends))
            # Rows of weight zero may hold anything, and 0 times inf is nan.
            entries = np.where(s > 0, entries * s, 0)
            sums += np.bincount(columns, entries, n_features)
        return sums

    mean = column_sums(lambda entries, columns: entries) / total
    mean = _of_what_is_there(mean, lambda: bool(np.isnan(X.data).any()))
    squares = column_sums(lambda entries, columns: (entries - mean[columns]) ** 2)
    there = column_sums(lambda entries, columns: 1.0)
    rows = column_sums(lambda entries, columns: 1.0, (weights > 0).astype(np.float64))
    # Of a column without zeros rounding alone would be left, of another too little.
    full = rows == np.count_nonzero(weights)
    zeros = np.where(full, 0.0, np.maximum(total - there, 0))
    return Moments(mean, float((squares.sum() + zeros @ mean**2) / total))


def dense_ranges(X: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Minimum and maximum of each column, (2, n_features), where weights are not 0."""
    low = np.full(X.shape[1], np.inf, X.dtype)
    high = -low
    for b in blocks_of(X):
        there = True if weights is None else weights[b, np.newaxis] > 0
        np.minimum(low, X[b].min(axis=0, where=there, initial=np.inf), out=low)
        np.maximum(high, X[b].max(axis=0, where=there, initial=-np.inf), out=high)
    return np.stack([low, high])
