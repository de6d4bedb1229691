"""Training by L-BFGS, on all rows at every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from skae.solvers import Result, minimize_lbfgs
from skae.training.problem import Problem
from skae.training.progress import Progress
from skae.training.stages import in_stages

# Runs on fresh noise without a lower loss before training counts as converged.
_PATIENCE = 5


def train_on_all_rows(
    problem: Problem,
    engine: Callable,
    start: np.ndarray,
    seed: int,
    state: dict | None,
    progress: Progress,
) -> tuple[Result, np.ndarray, None]:
    """Minimise by L-BFGS.

    Parameters
    ----------
    problem : Problem
        What to minimise.
    engine : callable
        ``engine()`` evaluates the objective over all rows.
    start : ndarray
        θ′, in the solver's coordinates.
    seed, state : int, None
        For solvers that draw something.
    progress : Progress
        Told of every iteration.

    Returns
    -------
    result : Result
        Of the solver, in its last coordinates; its ``aux`` is (loss, terms).
    theta : ndarray
        The point, in the units of the data.
    state : None
        There is nothing to go on from.
    """
    once = problem.settings.redraw_every is None
    minimise = _in_one_run if once else _in_rounds
    return in_stages(problem, engine, start, progress, minimise)


def _in_one_run(problem, engine, evaluate, start, each_iteration):
    settings = problem.settings
    return minimize_lbfgs(
        evaluate,
        start,
        max_iter=settings.max_iter,
        max_fun=settings.max_fun,
        tol=problem.tolerance,
        callback=each_iteration,
        l1=_penalty_weights(problem),
    )


def _penalty_weights(problem):
    return problem.coordinates.pull_weights(problem.objective.penalty_weights)


def _in_rounds(problem, engine, evaluate, start, each_iteration):
    """Runs of ``redraw_every`` iterations, each with noise drawn afresh.

    The first value of a run is the loss on noise that the run before did not
    meet, which estimates the expected loss. Training has converged when
    the lowest of these has not fallen by ``tol`` in ``_PATIENCE`` runs.
    """
    settings, unit = problem.settings, problem.coordinates.unit
    l1 = _penalty_weights(problem)
    n_iter = n_fun = stale = 0
    lowest, result = np.inf, None
    x = start
    while True:
        values = []

        def recorded(inner, values=values):
            evaluation = evaluate(inner)
            loss, _ = evaluation[2]
            values.append(loss / unit)
            return evaluation

        def shifted(iteration, n_iter=n_iter, n_fun=n_fun):
            each_iteration(
                iteration._replace(
                    n_iter=iteration.n_iter + n_iter, n_fun=iteration.n_fun + n_fun
                )
            )

        try:
            result = minimize_lbfgs(
                recorded,
                x,
                max_iter=min(settings.redraw_every, settings.max_iter - n_iter),
                max_fun=settings.max_fun - n_fun,
                tol=problem.tolerance,
                callback=shifted,
                l1=l1,
            )
        except KeyboardInterrupt:
            # The solver has nothing to keep before its first value; we may.
            if result is None:
                raise
            return replace(result, n_iter=n_iter, n_fun=n_fun, status="interrupted")
        x = result.x
        n_iter += result.n_iter
        n_fun += result.n_fun
        status = result.status
        if status == "max_iter" and n_iter < settings.max_iter:
            status = "value"  # of this run only
        stale = 0 if values[0] < lowest - settings.tol else stale + 1
        lowest = min(lowest, values[0])
        if n_fun >= settings.max_fun:
            status = "max_fun"
        unfinished = status in ("gradient", "value", "precision")
        if unfinished and stale == _PATIENCE:
            status = "noise"
        if status == "noise" or not unfinished:
            return replace(result, n_iter=n_iter, n_fun=n_fun, status=status)
        engine.draw += 1
