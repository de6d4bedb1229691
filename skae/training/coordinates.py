"""Coordinates in which the solver works: centred data with unit spread.

The objective is what it is in the units of the data, but L-BFGS starts from the
identity as its guess of the curvature, and that guess is only good where data
are centred and of order one. So the solver moves θ′, parameters for data that are,
while the objective is evaluated at the θ that stands for the same function of the raw
x. The change is linear, so ∂/∂θ′ follows by the chain rule. Nothing is approximated and
no centred copy of X is made; a minimum stays a minimum, found sooner, and data in
[0, 1], in thousands or in millionths train alike.

An objective knows the constants of its own change: see ``units`` of
``AutoencoderObjective`` and of ``NetworkObjective``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skae.core.protocols import Objective


class Coordinates:
    """θ = scale ∘ θ′ + shift, and then W m is taken from each centred layer's biases.

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

    Attributes
    ----------
    scale : ndarray of shape (size,)
        Factors by which θ differs from θ′, in the objective's dtype.
    means : list of ndarray
        m of each centred layer's inputs, in the objective's dtype.
    """

    def __init__(
        self,
        objective: Objective[Any],
        scale: np.ndarray,
        shift: np.ndarray,
        means: list[np.ndarray],
        unit: float,
    ) -> None:
        dtype = objective.dtype
        self.objective, self.unit = objective, unit
        self.scale, self._shift = scale.astype(dtype), shift.astype(dtype)
        self._pull = (scale / unit).astype(dtype)
        self.means = [mean.astype(dtype) for mean in means]

    def _centred(
        self, theta: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(W, b, m) of each layer whose inputs are centred, views of ``theta``."""
        layers = self.objective.parameters(theta).layers
        # An autoencoder's codes are not, so its decoder is not among these.
        return [(W, b, m) for (W, b), m in zip(layers, self.means, strict=False)]

    def to_centred(
        self, inner: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """θ for θ′, but with the biases b + W m, those of centred inputs."""
        theta = np.multiply(inner, self.scale, out=out)
        theta += self._shift
        return theta

    def decentred(self, centred: np.ndarray) -> np.ndarray:
        """θ from its form for centred inputs, a copy."""
        theta = centred.copy()
        for W, b, mean in self._centred(theta):
            b -= W @ mean
        return theta

    def to_data(self, inner: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """θ for θ′, written to ``out`` if given.

        No buffer is kept here: restarts in several threads share one instance,
        and views of a buffer would come apart on their way to another process.
        """
        theta = self.to_centred(inner, out)
        for W, b, mean in self._centred(theta):
            b -= W @ mean
        return theta

    def from_data(self, theta: np.ndarray) -> np.ndarray:
        """θ′ for θ."""
        inner = theta.copy()
        for W, b, mean in self._centred(inner):
            b += W @ mean
        inner -= self._shift
        inner /= self.scale
        return inner

    def pull_weights(self, c: np.ndarray | None) -> np.ndarray | None:
        """c′ of the penalty Σ c′_j |θ′_j| that is Σ c_j |θ_j| / unit, or None.

        No biases may be penalised: only of the other parameters is θ = scale ∘ θ′, so
        that zero stays zero and the penalty stays a sum over single entries.
        """
        return None if c is None else c * self._pull

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """∂(J/unit)/∂θ′ for ∂J/∂θ, in place."""
        for W, b, mean in self._centred(gradient):
            # b = b′ − W m, so W′ moves b too.
            W -= np.multiply.outer(b, mean)
        gradient *= self._pull
        return gradient
