"""Training by L-BFGS, on all rows at every step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skae.core.protocols import Engine
from skae.engines.blas import single_threaded_blas
from skae.solvers import Iteration, Result, minimize_lbfgs
from skae.solvers.line_search import Function
from skae.solvers.result import Callback
from skae.training.problem import NEARLY_ZERO, MakeEngine, State, WeightsProblem
from skae.training.progress import Progress
from skae.training.stages import in_stages

# A gradient with no entry above this, times ``tol``, is as good as zero.
_STATIONARY = 1e-6
# Runs on fresh noise without a lower loss before training counts as converged.
_PATIENCE = 5


def train_on_all_rows(
    problem: WeightsProblem,
    engine: MakeEngine,
    start: np.ndarray,
    seed: Any,
    state: State | None,
    progress: Progress,
) -> tuple[Result, np.ndarray, None]:
    """Minimise by L-BFGS.

    Parameters
    ----------
    problem : WeightsProblem
        What to minimise.
    engine : callable
        ``engine()`` evaluates the objective over all rows.
    start : ndarray of shape (size,)
        θ′, in the solver's coordinates.
    seed, state : int, None
        For solvers that draw something.
    progress : Progress
        Told of every iteration.

    Returns
    -------
    result : Result
        Of the solver, in its last coordinates; its ``aux`` is (loss, terms).
    theta : ndarray of shape (size,)
        The point, in the units of the data.
    state : None
        There is nothing to go on from.
    """
    # Products of coordinates, too, are to have the same bits on any number of threads.
    with single_threaded_blas():
        return in_stages(problem, engine, start, progress, _minimise)


def _minimise(
    problem: WeightsProblem,
    engine: Engine,
    evaluate: Function,
    start: np.ndarray,
    each_iteration: Callback,
) -> Result:
    """In one run, or where noise is drawn in rounds of them."""
    if problem.settings.redraw_every is None:
        return _one_run(problem, evaluate, start, each_iteration)
    return _in_rounds(problem, engine, evaluate, start, each_iteration)


def _one_run(
    problem: WeightsProblem,
    evaluate: Function,
    start: np.ndarray,
    each_iteration: Callback,
    most: int | None = None,
    n_iter: int = 0,
    n_fun: int = 0,
) -> Result:
    """Up to ``most`` iterations, after so many iterations and evaluations of others."""
    settings, coordinates = problem.settings, problem.coordinates
    left = settings.max_iter - n_iter

    def shifted(iteration: Iteration) -> None:
        each_iteration(
            iteration._replace(
                n_iter=iteration.n_iter + n_iter, n_fun=iteration.n_fun + n_fun
            )
        )

    return minimize_lbfgs(
        evaluate,
        start,
        max_iter=left if most is None else min(most, left),
        max_fun=settings.max_fun - n_fun,
        tol=_STATIONARY * settings.tol,
        ftol=settings.tol,
        atol=NEARLY_ZERO * settings.tol,
        callback=shifted,
        l1=coordinates.pull_weights(problem.objective.penalty_weights),
    )


def _in_rounds(
    problem: WeightsProblem,
    engine: Engine,
    evaluate: Function,
    start: np.ndarray,
    each_iteration: Callback,
) -> Result:
    """Runs of ``redraw_every`` iterations, each with noise drawn afresh.

    The first value of a run is the loss on noise that the run before did not
    meet, which estimates the expected loss. Training has converged when
    the lowest of these has fallen by less than ``tol``, relatively, in ``_PATIENCE``
    runs.
    """
    settings = problem.settings
    x, result = start, None
    n_runs = n_iter = n_fun = stale = 0
    lowest = np.inf
    while True:
        engine.draw = n_runs  # an earlier start may have left another one
        values: list[float] = []
        recorded = _recorded(evaluate, values, problem.coordinates.unit)
        most = settings.redraw_every
        try:
            result = _one_run(problem, recorded, x, each_iteration, most, n_iter, n_fun)
        except KeyboardInterrupt:
            # The solver has nothing to keep before its first value; we may.
            if result is None:
                raise
            return replace(result, n_iter=n_iter, n_fun=n_fun, status="interrupted")
        x = result.x
        n_runs += 1
        n_iter += result.n_iter
        n_fun += result.n_fun
        # Together no less than tol.
        least = 0.0 if n_runs == 1 else settings.tol / _PATIENCE * abs(lowest)
        stale = 0 if values[0] < lowest - least else stale + 1
        lowest = min(lowest, values[0])
        status = _status(problem, result.status, n_iter, n_fun, stale)
        if status is not None:
            return replace(result, n_iter=n_iter, n_fun=n_fun, status=status)


def _recorded(evaluate: Function, values: list[float], unit: float) -> Function:
    """``evaluate``, which also appends the loss to ``values``, penalties included."""

    def recorded(inner: np.ndarray) -> tuple[float, np.ndarray, Any]:
        evaluation = evaluate(inner)
        loss, _ = evaluation[2]
        values.append(loss / unit)
        return evaluation

    return recorded


def _status(
    problem: WeightsProblem, of_run: str, n_iter: int, n_fun: int, stale: int
) -> str | None:
    """How all has ended with a run that ended so; None if another is to follow."""
    settings = problem.settings
    if n_fun >= settings.max_fun:
        return "max_fun"
    cut_short = of_run == "max_iter" and n_iter < settings.max_iter
    if not (cut_short or of_run in ("gradient", "value", "precision")):
        return of_run
    return "noise" if stale == _PATIENCE else None
