"""The scale of the data, by which training and its defaults are set."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import issparse

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
        if weights is None:
            weights = np.ones(1)
            weights = np.broadcast_to(weights, X.shape[0])
        if issparse(X):
            return cls(*_of_sparse(X, weights))
        step = max(1, 2**18 // X.shape[1])
        blocks = [slice(start, start + step) for start in range(0, len(X), step)]
        total = weights.sum(dtype=np.float64)
        mean = sum(weights[b].astype(np.float64) @ X[b] for b in blocks) / total
        squares = 0.0
        for b in blocks:
            deviations = X[b] - mean
            squares += weights[b] @ np.vecdot(deviations, deviations)
        return cls(mean, float(squares / total))

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

    def column_sums(values):
        """Σ_i s_i v_ij over the entries, where ``values(x_ij, j)`` gives v_ij."""
        sums = np.zeros(n_features)
        for start, stop in pairwise(bounds):
            ends = X.indptr[start : stop + 1]
            part = slice(ends[0], ends[-1])
            columns = X.indices[part]
            entries = values(X.data[part].astype(np.float64), columns)
            entries = entries * np.repeat(weights[start:stop], np.diff(ends))
            sums += np.bincount(columns, entries, n_features)
        return sums

    mean = column_sums(lambda entries, columns: entries) / total
    squares = column_sums(lambda entries, columns: (entries - mean[columns]) ** 2)
    there = column_sums(lambda entries, columns: 1.0)
    full = np.bincount(X.indices, minlength=n_features) == X.shape[0]
    # Of a column without zeros, rounding alone would be left.
    zeros = np.where(full, 0.0, total - there)
    return mean, float((squares.sum() + zeros @ mean**2) / total)


@dataclass(frozen=True)
class Scale:
    """The scale of the data: what penalties with weight "scale" are relative to."""

    unit: float  # loss of reconstructing every row by the column means
    spread: float  # root mean square deviation of an entry
