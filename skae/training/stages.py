"""Stages of training on all rows: in each of them the solver starts afresh.

A stage has rows, coordinates and a limit of iterations, and goes on from where the one
before has ended. What the solver remembers of the curvature is of other coordinates
then, and begins again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skae.solvers import Iteration, Result
from skae.training.problem import Problem
from skae.training.progress import Progress
from skae.training.whitening import Whitening

# Iterations after which the codes are no longer those of random weights.
_UNTIL_RECODED = 30
# How a stage may end that is to be the last, wherever it is.
_ENDS = ("interrupted", "stopped", "max_fun")


@dataclass(frozen=True)
class Stage:
    """Iterations in the same coordinates.

    Parameters
    ----------
    max_iter : int
        At most.
    recoded : bool
        Whether codes are decorrelated.
    """

    max_iter: int
    recoded: bool


def stages(problem: Problem) -> list[Stage]:
    """How to minimise ``problem``; limits add up to ``max_iter``."""
    max_iter = problem.settings.max_iter
    first = min(_UNTIL_RECODED, max_iter)
    plan = [Stage(first, False), Stage(max_iter - first, True)]
    return [stage for stage in plan if stage.max_iter]


def in_stages(
    problem: Problem,
    engine: Callable,
    start: np.ndarray,
    progress: Progress,
    minimise: Callable,
) -> tuple[Result, np.ndarray, None]:
    """Minimise by ``minimise``, stage by stage.

    Parameters
    ----------
    problem, engine, start, progress : Problem, callable, ndarray, Progress
        See ``skae.training.full_batch.train_on_all_rows``.
    minimise : callable
        ``minimise(problem, engine, evaluate, start, each_iteration) -> Result``, for
        the problem of one stage, whose θ′ are those of its coordinates.
    """
    theta = problem.coordinates.to_data(start)
    whitening = Whitening(problem)
    result = None
    plan = stages(problem)
    for stage in plan:
        done = (0, 0) if result is None else (result.n_iter, result.n_fun)
        of_stage = _problem_of(problem, stage, whitening.at(theta, stage.recoded), done)
        try:
            run = _run(of_stage, engine, theta, progress, minimise, done)
        except KeyboardInterrupt:
            # The solver has nothing to keep before its first value; we may.
            if result is None:
                raise
            return replace(result, status="interrupted"), theta, None
        theta = of_stage.coordinates.to_data(run.x)
        n_iter, n_fun = done
        result = replace(run, n_iter=run.n_iter + n_iter, n_fun=run.n_fun + n_fun)
        if run.status != "max_iter":
            break
    return result, theta, None


def _problem_of(
    problem: Problem, stage: Stage, coordinates: Any, done: tuple[int, int]
) -> Problem:
    settings = replace(
        problem.settings,
        max_iter=stage.max_iter,
        max_fun=problem.settings.max_fun - done[1],
    )
    return replace(problem, coordinates=coordinates, settings=settings)


def _run(
    problem: Problem,
    engine: Callable,
    theta: np.ndarray,
    progress: Progress,
    minimise: Callable,
    done: tuple[int, int],
) -> Result:
    """One stage, from θ in the units of the data."""
    coordinates = problem.coordinates
    start = coordinates.from_data(theta)
    buffer = np.empty_like(start)
    n_iter, n_fun = done

    def evaluate(inner):
        progress.begin()
        loss, gradient, terms = on_rows(coordinates.to_data(inner, out=buffer))
        smooth = loss - terms.get("l1", 0.0)  # which the solver adds itself
        return smooth / coordinates.unit, coordinates.pull_back(gradient), (loss, terms)

    def each_iteration(iteration: Iteration):
        shifted = iteration._replace(
            n_iter=iteration.n_iter + n_iter, n_fun=iteration.n_fun + n_fun
        )
        progress(shifted, lambda: coordinates.to_data(iteration.x))

    with engine() as on_rows:
        return minimise(problem, on_rows, evaluate, start, each_iteration)
