"""The contractive autoencoder."""

from numbers import Real

import numpy as np

from skae._sklearn import Interval, StrOptions
from skae.core.activations import ACTIVATIONS
from skae.core.penalties import Contraction
from skae.estimators._base import BaseAutoencoder

# contraction_weight="scale" is this, in units in which loss and data are of order one.
_WEIGHT = 0.1


class ContractiveAutoencoder(BaseAutoencoder):
    """TODO"""

    _parameter_constraints: dict = {
        **BaseAutoencoder._parameter_constraints,
        "contraction_weight": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"scale"}),
        ],
    }

    def __init__(
        self,
        n_components=None,
        *,
        contraction_weight="scale",
        activation="logistic",
        output_activation="identity",
        loss="squared_error",
        tied_weights=False,
        alpha="scale",
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
        self.contraction_weight = contraction_weight
        self.activation = activation
        self.output_activation = output_activation
        self.loss = loss
        self.tied_weights = tied_weights
        self.alpha = alpha
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.tol = tol
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def jacobian_norm(self, X):
        """Frobenius norm of the Jacobian of the code of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        norms : ndarray of shape (n_samples,)
            ‖∂h_i/∂x_i‖_F, in units of a code per unit of X.
        """
        codes = self._encode(self._validate(X))
        slopes = np.empty_like(codes)
        ACTIVATIONS[self.activation].derivative(codes, out=slopes)
        np.square(slopes, out=slopes)
        W = self.components_
        return np.sqrt(slopes @ np.vecdot(W, W).astype(codes.dtype, copy=False))

    def _check_combinations(self):
        super()._check_combinations()
        reasons = {
            "identity": "its Jacobian is W for every row, so that the penalty would "
            "be weight decay; use alpha",
            "relu": "its Jacobian is constant but for jumps that a gradient cannot "
            "see; use activation='logistic' or 'tanh'",
        }
        if self.activation in reasons:
            raise ValueError(
                "ContractiveAutoencoder needs a smooth activation that saturates, got "
                f"activation={self.activation!r}: {reasons[self.activation]}."
            )

    def _terms(self, X, scale, n_components, random_state):
        activation = ACTIVATIONS[self.activation]
        self.contraction_weight_ = (
            0.1 * unit
            if self.contraction_weight == "scale"
            else self.contraction_weight
        )
        return {"contraction": Contraction(self.contraction_weight_, activation)}
