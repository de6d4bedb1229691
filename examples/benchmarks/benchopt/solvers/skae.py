"""This package, by L-BFGS on all rows and by Adam on mini-batches."""

import warnings

from benchopt import BaseSolver
from sklearn.exceptions import ConvergenceWarning

from skae import SparseAutoencoder


class Solver(BaseSolver):
    """``SparseAutoencoder``; an iteration of Adam is an epoch."""

    name = "skae"
    requirements = ["pip::skae"]
    sampling_strategy = "iteration"
    parameters = {"solver": ["lbfgs", "adam"]}

    def set_objective(self, X, n_components, alpha, sparsity_weight, sparsity_target):
        """Take the objective."""
        self.X = X
        self.model = SparseAutoencoder(
            n_components,
            alpha=alpha,
            sparsity="kl" if sparsity_weight else None,
            sparsity_target=sparsity_target,
            sparsity_weight=sparsity_weight,
            solver=self.solver,
            tol=0,
            random_state=0,
        )

    def run(self, n_iter):
        """Fit from the start, for so many iterations."""
        self.model.set_params(max_iter=n_iter + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self.X)

    def get_result(self):
        """Return the weights."""
        return {
            "W": self.model.components_,
            "b": self.model.intercept_hidden_,
            "D": self.model.decoder_components_,
            "c": self.model.intercept_visible_,
        }
