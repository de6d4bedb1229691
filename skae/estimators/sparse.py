"""The sparse autoencoder."""

from numbers import Real

from skae._sklearn import Interval, StrOptions
from skae.core.activations import ACTIVATIONS
from skae.core.penalties import L1, KullbackLeibler
from skae.estimators._base import BaseAutoencoder

# sparsity_weight="scale" is this fraction of the loss of the column means.
_WEIGHT = 0.2


class SparseAutoencoder(BaseAutoencoder):
    """TODO"""

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "sparsity": [StrOptions({"kl", "l1"}), None],
        "sparsity_target": [Interval(Real, 0, 1, closed="neither")],
        "sparsity_weight": [Interval(Real, 0, None, closed="left"), StrOptions({"scale"})],
    }

    def __init__(
        self,
        n_components=None,
        *,
        activation="logistic",
        output_activation="identity",
        loss="squared_error",
        tied_weights=False,
        alpha="scale",
        sparsity="kl",
        sparsity_target=0.05,
        sparsity_weight="scale",
        max_iter=400,
        max_fun=15000,
        tol=1e-4,
        n_init=1,
        n_jobs=None,
        random_state=None,
        warm_start=False,
        verbose=0,
    ):
        self.n_components = n_components
        self.activation = activation
        self.output_activation = output_activation
        self.loss = loss
        self.tied_weights = tied_weights
        self.alpha = alpha
        self.sparsity = sparsity
        self.sparsity_target = sparsity_target
        self.sparsity_weight = sparsity_weight
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.tol = tol
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def _check_combinations(self):
        super()._check_combinations()
        if self.sparsity == "kl" and ACTIVATIONS[self.activation].bounds is None:
            raise ValueError(
                "sparsity='kl' needs codes in (0, 1), got "
                f"activation={self.activation!r}; use activation='logistic' or "
                "sparsity='l1'."
            )

    def _sparsity(self, unit, n_components):
        if self.sparsity is None:
            return None
        if self.sparsity == "l1":
            self.sparsity_weight_ = self._weight(_WEIGHT * unit / n_components)
            return L1(self.sparsity_weight_)
        self.sparsity_weight_ = self._weight(_WEIGHT * unit)
        bounds = ACTIVATIONS[self.activation].bounds
        return KullbackLeibler(self.sparsity_target, self.sparsity_weight_, bounds)

    def _weight(self, scaled):
        return scaled if self.sparsity_weight == "scale" else self.sparsity_weight
