"""Matrices that decorrelate the inputs of a layer.

Let C be the covariance of the inputs, in units in which its mean eigenvalue is one. The
transformed inputs are K (x − m) with

    K = κ (C + ε I)^(−1/2).

They have about the same variance in every direction, except in directions of variance
below the damping ε, which may contain only noise. κ keeps the mean variance, so that
uncorrelated inputs of equal variance are not changed.

K is stored as a multiple of the identity plus a correction for the q directions of
large variance,

    K = κ₀ (I + Q diag(ω) Qᵀ),

because all directions of variance below about ε are scaled alike. This costs 4 q
multiplications for a weight, where a matrix costs 2 d. On a device K is a matrix unless
there are many columns. The directions are computed from some rows: exactly, or by a
subspace iteration if there are many columns [1]_. Sparse rows with very many columns
have no K.

References
----------
.. [1] N. Halko, P.-G. Martinsson and J. A. Tropp, Finding structure with randomness,
   SIAM Review 53 (2011) 217-288, Algorithm 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skae.core.arrays import beside, to_host
from skae.rows.data import Data, LocalRows
from skae.rows.dense import DenseRows
from skae.rows.deviations import DenseDeviations, Deviations
from skae.rows.moments import Moments
from skae.rows.source import source
from skae.training.coordinates import Coordinates, Factor
from skae.training.problem import WeightsProblem

# From so many columns on, only so many directions are looked for, so often.
_WIDE, _DIRECTIONS, _OVERSAMPLING, _ITERATIONS = 1200, 192, 16, 2
_SEED = 1789
# ε of the data, which are noisy where they vary least; of weights that are tied, and
# must suit the outputs, which are as they are; of codes; and of linear ones, all of
# whose directions are the data's.
_DAMPING, _TIED_DAMPING, _CODES_DAMPING, _LINEAR_DAMPING = 0.1, 2.0, 0.5, 1e-3
_NOISY_DAMPING = 1.0  # of data to which noise is added
# Directions of less variance, beside ε, are taken together; and all but so many, lest
# they cost more than a tenth of an evaluation of n rows, 5 n k d.
_FLOOR = 2.5
_FEW_DIRECTIONS, _ROWS_A_DIRECTION = 32, 8
# Of the sample, at most: rows, bytes, and a part of the rows that count. But few rows
# are all taken, and of wide ones so many.
_ROWS, _BYTES, _PART, _FEW_BYTES, _FEW_ROWS = 10_000, 2**25, 0.25, 2**21, 512


@dataclass(frozen=True)
class Root:
    """K = κ₀ (I + Q diag(ω) Qᵀ), for orthonormal columns of Q.

    Parameters
    ----------
    Q : ndarray of shape (d, q)
    omega : ndarray of shape (q,)
        Above −1.
    kappa : float
        Above 0.
    """

    Q: np.ndarray
    omega: np.ndarray
    kappa: float

    def times(self, W: np.ndarray) -> np.ndarray:
        """W K."""
        return self._product(W, self.omega, self.kappa)

    transposed = times  # K is symmetric

    def beside(self, like: Any) -> Factor:
        """The same for weights that lie where ``like`` does."""
        if isinstance(like, np.ndarray):
            return self
        if len(self.Q) > _WIDE:
            # A matrix would cost more than starting two products in place of one.
            return Root(beside(self.Q, like), beside(self.omega, like), self.kappa)
        identity = np.eye(len(self.Q), dtype=self.Q.dtype)
        there = (beside(f(identity), like) for f in (self.times, self.inverse))
        return RootMatrix(*there)

    def inverse(self, W: np.ndarray) -> np.ndarray:
        """W K⁻¹."""
        return self._product(W, -self.omega / (1 + self.omega), 1 / self.kappa)

    def _product(self, W: np.ndarray, omega: np.ndarray, kappa: float) -> np.ndarray:
        inside = W @ self.Q
        inside *= omega
        product = inside @ self.Q.T
        product += W
        product *= W.dtype.type(kappa)
        return product


@dataclass(frozen=True)
class RootMatrix:
    """K as a matrix, on a device, where starting a product takes longer than computing.

    Parameters
    ----------
    K, inverse_of_K : array of shape (d, d)
        Symmetric, on the device.
    """

    K: Any
    inverse_of_K: Any

    def times(self, W: np.ndarray) -> np.ndarray:
        """W K."""
        product: np.ndarray = W @ self.K
        return product

    transposed = times  # K is symmetric

    def beside(self, like: Any) -> Factor:
        """Itself: it lies there."""
        return self

    def inverse(self, W: np.ndarray) -> np.ndarray:
        """W K⁻¹."""
        product: np.ndarray = W @ self.inverse_of_K
        return product


def root_of(
    deviations: Deviations, damping: float, most: int, factor: float, dtype: Any
) -> Root:
    """K of inputs that deviate so.

    Parameters
    ----------
    deviations : Deviations
        Of which C is the covariance.
    damping : float
        ε, where the variance lies along several directions.
    most : int
        Directions to be told apart.
    factor : float
        What K is multiplied by.
    dtype : dtype
        Of the weights.
    """
    values, Q = _principal(deviations)
    d = deviations.shape[1]
    damping *= _evenness(values, d)
    # Values ascend.
    count = min(most, int(np.count_nonzero(values > _FLOOR * damping)))
    values, Q = values[len(values) - count :], Q[:, len(values) - count :]
    others = d - len(values)
    rest = max(0.0, d - float(values.sum())) / others if others else 0.0
    inside, outside = 1 / np.sqrt(values + damping), 1 / np.sqrt(rest + damping)
    variance = values @ inside**2 + others * rest * outside**2
    kappa = factor * (d / variance) ** 0.5 * outside
    omega = inside / outside - 1
    Q = np.ascontiguousarray(Q, dtype)
    return Root(Q, omega.astype(dtype), float(kappa))


def _evenness(values: np.ndarray, d: int) -> float:
    """1 where the variance d lies along three directions or more, nearly 0 along one.

    Then columns are in different units, and what varies little beside the largest need
    not be noise.
    """
    directions = d**2 / float(values @ values)  # if they were alike
    return float(np.clip((directions - 1) / 2, 0.01, 1))


def _principal(deviations: Deviations) -> tuple[np.ndarray, np.ndarray]:
    """Variances along principal directions, and those directions as columns."""
    d = deviations.shape[1]
    if d <= _WIDE:
        return np.linalg.eigh(deviations.covariance().astype(np.float64))
    assert isinstance(deviations, DenseDeviations), "wide sparse rows have none"
    size = min(_DIRECTIONS + _OVERSAMPLING, *deviations.shape)
    B = np.random.RandomState(_SEED).standard_normal((deviations.shape[0], size))
    B = deviations.transposed_times(B)
    for _ in range(_ITERATIONS):
        B = _orthonormal(deviations.times(_orthonormal(B)))
        B = deviations.transposed_times(B)
    B = B.astype(np.float64, copy=False)
    values, V = np.linalg.eigh(B.T @ B)
    many = slice(-_DIRECTIONS, None)
    values = np.maximum(values[many], np.finfo(np.float64).tiny)
    return values, B @ (V[:, many] / np.sqrt(values))


def _orthonormal(B: np.ndarray) -> np.ndarray:
    return np.linalg.qr(B)[0]


class Whitening:
    """The coordinates in which a solver moves: those of the start, and factors K.

    Parameters
    ----------
    problem : WeightsProblem
        Its ``coordinates`` are those of the start, which know the means and the spread
        of the data and of typical codes.
    """

    def __init__(self, problem: WeightsProblem) -> None:
        self._plain = problem.coordinates
        self._sample = problem.data.sample(_sample_size(problem.data))
        # The inputs of the first layer have no missing entries.
        rows = self._sample.local_rows.on_host().complete()
        self._sample = replace(self._sample, X=rows)
        # Whatever is penalised entry by entry must stay a sum of entries.
        self._factors = problem.objective.penalty_weights is None
        self._most = max(_FEW_DIRECTIONS, problem.data.n_rows // _ROWS_A_DIRECTION)
        tied = getattr(problem.objective, "tied_weights", False)
        damping = _TIED_DAMPING if tied else _DAMPING
        moments = rows.moments(self._sample.weights)
        self._mean = to_host(self._plain.means[0])
        noise = getattr(problem.objective, "noise", None)
        if noise is not None:  # the inputs are those with noise
            with np.errstate(over="ignore", invalid="ignore"):
                noisy = source(rows.corrupted(noise))
                of_noisy = noisy.moments(self._sample.weights)
            # Noise beyond the dtype is for the solver to refuse.
            if np.isfinite(of_noisy.spread) and (of_noisy.mean != moments.mean).any():
                self._sample, rows = replace(self._sample, X=noisy), noisy
                self._mean, moments = of_noisy.mean, of_noisy
                damping = max(damping, _NOISY_DAMPING)
        self._first = self._root(rows, moments, damping)
        self._factors = self._first is not None

    def at(self, theta: np.ndarray, recoded: bool) -> Coordinates:
        """Coordinates that centre the codes at θ and, if ``recoded``, decorrelate them.

        Parameters
        ----------
        theta : ndarray of shape (size,)
            In the units of the data.
        recoded : bool
        """
        parameters = self._plain.objective.parameters(to_host(theta))
        means, factors = [self._mean], [self._first]
        H: Any = self._sample.X.given
        for (W, b), f in zip(
            parameters.layers, self._plain.objective.activations, strict=False
        ):
            H = H @ np.ascontiguousarray(W.T)
            H += b
            f.apply(H)
            codes = DenseRows(H)
            moments = codes.moments(self._sample.weights)
            means.append(moments.mean)
            K = None
            if recoded:
                damping = _LINEAR_DAMPING if f.is_linear else _CODES_DAMPING
                K = self._root(codes, moments, damping, f.code_spread)
            factors.append(K)
        return self._plain.followed_by(means, factors)

    def _root(
        self,
        rows: LocalRows,
        moments: Moments,
        damping: float,
        spread: float | None = None,
    ) -> Root | None:
        """K; with ``spread``, nearer to that of inputs of this spread than of theirs.

        What codes vary by changes while units learn to be sparse, so that half the way,
        in logarithms, is gone. All of it was better for many units and a weak penalty,
        and worse than none where the codes are the sparsest.
        """
        if not self._factors or moments.no_variation(rows.dtype):
            return None
        deviations = rows.deviations(self._sample.weights, moments)
        if deviations is None:
            return None
        factor = 1.0 if spread is None else (spread / moments.spread) ** 0.5
        return root_of(deviations, damping, self._most, factor, rows.dtype)


def _sample_size(data: Data) -> int:
    """Rows that stand for all."""
    of_a_row = max(1.0, data.X.nbytes / len(data.X))
    part = max(_FEW_BYTES, _PART * of_a_row * data.n_rows)
    return min(_ROWS, max(_FEW_ROWS, int(min(_BYTES, part) / of_a_row)))
