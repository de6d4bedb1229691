"""scikit-learn's MLPRegressor, fitted to reproduce its input; it knows no sparsity."""

import warnings

from benchopt import BaseSolver
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor


class Solver(BaseSolver):
    """``MLPRegressor().fit(X, X)``; an iteration of Adam is an epoch."""

    name = "MLPRegressor"
    requirements = ["scikit-learn"]
    sampling_strategy = "iteration"
    parameters = {"solver": ["lbfgs", "adam"]}

    def skip(self, X, n_components, alpha, sparsity_weight, sparsity_target):
        """Leave out what it cannot minimise."""
        return bool(sparsity_weight), "MLPRegressor has no penalty of the mean code"

    def set_objective(self, X, n_components, alpha, sparsity_weight, sparsity_target):
        """Take the objective, in its units: J / n_features, decay over n_samples."""
        self.X = X
        self.model = MLPRegressor(
            hidden_layer_sizes=(n_components,),
            activation="logistic",
            alpha=alpha * X.shape[0] / X.shape[1],
            solver=self.solver,
            tol=0,
            n_iter_no_change=10**6,
            max_fun=10**9,
            random_state=0,
        )

    def run(self, n_iter):
        """Fit from the start, for so many iterations."""
        self.model.set_params(max_iter=n_iter + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self.X, self.X)

    def get_result(self):
        """Return the weights."""
        (W, D), (b, c) = self.model.coefs_, self.model.intercepts_
        return {"W": W.T, "b": b, "D": D, "c": c}
