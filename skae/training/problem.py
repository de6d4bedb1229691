"""The input and the output of training, as data classes.

``Settings`` are the parameters of an estimator that concern training. ``Problem`` is
everything that one run needs except its start: objective, data, coordinates, settings.
``Trained`` is its result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from skae.core.protocols import Engine, Objective
from skae.rows.data import Data
from skae.training.coordinates import Coordinates

_BATCH = 200  # rows of a batch where "auto" is asked for

# Of a stochastic solver, to go on from: arrays, numbers and tuples by name.
State = dict[str, Any]
# ``engine()`` evaluates the objective over all rows; made when first asked for.
MakeEngine = Callable[[], Engine]


@dataclass(frozen=True)
class Settings:
    """How to train: parameters of the estimators, under their names there."""

    solver: str = "lbfgs"
    max_iter: int = 1000
    max_fun: int = 15000
    tol: float = 1e-2
    # Below so much of the loss of constant predictions, ``tol`` is relative to this.
    nearly_zero: float = 0.1
    growing_samples: bool = True
    redraw_every: int | None = None
    batch_size: int = _BATCH
    learning_rate: str = "constant"
    learning_rate_init: float = 3e-3
    shuffle: bool = True
    n_iter_no_change: int = 10
    verbose: int = 0

    @classmethod
    def of(cls, estimator: Any, n_rows: int) -> Self:
        """Read from an estimator's parameters, where it has them."""
        given = {
            field.name: getattr(estimator, field.name)
            for field in fields(cls)
            if hasattr(estimator, field.name)
        }
        if given.get("batch_size", "auto") == "auto":
            given["batch_size"] = _BATCH
        given["batch_size"] = min(given["batch_size"], n_rows)
        # Python's numbers: NumPy's would promote float32 arrays, and stay in states.
        for field in fields(cls):
            value, kind = given.get(field.name), type(field.default)
            if value is not None and kind in (int, float):
                given[field.name] = int(value) if kind is int else float(value)
        return cls(**given)


class Task(Protocol):
    """A part of a fit, of which callbacks are told."""

    def begin(self) -> Self:
        """It begins."""

    def end(self, attributes: Any = None) -> bool:
        """It ends; returns whether a callback asks for an end of the like.

        ``attributes``, a dict or what returns one, are those with which the estimator
        is as good as fitted.
        """

    def subtask(self, name: str, n_subtasks: int = 0, index: int | None = None) -> Task:
        """A part of it, not begun, of so many parts at most.

        ``index`` is there where parts are not one after the other.
        """


AnyObjective = TypeVar("AnyObjective")
AnyCoordinates = TypeVar("AnyCoordinates")


@dataclass(frozen=True)
class Problem(Generic[AnyObjective, AnyCoordinates]):
    """All that one run of training needs besides its start.

    That of an autoencoder or a network is a ``WeightsProblem``; sparse coding has an
    objective of its own kind, and None for coordinates.
    """

    objective: AnyObjective
    data: Data
    coordinates: AnyCoordinates
    settings: Settings
    # θ -> score on held-out rows, higher is better; None is no early stopping.
    validate: Callable[[np.ndarray], float] | None = None
    goes_on: bool = False  # from weights that have been trained
    # Whose parts are the iterations; None where nobody follows them.
    task: Task | None = None
    # Whether somebody has pressed Ctrl-C where signals arrive; None where they do here.
    interrupted: Callable[[], bool] | None = None
    # (θ, n_iter) -> attributes of an estimator that stopped there.
    attributes: Callable[[np.ndarray, int], dict[str, Any]] | None = None
    # What the lines of ``verbose`` begin with, to tell them from those of others.
    label: str = ""


WeightsProblem = Problem[Objective[Any], Coordinates]


@dataclass(frozen=True)
class Trained:
    """One run's outcome, in the units of the data."""

    theta: np.ndarray  # (size,)
    loss: float
    terms: dict[str, float]
    loss_curve: np.ndarray  # (n_iter,)
    terms_curve: dict[str, np.ndarray]
    validation_scores: np.ndarray | None
    n_iter: int
    status: str
    fault: str | None  # what makes it no fit at all, in words
    state: State | None
    statistics: np.ndarray | None = None  # means over all rows, such as the mean code
