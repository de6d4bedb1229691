"""The sparse autoencoder's objective, for benchopt."""

import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    """Mean squared error, weight decay and a KL penalty of the mean code.

    J = (1/n) Σ_i ½‖x̂_i − x_i‖² + (α/2)(‖W‖² + ‖D‖²) + β Σ_j KL(ρ ‖ ρ̂_j), with codes
    h = σ(W x + b), mean code ρ̂, and reconstructions x̂ = Dᵀ h + c.
    """

    name = "Sparse autoencoder"
    min_benchopt_version = "1.6"
    parameters = {
        "n_components, alpha, sparsity_weight": [(25, 1e-3, 0.1), (25, 1e-3, 0.0)],
        "sparsity_target": [0.1],
    }

    def set_data(self, X):
        """Take the rows of a data set."""
        self.X = X

    def get_one_result(self):
        """Return weights of the right shapes."""
        d, k = self.X.shape[1], self.n_components
        return {
            "W": np.zeros((k, d)),
            "b": np.zeros(k),
            "D": np.zeros((k, d)),
            "c": self.X.mean(axis=0),
        }

    def get_objective(self):
        """Return what a solver is told."""
        return {
            "X": self.X,
            "n_components": self.n_components,
            "alpha": self.alpha,
            "sparsity_weight": self.sparsity_weight,
            "sparsity_target": self.sparsity_target,
        }

    def evaluate_result(self, W, b, D, c):
        """Compute J in float64, by none of the solvers' own code."""
        W, b, D, c = (np.asarray(part, np.float64) for part in (W, b, D, c))
        codes = 0.5 + 0.5 * np.tanh(0.5 * (self.X @ W.T + b))
        error = codes @ D + c - self.X
        reconstruction = 0.5 * (error**2).sum() / len(self.X)
        decay = self.alpha / 2 * ((W**2).sum() + (D**2).sum())
        sparsity = 0.0
        if self.sparsity_weight:
            rho, mean = self.sparsity_target, codes.mean(axis=0)
            divergence = rho * np.log(rho / mean)
            divergence += (1 - rho) * np.log((1 - rho) / (1 - mean))
            sparsity = self.sparsity_weight * divergence.sum()
        return {
            "value": reconstruction + decay + sparsity,
            "reconstruction": reconstruction,
        }
