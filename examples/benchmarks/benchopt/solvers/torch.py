"""PyTorch with automatic derivatives: L-BFGS on all rows, Adam on mini-batches."""

import numpy as np
import torch
from benchopt import BaseSolver
from torch.optim import LBFGS, Adam


class Solver(BaseSolver):
    """torch.optim; an iteration of Adam is an epoch."""

    name = "PyTorch"
    requirements = ["pip::torch"]
    sampling_strategy = "iteration"
    parameters = {"solver": ["lbfgs", "adam"]}

    def set_objective(self, X, n_components, alpha, sparsity_weight, sparsity_target):
        """Take the objective."""
        self.X, self.k, self.alpha = torch.from_numpy(X), n_components, alpha
        self.beta, self.rho = sparsity_weight, sparsity_target

    def loss(self, X):
        """J of some rows."""
        codes = torch.sigmoid(X @ self.W.T + self.b)
        value = 0.5 * (codes @ self.D + self.c - X).square().sum() / len(X)
        value = value + self.alpha / 2 * (self.W.square().sum() + self.D.square().sum())
        if self.beta:
            mean = codes.mean(dim=0).clamp(1e-6, 1 - 1e-6)
            value = (
                value
                + self.beta
                * (
                    self.rho * torch.log(self.rho / mean)
                    + (1 - self.rho) * torch.log((1 - self.rho) / (1 - mean))
                ).sum()
            )
        return value

    def run(self, n_iter):
        """Train from the start, for so many iterations."""
        d, rng = self.X.shape[1], np.random.RandomState(0)
        bound = (6 / (d + self.k)) ** 0.5

        def parameter(array):
            return torch.tensor(array, dtype=self.X.dtype, requires_grad=True)

        self.W, self.D = (
            parameter(rng.uniform(-bound, bound, (self.k, d))) for _ in "WD"
        )
        self.b = parameter(np.zeros(self.k))
        self.c = parameter(self.X.mean(dim=0).numpy())
        parameters = [self.W, self.b, self.D, self.c]
        if self.solver == "lbfgs":
            optimizer = LBFGS(
                parameters,
                max_iter=n_iter + 1,
                max_eval=10**9,
                tolerance_grad=0,
                tolerance_change=0,
                history_size=10,
                line_search_fn="strong_wolfe",
            )

            def closure():
                optimizer.zero_grad()
                value = self.loss(self.X)
                value.backward()
                return value

            optimizer.step(closure)
            return
        torch.manual_seed(0)
        optimizer = Adam(parameters, lr=3e-3)
        for _ in range(n_iter + 1):
            for index in torch.randperm(len(self.X)).split(200):
                optimizer.zero_grad()
                self.loss(self.X[index]).backward()
                optimizer.step()

    def get_result(self):
        """Return the weights."""
        names = ("W", "b", "D", "c")
        return {name: getattr(self, name).detach().numpy() for name in names}
