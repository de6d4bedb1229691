"""Penalties: those on the weights, and those on the codes.

Weight decay and the L1 norm are functions of the weights alone. A penalty on the
codes is part of the mean over rows, like the loss. One that is a
function of the *mean code of all rows* (``of_mean``) needs that mean before any
gradient: it gives ``value(mean)`` and ``slope(mean)``, the derivative by each unit's
code in any row. One that is a *sum over rows* gives ``add_rows``.
"""

import numpy as np


def add_decay(alpha, weight, gradient, anchor=None):
    """Add α (W − A) to ``gradient``, in place, and return (α/2) ‖W − A‖²."""
    if not alpha:
        return 0.0
    if anchor is not None:
        weight = weight - anchor
    gradient += alpha * weight
    if abs(weight.strides[0]) < abs(weight.strides[1]):
        weight = weight.T  # along memory
    return 0.5 * alpha * float(np.vecdot(weight, weight).sum(dtype=np.float64))


def absolute_sum(weight):
    """‖W‖₁, the sum of the absolute values, in float64."""
    return float(np.abs(weight).sum(dtype=np.float64))


class KullbackLeibler:
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

    of_mean = True
    # Saturated units have ρ̂ of exactly 0 or 1; kept this far inside, the
    # penalty and its slope stay finite in float32 too.
    margin = 1e-12

    def __init__(self, rho, beta, bounds):
        self.rho, self.beta = rho, beta
        self.low, self.high = bounds

    def _rho_hat(self, mean):
        rho_hat = (mean - self.low) / (self.high - self.low)
        return np.clip(rho_hat, self.margin, 1 - self.margin)

    @property
    def target(self):
        """The mean code at which the penalty is zero."""
        return self.low + self.rho * (self.high - self.low)

    def value(self, mean):
        """Penalty at the mean code ``mean``, float64 of shape (n_components,)."""
        rho, rho_hat = self.rho, self._rho_hat(mean)
        kl = rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))
        return self.beta * float(kl.sum())

    def slope(self, mean):
        """Derivative of ``value`` by the mean code, shape (n_components,)."""
        rho, rho_hat = self.rho, self._rho_hat(mean)
        kl_slope = (1 - rho) / (1 - rho_hat) - rho / rho_hat
        return self.beta * kl_slope / (self.high - self.low)


class L1:
    """β (1/n) Σ_i Σ_j |h_ij|.

    Parameters
    ----------
    beta : float
        Weight.
    """

    of_mean = False

    def __init__(self, beta):
        self.beta = beta

    def add_rows(self, H, delta, weights, scratch):
        """Add ∂/∂H to ``delta`` and return the weighted sum over the rows.

        Parameters
        ----------
        H, delta, scratch : ndarray of shape (n_components, rows)
            Codes, gradient by the codes, and room to work.
        weights : ndarray of shape (rows,) or None
            Sample weights.

        Returns
        -------
        total : float
            β Σ_i s_i Σ_j |h_ij|.
        """
        np.abs(H, out=scratch)
        norms = scratch.sum(axis=0)
        np.sign(H, out=scratch)
        scratch *= self.beta if weights is None else self.beta * weights
        delta += scratch
        if weights is not None:
            norms *= weights
        return self.beta * float(norms.sum(dtype=np.float64))


class Contraction:
    """λ (1/n) Σ_i ‖∂h_i/∂x_i‖²_F, the squared Frobenius norm of the Jacobian.

    The Jacobian of a row is diag(f′(z)) W, so its squared norm is
    Σ_j f′(z_j)² ‖w_j‖², and no Jacobian is ever formed. Its derivatives are

        ∂/∂z_j = 2 f′(z_j) f″(z_j) ‖w_j‖²     ∂/∂w_j = 2 f′(z_j)² w_j (z_j fixed).

    Parameters
    ----------
    weight : float
        λ.
    activation : class
        A smooth entry of ``ACTIVATIONS``, one with ``curvature``.
    """

    def __init__(self, weight, activation):
        self.weight, self.activation = weight, activation

    def add_rows(self, W, H, epsilon, weights, scratch):
        """Add ∂/∂Z to ``epsilon``.

        Parameters
        ----------
        W : ndarray of shape (n_components, n_features)
            Weights of the encoder.
        H, epsilon, scratch : ndarray of shape (n_components, rows)
            Codes, gradient by the pre-activations, and room to work.
        weights : ndarray of shape (rows,) or None
            Sample weights.

        Returns
        -------
        total : float
            λ Σ_i s_i ‖∂h_i/∂x_i‖².
        slope : ndarray of shape (n_components,)
            What W is to be multiplied by, row by row, for ∂/∂W at fixed Z.
        """
        slopes = scratch
        self.activation.derivative(H, out=slopes)
        curvatures = self.activation.curvature(H, slopes)
        norms = self.weight * np.vecdot(W, W)
        curvatures *= slopes
        curvatures *= (2 * norms)[:, np.newaxis]
        np.square(slopes, out=slopes)
        if weights is not None:
            curvatures *= weights
            slopes *= weights
        epsilon += curvatures
        sums = slopes.sum(axis=1)
        return float(sums.astype(np.float64) @ norms), 2 * self.weight * sums
