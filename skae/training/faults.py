"""What makes the outcome of training no fit at all, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from skae.engines.choice import engine_for
from skae.solvers import Result
from skae.training.problem import WeightsProblem

# So many times the loss of constant predictions, and of the start, is no fit at all.
_DIVERGED = 2
_ROWS_TO_TELL = 1000
# Nor is it one to stop so early with a loss so near that of constant predictions.
_FEW_ITERATIONS, _NOTHING_LEARNT = 3, 0.95
_NO_GRADIENT = 1e-3  # beside the tolerance


def never(*outcome: Any) -> None:
    """Of a way to train that has no such faults."""


def not_begun(
    problem: WeightsProblem,
    start: np.ndarray,
    theta: np.ndarray,
    loss: float,
    result: Result,
    data_term: float,
) -> str | None:
    """Whether a solver has taken its start for a minimum."""
    still = result.status in ("gradient", "noise") and result.n_iter <= _FEW_ITERATIONS
    learnt_nothing = data_term >= _NOTHING_LEARNT * problem.coordinates.unit
    if not (still and learnt_nothing):
        return None
    # Where there is nothing to learn, a lower tol would not help.
    tol = problem.settings.tol
    norm = result.gradient_norm
    if norm is not None and norm <= _NO_GRADIENT * tol:
        return None
    return (
        f"took its start for a minimum: with tol={tol}, no more is to be had, while "
        "predictions are about as good as constant ones. "
        "Lower tol, or the weights of the penalties."
    )


def diverged(
    problem: WeightsProblem,
    start: np.ndarray,
    theta: np.ndarray,
    loss: float,
    result: Result,
    data_term: float,
) -> str | None:
    """Whether steps have led far away, judged on some rows, with one noise."""
    unit, data = problem.coordinates.unit, problem.data
    if loss <= _DIVERGED * unit:
        return None
    some_rows = data.picked(data.counted[:_ROWS_TO_TELL])
    engine = engine_for(problem.objective, some_rows)
    with engine, np.errstate(over="ignore", invalid="ignore"):
        before = engine.data_loss(problem.coordinates.to_data(start))
        after = engine.data_loss(theta)
    if after <= _DIVERGED * max(unit, before):
        return None
    return (
        "has diverged: constant predictions would be better. Steps with "
        f"learning_rate_init={problem.settings.learning_rate_init} are too long; "
        "lower it."
    )
