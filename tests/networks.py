"""Networks of every depth, activation, output and loss that the tables can make."""

from itertools import product
from typing import NamedTuple

import numpy as np
import textbook

from skae.core.activations import ACTIVATIONS
from skae.core.losses import TARGET_LOSSES
from skae.core.network import NetworkObjective

N, D = 13, 5  # rows, features
HIDDEN = (4, 2, 3, 3)  # units of the hidden layers, as many as there are
N_OUTPUTS = 3
ALPHAS = (0.1, 0.0, 0.3, 0.02, 0.2)
DROPOUT = (0.2, 0.4, 0.0, 0.3, 0.4)
DEPTHS = range(len(HIDDEN) + 1)


class NetworkCase(NamedTuple):
    depth: int
    activation: str
    output: str
    loss: str
    targets: bool = True
    weighted: bool = False
    dropout: bool = False

    def __str__(self):
        flags = [name * getattr(self, name) for name in self._fields[4:]]
        return "-".join(filter(None, [*map(str, self[:4]), *flags]))

    @property
    def layer_sizes(self):
        return (D, *HIDDEN[: self.depth], N_OUTPUTS if self.targets else D)

    @property
    def activations(self):
        """Names, the output's last."""
        return [*[self.activation] * self.depth, self.output]

    @property
    def alphas(self):
        return ALPHAS[: self.depth + 1]

    def objective(self, dtype=np.float64, make=NetworkObjective):
        return make(
            self.layer_sizes,
            self.activations[:-1],
            output=self.output,
            loss=self.loss,
            alphas=self.alphas,
            dropout=DROPOUT[: self.depth + 1] if self.dropout else None,
            seed=7,
            dtype=dtype,
        )

    def data(self, n, rng):
        """Rows, their targets or None, and their weights or None."""
        X = rng.uniform(0.1, 0.9, (n, D))
        T = None
        if not self.targets and self.loss == "cross_entropy":
            X /= X.sum(axis=1, keepdims=True)
        if self.targets:
            T = {
                "squared_error": lambda: rng.uniform(0.1, 0.9, (n, N_OUTPUTS)),
                "log_loss": lambda: rng.integers(0, 2, (n, N_OUTPUTS)).astype(float),
                "cross_entropy": lambda: np.eye(N_OUTPUTS)[
                    rng.integers(0, N_OUTPUTS, n)
                ],
            }[self.loss]()
        return X, T, rng.uniform(0.5, 2, n) if self.weighted else None

    def draw(self, seed=0, n=N):
        """Objective, rows, targets, weights, and a θ with no kink within 1e-3."""
        rng = np.random.default_rng(seed)
        objective = self.objective()
        X, T, s = self.data(n, rng)
        while True:
            theta = 0.5 * rng.standard_normal(objective.layout.size)
            p = objective.parameters(theta)
            Z = textbook.pre_activations(
                *(X, p.coefs, p.intercepts, self.activations),
                dropout_factors(objective, n),
            )
            kinks = [
                np.abs(z).min()
                for z, activation in zip(Z, self.activations, strict=True)
                if activation == "relu"
            ]
            if min(kinks, default=1) > 1e-3:
                return objective, X, T, s, theta


def dropout_factors(objective, n, draw=0):
    """What each layer's inputs are multiplied by, (n, units) or 1."""
    factors = []
    for dropout, units in zip(
        objective.dropout, objective.layer_sizes[:-1], strict=True
    ):
        factors.append(1.0)
        if dropout is not None:
            factors[-1] = np.empty((n, units))
            dropout(0, draw, factors[-1])
    return factors


PAIRS = [
    (output, loss) for loss, kind in TARGET_LOSSES.items() for output in kind.outputs
]

CASES = [
    NetworkCase(depth, activation, output, loss, *flags)
    for depth, activation, (output, loss) in product(DEPTHS, ACTIVATIONS, PAIRS)
    for flags in product([True, False], [False, True], [False, True])
    # Without hidden layers their activation does not matter; deep networks take
    # either all that can go together, or nothing.
    if (depth > 0 or activation == "logistic")
    and (depth < 3 or flags in [(True, False, False), (False, True, True)])
]
