"""The scale of the data, by which training and its defaults are set."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Moments:
    """Column means, and the mean squared distance of the rows from them."""

    mean: np.ndarray  # (n_features,), float64
    variance: float  # summed over the columns

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")  # check_magnitude refuses these
    def of(cls, X, weights):
        """Weighted moments of X, a few rows at a time, in float64."""
        if getattr(X, "is_remote", False):
            return cls.combined(*zip(*X.each(_moments_and_total), strict=True))
        step = max(1, 2**18 // X.shape[1])
        blocks = [slice(start, start + step) for start in range(0, len(X), step)]
        if weights is None:
            weights = np.ones(1)
            weights = np.broadcast_to(weights, len(X))
        total = weights.sum(dtype=np.float64)
        mean = sum(weights[b].astype(np.float64) @ X[b] for b in blocks) / total
        squares = 0.0
        for b in blocks:
            deviations = X[b] - mean
            squares += weights[b] @ np.vecdot(deviations, deviations)
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


@dataclass(frozen=True)
class Scale:
    """The scale of the data: what penalties with weight "scale" are relative to."""

    unit: float  # loss of reconstructing every row by the column means
    spread: float  # root mean square deviation of an entry
