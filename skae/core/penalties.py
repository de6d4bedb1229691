"""Penalties: those on the weights, and those on the codes.

Weight decay and the L1 norm are functions of the weights alone. Penalties on the codes
are terms of the loss: see ``skae.core.terms`` for what a term is handed.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from skae._one_pass import in_one_pass
from skae.core.arrays import number, vecdot
from skae.core.terms import BaseTerm, Forward, MeanTerm

if TYPE_CHECKING:
    from skae.core import protocols
    from skae.core.autoencoder_model import AutoencoderParameters


def add_decay(
    alpha: float,
    weight: np.ndarray,
    gradient: np.ndarray,
    anchor: np.ndarray | None = None,
) -> float:
    """Add α (W − A) to ``gradient``, in place, and return (α/2) ‖W − A‖²."""
    if not alpha:
        return 0.0
    if anchor is not None:
        weight = weight - anchor
    in_one_pass(_add_multiple, gradient, weight, alpha)
    if abs(weight.strides[0]) < abs(weight.strides[1]):
        weight = weight.T  # along memory
    total: float = number(vecdot(weight, weight).sum(dtype=np.float64))
    return 0.5 * alpha * total


def _add_multiple(total: Any, array: Any, factor: float) -> None:
    """Add ``factor`` times an array to ``total``, in place."""
    total += factor * array


def absolute_sum(weight: np.ndarray) -> float:
    """‖W‖₁, the sum of the absolute values, in float64."""
    total: float = number(np.abs(weight).sum(dtype=np.float64))
    return total


class KullbackLeibler(MeanTerm):
    """β Σ_j KL(ρ ‖ ρ̂_j), KL(ρ‖ρ̂) = ρ log(ρ/ρ̂) + (1−ρ) log((1−ρ)/(1−ρ̂)).

    ρ̂_j is the mean code of unit j where codes lie in (0, 1), and
    (mean + 1)/2 where they lie in (−1, 1).

    Parameters
    ----------
    rho : float in (0, 1)
        Mean code asked for.
    beta : float
        Weight.
    bounds : tuple of float
        The open interval (low, high) in which the codes lie.
    """

    name = "sparsity"
    # Saturated units have ρ̂ of exactly 0 or 1; kept this far inside, the
    # penalty and its slope stay finite in float32 too.
    margin = 1e-12

    def __init__(self, rho: float, beta: float, bounds: tuple[float, float]):
        self.rho, self.beta = rho, beta
        self.low, self.high = bounds

    def _of_units(self, function: Callable[..., None], mean: np.ndarray) -> np.ndarray:
        """What ``function``, one of the two below, writes for each unit."""
        out = np.empty_like(mean)
        # 1 − ρ and the like are computed here: see ``in_one_pass``.
        bounds = self.low, self.high - self.low, self.margin, 1 - self.margin
        in_one_pass(function, out, mean, self.rho, 1 - self.rho, *bounds)
        return out

    @property
    def target(self) -> float:
        """The mean code at which the penalty is zero."""
        return self.low + self.rho * (self.high - self.low)

    def value(self, mean: np.ndarray) -> float:
        """Penalty at the mean code ``mean``, float64 of shape (n_components,)."""
        return self.beta * number(self._of_units(_divergence, mean).sum())

    def slope(self, mean: np.ndarray) -> np.ndarray:
        """Derivative of ``value`` by the mean code, shape (n_components,)."""
        slope = self._of_units(_divergence_slope, mean)
        return self.beta * slope / (self.high - self.low)


def _rho_hat(mean: Any, low: float, width: float, least: float, most: float) -> Any:
    """ρ̂, the place of ``mean`` between the codes' bounds, kept within [least, most]."""
    rho_hat = (mean - low) / width
    # In half the time of np.clip where there are few units.
    return np.minimum(np.maximum(rho_hat, least), most)


