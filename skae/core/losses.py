"""Losses: the value of each row, and its gradient left in place.

A loss meets the outputs as pre-activations Z, (rows, n_features), so that a
cross-entropy never takes the logarithm of a saturated output. It returns the
loss of each row and leaves ∂loss/∂Z where Z was. ``scratch`` is a pair of
arrays of Z's shape for whoever needs room. A new loss is one class and one
entry in ``LOSSES``.
"""

import numpy as np

from skae.core.activations import Identity, Logistic


class SquaredError:
    """ℓ_i = ½ ‖f(z_i) − x_i‖²."""

    outputs = ("identity", "logistic", "tanh", "relu")

    @staticmethod
    def at_mean(mean, variance):
        """Mean loss of the constant reconstruction x̂_i = mean."""
        return 0.5 * variance

    @staticmethod
    def rows(Z, X, output, scratch):
        """Return ℓ, (rows,), and overwrite Z with ∂ℓ/∂Z."""
        if output is Identity:
            Z -= X
            return 0.5 * np.vecdot(Z, Z)
        residual, slope = scratch
        output.apply(Z)
        np.subtract(Z, X, out=residual)
        output.derivative(Z, out=slope)
        np.multiply(residual, slope, out=Z)
        return 0.5 * np.vecdot(residual, residual)


class LogLoss:
    """ℓ_i = Σ_k −x_ik log f(z_ik) − (1 − x_ik) log(1 − f(z_ik)), logistic f.

    From the pre-activations it is Σ_k max(z, 0) − x z + log(1 + exp(−|z|)), and
    its derivative is f(z) − x.
    """

    outputs = ("logistic",)

    @staticmethod
    def at_mean(mean, variance):
        """Mean loss of the constant reconstruction x̂_i = mean."""
        p = np.clip(mean, 1e-300, 1 - 1e-16)
        return float(-(p * np.log(p) + (1 - p) * np.log1p(-p)).sum())

    @staticmethod
    def rows(Z, X, output, scratch):
        """Return ℓ, (rows,), and overwrite Z with ∂ℓ/∂Z."""
        softplus, positive = scratch
        np.abs(Z, out=softplus)
        np.negative(softplus, out=softplus)
        np.exp(softplus, out=softplus)
        np.log1p(softplus, out=softplus)
        np.maximum(Z, 0, out=positive)
        softplus += positive
        losses = softplus.sum(axis=1) - np.vecdot(X, Z)
        Logistic.apply(Z)
        Z -= X
        return losses


LOSSES = {"squared_error": SquaredError, "log_loss": LogLoss}
