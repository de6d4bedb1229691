"""Every objective that the tables of skae.core can make.

A new entry of ``ACTIVATIONS``, ``LOSSES`` or ``CORRUPTIONS`` is picked up as it is. A
new penalty is one entry of ``EXTRAS``, from the activation to the keywords that
`AutoencoderObjective` takes for it, or None where they do not go together; and one of
``IN_TEXTBOOK``, the keywords of ``textbook.terms``.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
import textbook

from skae.core.activations import ACTIVATIONS
from skae.core.autoencoder import AutoencoderObjective
from skae.core.corruptions import CORRUPTIONS, Custom, Noise
from skae.core.losses import LOSSES
from skae.core.penalties import L1, Contraction, KullbackLeibler

N, D, K = 13, 5, 4  # rows, features, components
ALPHA, L1_RATIO, RHO, KL_BETA, L1_BETA, CONTRACTION = 0.1, 0.3, 0.1, 3.0, 0.3, 0.5


def _kl(activation):
    if activation.bounds is None:
        return None
    return {"terms": [KullbackLeibler(RHO, KL_BETA, activation.bounds)]}


def _contraction(activation):
    if activation.curvature is None:
        return None
    return {"terms": [Contraction(CONTRACTION, activation)]}


def _corruptions():
    """Each corruption, plain, with the penalty on the mean code, with emphasis."""
    made = {
        name: kind(0.4, low=np.zeros(D), high=np.ones(D))
        for name, kind in CORRUPTIONS.items()
    }
    made["custom"] = Custom(lambda X, U: np.where(U < 0.4, X * U, X))
    for name, corruption in made.items():
        noise = {"noise": Noise(corruption, seed=3)}
        yield name, lambda activation, noise=noise: noise
        yield (
            f"{name} kl",
            lambda activation, noise=noise: (
                None if activation.bounds is None else _kl(activation) | noise
            ),
        )
        if corruption.selects:
            emphasised = noise | {"emphasis": (1.0, 0.3)}
            yield f"{name} emphasis", lambda activation, both=emphasised: both


EXTRAS = {
    "none": lambda activation: {},
    "kl": _kl,
    "l1": lambda activation: {"terms": [L1(L1_BETA)]},
    "contraction": _contraction,
    "sparse weights": lambda activation: {
        "alpha": (1 - L1_RATIO) * ALPHA,
        "l1": L1_RATIO * ALPHA,
    },
    **dict(_corruptions()),
}
# Those without noise, which have a formula.
IN_TEXTBOOK = {
    "none": {},
    "kl": {"sparsity": "kl", "beta": KL_BETA, "rho": RHO},
    "l1": {"sparsity": "l1", "beta": L1_BETA},
    "contraction": {"contraction": CONTRACTION},
    "sparse weights": {"l1_ratio": L1_RATIO},
}


class Case(NamedTuple):
    activation: str
    output: str
    loss: str
    extra: str
    tied: bool
    weighted: bool

    def __str__(self):
        flags = [self.tied * "tied", self.weighted * "weighted"]
        return "-".join(filter(None, [*self[:4], *flags]))

    def objective(self, dtype=np.float64, make=AutoencoderObjective):
        extra = EXTRAS[self.extra](ACTIVATIONS[self.activation])
        return make(
            D,
            K,
            activation=self.activation,
            output=self.output,
            loss=self.loss,
            tied_weights=self.tied,
            dtype=dtype,
            **{"alpha": ALPHA, **extra},
        )

    def draw(self, seed=0):
        """Rows, their weights and a θ at which nothing is within 1e-3 of a kink."""
        rng = np.random.default_rng(seed)
        objective = self.objective()
        X = rng.uniform(0.1, 0.9, (N, D))
        s = rng.uniform(0.5, 2, N) if self.weighted else None
        inputs = X.copy()
        if objective.noise is not None:
            objective.noise(X, start=0, draw=0, out=inputs)
        while True:
            theta = 0.5 * rng.standard_normal(objective.layout.size)
            p = objective.parameters(theta)
            before = inputs @ p.encoder.T + p.hidden
            after = textbook.ACTIVATIONS[self.activation](before) @ p.decoder[:-1]
            after += p.decoder[-1]
            if min(np.abs(before).min(), np.abs(after).min()) > 1e-3:
                return objective, X, s, theta


CASES = [
    Case(activation, output, loss, extra, tied, weighted)
    for activation, loss, extra, tied, weighted in product(
        ACTIVATIONS, LOSSES, EXTRAS, [False, True], [False, True]
    )
    for output in LOSSES[loss].outputs
    if EXTRAS[extra](ACTIVATIONS[activation]) is not None
]

# What does not depend on the output can be tested with two cases an extra.
ONE_OUTPUT = [
    case
    for case in CASES
    if (case.activation, case.output)
    in (("logistic", "identity"), ("relu", "logistic"))
]


def is_noisy(case):
    """Whether rows meet noise of their own."""
    return case.objective().noise is not None
