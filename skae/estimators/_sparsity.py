"""The sparsity parameters that several autoencoders share."""

from numbers import Real

from skae._sklearn import Interval, StrOptions
from skae.core.activations import ACTIVATIONS
from skae.core.penalties import L1, KullbackLeibler

# sparsity_weight="scale" is this fraction of the loss of the column means.
_WEIGHT = 0.2


class SparsityMixin:
    """Parameters ``sparsity``, ``sparsity_target`` and ``sparsity_weight``."""

    _parameter_constraints: dict = {
        "sparsity": [StrOptions({"kl", "l1"}), None],
        "sparsity_target": [Interval(Real, 0, 1, closed="neither")],
        "sparsity_weight": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"scale"}),
        ],
    }

    def _check_combinations(self):
        super()._check_combinations()
        if self.sparsity == "kl" and ACTIVATIONS[self.activation].bounds is None:
            raise ValueError(
                "sparsity='kl' needs codes in (0, 1), got "
                f"activation={self.activation!r}; use activation='logistic' or "
                "sparsity='l1'."
            )

    def _sparsity(self, scale, n_components):
        """Terms of the loss, one or none; sets ``sparsity_weight_``."""
        if self.sparsity is None:
            self.sparsity_weight_ = 0.0
            return []
        if self.sparsity_weight == "scale":
            parts = n_components if self.sparsity == "l1" else 1
            self.sparsity_weight_ = _WEIGHT * scale.unit / parts
        else:
            self.sparsity_weight_ = float(self.sparsity_weight)
        if self.sparsity == "l1":
            return [L1(self.sparsity_weight_)]
        bounds = ACTIVATIONS[self.activation].bounds
        target = float(self.sparsity_target)
        return [KullbackLeibler(target, self.sparsity_weight_, bounds)]