def _divergence(
    out: Any, mean: Any, rho: float, rest: float, *of_rho_hat: float
) -> None:
    """Write KL(ρ ‖ ρ̂) of each unit's ``mean`` into ``out``; ``rest`` is 1 − ρ."""
    rho_hat = _rho_hat(mean, *of_rho_hat)
    of_active = rho * np.log(rho / rho_hat)
    np.add(of_active, rest * np.log(rest / (1 - rho_hat)), out=out)


def _divergence_slope(
    out: Any, mean: Any, rho: float, rest: float, *of_rho_hat: float
) -> None:
    """Write the derivative of KL(ρ ‖ ρ̂) by ρ̂ into ``out``, as ``_divergence``."""
    rho_hat = _rho_hat(mean, *of_rho_hat)
    np.subtract(rest / (1 - rho_hat), rho / rho_hat, out=out)


class L1(BaseTerm):
    """β (1/n) Σ_i Σ_j |h_ij|.

    Parameters
    ----------
    beta : float
        Weight.
    """

    name = "sparsity"

    def __init__(self, beta: float):
        self.beta = beta

    def add_to_codes(self, forward: Forward, delta: np.ndarray) -> float:
        """Add ∂/∂H to ``delta`` and return β Σ_i s_i Σ_j |h_ij|."""
        H, weights, scratch = forward.codes, forward.weights, forward.scratch
        np.abs(H, out=scratch)
        norms = scratch.sum(axis=0)
        np.sign(H, out=scratch)
        scratch *= self.beta if weights is None else self.beta * weights
        delta += scratch
        if weights is not None:
            norms *= weights
        return self.beta * number(norms.sum(dtype=np.float64))


class Contraction(BaseTerm):
    """λ (1/n) Σ_i ‖∂h_i/∂x_i‖²_F, the squared Frobenius norm of the Jacobian.

    The Jacobian of a row is diag(f′(z)) W, so its squared norm is
    Σ_j f′(z_j)² ‖w_j‖², and no Jacobian is ever formed. Its derivatives are

        ∂/∂z_j = 2 f′(z_j) f″(z_j) ‖w_j‖²     ∂/∂w_j = 2 f′(z_j)² w_j (z_j fixed).

    Parameters
    ----------
    weight : float
        λ.
    activation : class
        A smooth entry of ``ACTIVATIONS``, one whose ``curvature`` is not None.
    """

    name = "contraction"

    def __init__(self, weight: float, activation: "protocols.Activation"):
        if activation.curvature is None:
            raise ValueError(
                "The contraction penalises f′, so its gradient needs f″: an activation "
                f"with a curvature. {activation!r} has none."
            )
        self.weight, self.activation = weight, activation
        self._curvature = activation.curvature

    def add_to_preactivations(self, forward: Forward, epsilon: np.ndarray) -> float:
        """Add ∂/∂Z to ``epsilon`` and return λ Σ_i s_i ‖∂h_i/∂x_i‖²."""
        W, H, weights = forward.parameters.encoder, forward.codes, forward.weights
        slopes = forward.scratch
        self.activation.derivative(H, out=slopes)
        curvatures = self._curvature(H, slopes)
        norms = self.weight * vecdot(W, W)
        curvatures *= slopes
        curvatures *= (2 * norms)[:, np.newaxis]
        np.square(slopes, out=slopes)
        if weights is not None:
            curvatures *= weights
            slopes *= weights
        epsilon += curvatures
        sums = slopes.sum(axis=1)
        forward.notes[self] = sums
        value: float = number(sums.astype(np.float64) @ norms)
        return value

    def add_to_parameters(
        self, forward: Forward, gradient: "AutoencoderParameters"
    ) -> float:
        """Add ∂/∂W at fixed Z, which is a multiple of W, row by row."""
        slope = 2 * self.weight * forward.notes[self]
        gradient.encoder += slope[:, np.newaxis] * forward.parameters.encoder
        return 0.0
