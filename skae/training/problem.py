"""What one run of training needs, and what comes out of it."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from skae._sklearn import Interval, StrOptions
from skae.core.blocks import Data

# What those parameters may be that say how to train.
TRAINING_CONSTRAINTS = {
    "solver": [StrOptions({"lbfgs", "adam"})],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "learning_rate": [StrOptions({"constant", "linear"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "shuffle": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
}
# And how strongly weights are penalised.
PENALTY_CONSTRAINTS = {
    "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"scale"})],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
}


@dataclass(frozen=True)
class Settings:
    """How to train: parameters of the estimators, under their names there."""

    solver: str = "lbfgs"
    max_iter: int = 1000
    max_fun: int = 15000
    tol: float = 2e-4
    redraw_every: int | None = None
    batch_size: int = 200
    learning_rate: str = "constant"
    learning_rate_init: float = 3e-3
    shuffle: bool = True
    n_iter_no_change: int = 10
    verbose: int = 0

    @classmethod
    def of(cls, estimator, n_rows):
        """Read from an estimator's parameters, where it has them."""
        given = {
            name: getattr(estimator, name)
            for name in cls.__dataclass_fields__
            if hasattr(estimator, name)
        }
        batch_size = given.get("batch_size", "auto")
        if batch_size == "auto":
            batch_size = 200
        return cls(**{**given, "batch_size": int(min(batch_size, n_rows))})


@dataclass(frozen=True)
class Problem:
    """All that one run of training needs besides its start."""

    objective: Any  # AutoencoderObjective or NetworkObjective
    data: Data
    coordinates: Any
    settings: Settings
    # θ -> score on held-out rows, higher is better; None is no early stopping.
    validate: Callable | None = None
    moments: Any = None  # of the rows that set the scale of things
    task: Any = None  # whose parts are the iterations; None where nobody follows them
    # (θ, n_iter) -> attributes of an estimator that stopped there.
    attributes: Callable | None = None


@dataclass(frozen=True)
class Trained:
    """One run's outcome, in the units of the data."""

    theta: np.ndarray
    loss: float
    terms: dict
    loss_curve: np.ndarray
    terms_curve: dict
    validation_scores: np.ndarray | None
    n_iter: int
    status: str
    fault: str | None  # what makes it no fit at all, a name in ``FAULTS``
    batches: Any  # the state of Adam, None of L-BFGS
