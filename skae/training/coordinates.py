"""Coordinates in which the solver works: those of centred, decorrelated inputs.

L-BFGS starts with the identity as its estimate of the curvature. This estimate is good
only if the inputs of each layer are centred, of order one and uncorrelated. The solver
therefore changes θ′, the parameters for inputs that are transformed in this way, and
the objective is evaluated at the θ that computes the same function of the original x.
The map from θ′ to θ is affine, so the chain rule gives the derivative by θ′. The minima
are those of the original problem, no copy of X is made, and data in [0, 1], in
thousands or in millionths train alike.

An objective knows the constants of its own map: see ``units`` of
``AutoencoderObjective`` and of ``NetworkObjective``. The matrix that decorrelates the
inputs of a layer is a ``Factor``, estimated from some rows by
``skae.training.whitening``.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, Protocol

import numpy as np

from skae._one_pass import in_one_pass
from skae.core.arrays import HOST, beside
from skae.core.protocols import Objective


class Factor(Protocol):
    """A square matrix K with an inverse, by which weights are multiplied."""

    def times(self, W: np.ndarray) -> np.ndarray:
        """W K."""

    def transposed(self, W: np.ndarray) -> np.ndarray:
        """W Kᵀ."""

    def inverse(self, W: np.ndarray) -> np.ndarray:
        """W K⁻¹."""

    def beside(self, like: Any) -> Factor:
        """The same for weights that lie where ``like`` does."""


class Coordinates:
    """θ = scale ∘ θ′ + shift; then W ← W K; then W m is taken from the biases.

    The last two happen layer by layer, where the layer has a K and an m. Layers whose
    weights are one and the same array, one of them transposed, share what is done to
    them: with D = W that is W = Sᵀ W′ M, for the K M of the first and S of the second.

    Parameters
    ----------
    objective : Objective
        Gives ``parameters`` and the dtype.
    scale, shift : ndarray of shape (size,)
        In float64.
    means : list of ndarray
        m of each centred layer's inputs, in float64.
    unit : float
        What the objective is divided by.
    factors : sequence of Factor or None, optional
        K of each layer, None for the identity.

    Attributes
    ----------
    scale : ndarray of shape (size,)
        Factors by which θ differs from θ′, in the objective's dtype.
    means : list of ndarray
        m of each centred layer's inputs, in the objective's dtype.
    factors : list of Factor or None
        Empty where there is none, so that ``scale`` is all that multiplies.
    """

    def __init__(
        self,
        objective: Objective[Any],
        scale: np.ndarray,
        shift: np.ndarray,
        means: list[np.ndarray],
        unit: float,
        factors: Sequence[Factor | None] = (),
    ) -> None:
        dtype = objective.dtype
        self.objective, self.unit = objective, unit
        self._like = getattr(objective, "like", HOST)
        self.scale = beside(scale.astype(dtype), self._like)
        self._shift = beside(shift.astype(dtype), self._like)
        self._pull = beside((scale / unit).astype(dtype), self._like)
        self._measure(means, factors)

    def _measure(
        self, means: list[np.ndarray], factors: Sequence[Factor | None]
    ) -> None:
        dtype, like = self.objective.dtype, self._like
        self.means = [beside(mean.astype(dtype), like) for mean in means]
        placed = [None if K is None else K.beside(like) for K in factors]
        self.factors = [] if all(K is None for K in placed) else placed

    def followed_by(
        self, means: list[np.ndarray], factors: Sequence[Factor | None]
    ) -> Coordinates:
        """The same with other m, and with K of each layer."""
        other = copy(self)
        other._measure(means, factors)
        return other

    def _layers(self, theta: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        return self.objective.parameters(theta).layers

    def _centred(
        self, theta: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(W, b, m) of each layer whose inputs are centred, views of ``theta``."""
        layers = self._layers(theta)
        # Codes of an autoencoder need not be, so its decoder need not be among these.
        return [(W, b, m) for (W, b), m in zip(layers, self.means, strict=False)]

    # OpenBLAS may flag products of finite numbers as invalid: its ``sgemv`` of five
    # columns reads what lay on the stack before, with AVX-512, and makes nothing of it.
    # What is really not finite is refused after training.
    @np.errstate(invalid="ignore")
    def _centre(self, theta: np.ndarray) -> np.ndarray:
        """Biases b + W m of centred inputs, in place."""
        for W, b, mean in self._centred(theta):
            b += W @ mean
        return theta

    @np.errstate(invalid="ignore")
    def _decentre(self, theta: np.ndarray) -> np.ndarray:
        """Biases b of inputs that are not centred, in place."""
        for W, b, mean in self._centred(theta):
            b -= W @ mean
        return theta

    def _multiplied(self, theta: np.ndarray) -> list[tuple[np.ndarray, Factor]]:
        """(W, K) of each layer that has a K, W a view of ``theta``."""
        if not self.factors:
            return []
        pairs = zip(self._layers(theta), self.factors, strict=False)
        return [(W, K) for (W, _), K in pairs if K is not None]

    def to_centred(
        self, inner: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """θ for θ′, but with the biases b + W m, those of centred inputs."""
        theta = np.multiply(inner, self.scale, out=out)
        theta += self._shift
        for W, K in self._multiplied(theta):
            W[:] = K.times(W)
        return theta

    def decentred(self, centred: np.ndarray) -> np.ndarray:
        """θ from its form for centred inputs, a copy."""
        return self._decentre(centred.copy())

    def centred(self, theta: np.ndarray) -> np.ndarray:
        """The form for centred inputs of θ, a copy."""
        return self._centre(theta.copy())

    def to_data(self, inner: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """θ for θ′, written to ``out`` if given.

        No buffer is kept here: restarts in several threads share one instance,
        and views of a buffer would come apart on their way to another process.
        """
        return self._decentre(self.to_centred(inner, out))

    def from_data(self, theta: np.ndarray) -> np.ndarray:
        """θ′ for θ."""
        inner = self._centre(theta.copy())
        for W, K in reversed(self._multiplied(inner)):
            W[:] = K.inverse(W)
        inner -= self._shift
        inner /= self.scale
        return inner

    def pull_weights(self, c: np.ndarray | None) -> np.ndarray | None:
        """c′ of the penalty Σ c′_j |θ′_j| that is Σ c_j |θ_j| / unit, or None.

        No biases may be penalised: only of the other parameters is θ = scale ∘ θ′, so
        that zero stays zero and the penalty stays a sum over single entries. For the
        same reason no layer may have a K.
        """
        return None if c is None else beside(c, self._like) * self._pull

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """∂(J/unit)/∂θ′ for ∂J/∂θ, in place."""
        for W, b, mean in self._centred(gradient):
            # b = b′ − W m, so W′ moves b too.
            in_one_pass(_subtract_product, W, b[:, np.newaxis], mean)
        for W, K in reversed(self._multiplied(gradient)):
            W[:] = K.transposed(W)
        gradient *= self._pull
        return gradient


def _subtract_product(W: np.ndarray, b: np.ndarray, mean: np.ndarray) -> None:
    """Subtract the outer product of b, (units, 1), and ``mean`` from W, in place."""
    W -= b * mean
