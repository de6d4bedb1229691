"""The scale of the data, by which training and its defaults are set."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import issparse

from skae.core.blocks import is_remote
from skae.rows.memory_map import blocks_of

_ENTRIES_AT_A_TIME = 2**18


@dataclass(frozen=True)
class Moments:
    """Column means, and the mean squared distance of the rows from them."""

    mean: np.ndarray  # (n_features,), float64
    variance: float  # summed over the columns

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")  # check_magnitude refuses these
    def of(cls, X, weights):
        """Weighted moments of X, a few rows at a time, in float64."""
        if is_remote(X):
            return cls.combined(*zip(*X.each(_moments_and_total), strict=True))
        if weights is None:
            weights = np.ones(1)
            weights = np.broadcast_to(weights, X.shape[0])
        if issparse(X):
            return cls(*_of_sparse(X, weights))
        total = weights.sum(dtype=np.float64)
        mean = sum(weights[b].astype(np.float64) @ X[b] for b in blocks_of(X)) / total
        squares = 0.0
        for b in blocks_of(X):
            deviations = X[b] - mean
            distances = np.vecdot(deviations, deviations)
            # Rows of weight zero may hold anything, and 0 times inf is nan.
            squares += weights[b] @ np.where(weights[b] > 0, distances, 0)
        return cls(mean, float(squares / total))

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")
    def combined(cls, moments, totals):
        """Moments of all rows, of those of blocks and their sums of weights.

        The squared distances between the blocks' means come on top of those within
        the blocks: no difference of large squares is taken.
        """
        totals = np.array(totals)
        mean = sum(w * m.mean for w, m in zip(totals, moments, strict=True))
        mean /= totals.sum()
        shifts = [m.mean - mean for m in moments]
        variances = [
            m.variance + shift @ shift for m, shift in zip(moments, shifts, strict=True)
        ]
        return cls(mean, float(totals @ variances / totals.sum()))

    def no_variation(self, dtype):
        """Whether all rows count as equal: what varies is rounding at most."""
        rounding = 10 * np.finfo(dtype).eps * np.linalg.norm(self.mean)
        return self.variance <= rounding**2

    @np.errstate(over="ignore")
    def check_magnitude(self, n_samples, dtype, name="X"):
        """Refuse X, or y, with which sums and gradients leave the range of its dtype.

        A gradient sums products of three numbers of X's size over the rows; the
        solver's coordinates divide by such products.
        """
        info = np.finfo(dtype)
        size = (self.mean @ self.mean + self.variance) ** 0.5
        least = (10 * info.tiny) ** (1 / 3)
        most = (0.1 * info.max / n_samples) ** (1 / 3)
        if not size < most:
            problem = f"large: rows of length {size:.2g}, against {most:.2g} at most"
        elif self.spread < least and not self.no_variation(dtype):
            problem = f"small: spread {self.spread:.2g}, against {least:.2g} at least"
        else:
            return
        raise ValueError(
            f"{name} is too {problem}, for training in {dtype}; scale {name}, for "
            "instance with StandardScaler."
        )

    @property
    def spread(self):
        """Root mean square deviation of an entry."""
        return (self.variance / len(self.mean)) ** 0.5


def _moments_and_total(X, weights):
    total = len(X) if weights is None else float(weights.sum(dtype=np.float64))
    return Moments.of(X, weights), total


def _of_sparse(X, weights):
    """Mean and variance of sparse rows, a few entries at a time.

    Zeros deviate by m_j, entries by x_ij − m_j: no difference of large squares.
    """
    n_features = X.shape[1]
    weights = weights.astype(np.float64, copy=False)
    total = weights.sum()

    # Bounds of parts of the rows, each with about that many entries.
    step = max(_ENTRIES_AT_A_TIME, n_features)
    bounds = np.searchsorted(X.indptr, np.arange(step, X.nnz, step))
    bounds = np.unique([0, *bounds, X.shape[0]])

    def column_sums(values, weights=weights):
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
    squares = column_sums(lambda entries, columns: (entries - mean[columns]) ** 2)
    there = column_sums(lambda entries, columns: 1.0)
    rows = column_sums(lambda entries, columns: 1.0, (weights > 0).astype(np.float64))
    # Of a column without zeros rounding alone would be left, of another too little.
    full = rows == np.count_nonzero(weights)
    zeros = np.where(full, 0.0, np.maximum(total - there, 0))
    return mean, float((squares.sum() + zeros @ mean**2) / total)


@dataclass(frozen=True)
class Scale:
    """The scale of the data: what penalties with weight "scale" are relative to."""

    unit: float  # loss of reconstructing every row by the column means
    spread: float  # root mean square deviation of an entry


def ranges_of(X, weights):
    """Minimum and maximum of each feature, (2, n_features), where weights are not 0."""
    if is_remote(X):
        return X.ranges
    if issparse(X):
        X = X if weights is None else X[weights > 0]
        return np.stack([f(axis=0).toarray().ravel() for f in (X.min, X.max)])
    low = np.full(X.shape[1], np.inf, X.dtype)
    high = -low
    for b in blocks_of(X):
        there = True if weights is None else weights[b, np.newaxis] > 0
        np.minimum(low, X[b].min(axis=0, where=there, initial=np.inf), out=low)
        np.maximum(high, X[b].max(axis=0, where=there, initial=-np.inf), out=high)
    return np.stack([low, high])
