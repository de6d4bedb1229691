"""Losses: the value of each row, and its gradient left in place.

A loss meets the outputs as pre-activations Z, (rows, n_features), so that a
cross-entropy never takes the logarithm of a saturated output. It returns the
loss of each row and leaves ∂loss/∂Z where Z was. ``scratch`` is a pair of
arrays of Z's shape for whoever needs room, ``entry_weights`` an array of it by
which the loss of each entry is multiplied. A new loss is one class and one
entry in ``LOSSES``, or in ``TARGET_LOSSES`` alone if it cannot compare a row
with its reconstruction, and then it needs no ``entry_weights``.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from skae._one_pass import in_one_pass
from skae.core.activations import ACTIVATIONS, Logistic
from skae.core.arrays import vecdot

if TYPE_CHECKING:
    from skae.core import protocols

# Room for two arrays of the outputs' shape; None where none is needed.
_Scratch = Any
# Of each column what share of the rows has it, (n_features,), or None where all have.
_Shares = np.ndarray | None


def check_output(loss_name: str, output_name: str) -> None:
    """Raise ValueError if a loss does not take outputs of an activation."""
    taken = TARGET_LOSSES[loss_name].outputs
    if output_name not in taken:
        raise ValueError(
            f"loss={loss_name!r} needs an output among {taken}, got "
            f"output={output_name!r}."
        )


class SquaredError:
    """ℓ_i = ½ ‖f(z_i) − x_i‖²."""

    outputs = tuple(ACTIVATIONS)  # names of the f that it takes
    is_quadratic = True

    @staticmethod
    def at_mean(mean: np.ndarray, variance: float, observed: _Shares = None) -> float:
        """Mean loss of the constant reconstruction x̂_i = mean."""
        return 0.5 * variance

    @staticmethod
    def at_best(X: np.ndarray) -> float:
        """Mean loss of the reconstruction x̂_i = x_i."""
        return 0.0

    @staticmethod
    def rows(
        Z: np.ndarray,
        X: np.ndarray,
        output: "protocols.Activation",
        scratch: _Scratch,
        entry_weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return ℓ, (rows,), and overwrite Z with ∂ℓ/∂Z."""
        if output.is_linear:
            Z -= X
            if entry_weights is None:
                return 0.5 * vecdot(Z, Z)
            weighted = np.multiply(Z, entry_weights, out=scratch[0])
            losses = 0.5 * vecdot(Z, weighted)
            np.copyto(Z, weighted)
            return losses
        residual, other = scratch
        compare = _comparison(output)  # type: ignore[arg-type]  # classes have hashes
        in_one_pass(compare, Z, X, residual, entry_weights, scratch=(other,))
        if entry_weights is None:
            return 0.5 * vecdot(residual, residual)
        weighted = np.multiply(residual, entry_weights, out=other)
        return 0.5 * vecdot(residual, weighted)


@cache
def _comparison(output: "protocols.Activation") -> Callable[..., None]:
    """What compares outputs f(Z) with rows, one and the same function for each f."""

    def compare(
        Z: np.ndarray,
        X: np.ndarray,
        residual: np.ndarray,
        entry_weights: np.ndarray | None,
        slope: np.ndarray,
    ) -> None:
        """Write f(Z) − X into ``residual``, and w (f(Z) − X) f′(Z) into Z."""
        output.apply(Z)
        np.subtract(Z, X, out=residual)
        output.derivative(Z, out=slope)
        if entry_weights is None:
            np.multiply(residual, slope, out=Z)
        else:
            np.multiply(residual, entry_weights, out=Z)
            Z *= slope

    return compare


class LogLoss:
    """ℓ_i = Σ_k −x_ik log f(z_ik) − (1 − x_ik) log(1 − f(z_ik)), logistic f.

    From the pre-activations it is Σ_k max(z, 0) − x z + log(1 + exp(−|z|)), and
    its derivative is f(z) − x.
    """

    outputs = ("logistic",)
    is_quadratic = False

    @staticmethod
    def at_mean(mean: np.ndarray, variance: float, observed: _Shares = None) -> float:
        """Mean loss of the constant reconstruction x̂_i = mean."""
        # A scaler's rounding may leave a mean just outside [0, 1].
        p = np.clip(mean, 1e-12, 1 - 1e-12)
        entropies = p * np.log(p) + (1 - p) * np.log1p(-p)
        return float(-(entropies if observed is None else observed * entropies).sum())

    @staticmethod
    def at_best(X: np.ndarray) -> float:
        """Mean loss of the reconstruction x̂_i = x_i: entropy, which nothing lowers."""
        # In float32, 1 - 1e-12 would be 1.
        p = np.clip(X.astype(np.float64), 1e-12, 1 - 1e-12)
        entropies = p * np.log(p) + (1 - p) * np.log1p(-p)
        # Entries that are missing have no loss.
        return float(-np.where(np.isfinite(p), entropies, 0).sum() / len(X))

    @staticmethod
    def rows(
        Z: np.ndarray,
        X: np.ndarray,
        output: "protocols.Activation",
        scratch: _Scratch,
        entry_weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return ℓ, (rows,), and overwrite Z with ∂ℓ/∂Z."""
        entries, other = scratch
        in_one_pass(LogLoss._compare, Z, X, entries, scratch=(other,))
        if entry_weights is not None:
            entries *= entry_weights
            Z *= entry_weights
        return entries.sum(axis=1)

    @staticmethod
    def _compare(
        Z: np.ndarray, X: np.ndarray, entries: np.ndarray, other: np.ndarray
    ) -> None:
        """Write the loss of each entry into ``entries``, and f(Z) − X into Z."""
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


class CrossEntropy:
    """ℓ_i = −Σ_k t_ik log f(z_i)_k, softmax f and targets t of rows that sum to 1.

    From the pre-activations it is log Σ_k exp(z_k) − Σ_k t_k z_k, and its
    derivative is f(z) − t.
    """

    outputs = ("softmax",)
    is_quadratic = False

    @staticmethod
    def at_mean(mean: np.ndarray, variance: float, observed: _Shares = None) -> float:
        """Mean loss of predicting the targets' mean for every row."""
        p = np.clip(mean, 1e-12, 1)
        return float(-(p * np.log(p)).sum())

    @staticmethod
    def rows(
        Z: np.ndarray, T: np.ndarray, output: "protocols.Output", scratch: _Scratch
    ) -> np.ndarray:
        """Return ℓ, (rows,), and overwrite Z with ∂ℓ/∂Z."""
        highest = np.arange(len(Z), like=Z), Z.argmax(axis=1)
        Z -= Z[highest][:, np.newaxis]
        losses = -vecdot(T, Z)
        np.exp(Z, out=Z)
        # The highest counts exp(0) = 1; log1p of the others' sum is exact to the
        # last digit where they vanish, as the loss of a row well classified is.
        Z[highest] = 0
        others = Z.sum(axis=1)
        losses += np.log1p(others)
        Z[highest] = 1
        others += 1
        Z /= others[:, np.newaxis]
        Z -= T
        return losses


LOSSES: "Mapping[str, protocols.Loss]" = {
    "squared_error": SquaredError,
    "log_loss": LogLoss,
}
TARGET_LOSSES: "Mapping[str, protocols.TargetLoss]" = {
    **LOSSES,
    "cross_entropy": CrossEntropy,
}
