"""Losses: the value of each row, and its gradient left in place.

A loss meets the outputs as pre-activations Z, (rows, n_features), so that a
cross-entropy never takes the logarithm of a saturated output. It returns the
loss of each row and leaves ∂loss/∂Z where Z was. ``scratch`` is a pair of
arrays of Z's shape for whoever needs room, ``entry_weights`` an array of it by
which the loss of each entry is multiplied. A new loss is one class and one
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
    def rows(Z, X, output, scratch, entry_weights=None):
        """Return ℓ, (rows,), and overwrite Z with ∂ℓ/∂Z."""
        if output is Identity:
            Z -= X
            if entry_weights is None:
                return 0.5 * np.vecdot(Z, Z)
            weighted = np.multiply(Z, entry_weights, out=scratch[0])
            losses = 0.5 * np.vecdot(Z, weighted)
            np.copyto(Z, weighted)
            return losses
        output.apply(Z)
        residual, slope = scratch
        np.subtract(Z, X, out=residual)
        output.derivative(Z, out=slope)
        np.copyto(Z, residual)
        if entry_weights is not None:
            Z *= entry_weights
        losses = 0.5 * np.vecdot(residual, Z)
        Z *= slope
        return losses


class LogLoss:
    """ℓ_i = Σ_k −x_ik log f(z_ik) − (1 − x_ik) log(1 − f(z_ik)), logistic f.

    From the pre-activations it is Σ_k max(z, 0) − x z + log(1 + exp(−|z|)), and
    its derivative is f(z) − x.
    """

    outputs = ("logistic",)

    @staticmethod
    def at_mean(mean, variance):
        """Mean loss of the constant reconstruction x̂_i = mean."""
        # A scaler's rounding may leave a mean just outside [0, 1].
        p = np.clip(mean, 1e-12, 1 - 1e-12)
        return float(-(p * np.log(p) + (1 - p) * np.log1p(-p)).sum())

    @staticmethod
    def rows(Z, X, output, scratch, entry_weights=None):
        """Return ℓ, (rows,), and overwrite Z with ∂ℓ/∂Z."""
        entries, other = scratch
        np.abs(Z, out=entries)
        np.negative(entries, out=entries)
        np.exp(entries, out=entries)
        np.log1p(entries, out=entries)
        np.maximum(Z, 0, out=other)
        entries += other
        np.multiply(X, Z, out=other)
        entries -= other
        Logistic.apply(Z)
        Z -= X
        if entry_weights is not None:
            entries *= entry_weights
            Z *= entry_weights
        return entries.sum(axis=1)


LOSSES = {"squared_error": SquaredError, "log_loss": LogLoss}
