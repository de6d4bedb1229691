"""Training by L-BFGS in stages: on growing samples, then on all rows.

Far from the minimum, the gradient of a few rows leads about as far as that of all rows,
at a fraction of the cost [1]_. With many rows, the first stages therefore use samples,
each several times as large as the one before. The last stage uses all rows, so training
ends at a minimum for all of them.

A stage consists of rows, coordinates and a limit of iterations. It continues from the
parameters of the stage before. The solver's memory of the curvature starts empty in
each stage, because it belongs to other rows and other coordinates.

References
----------
.. [1] R. Bollapragada, J. Nocedal, D. Mudigere, H.-J. Shi and P. T. P. Tang, A
   progressive batching L-BFGS method for machine learning, ICML 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from skae.core.protocols import Engine
from skae.engines.choice import engine_for
from skae.rows.data import Data
from skae.solvers import Iteration, Result
from skae.solvers.line_search import Function
from skae.solvers.result import Callback
from skae.training.coordinates import Coordinates
from skae.training.problem import MakeEngine, WeightsProblem
from skae.training.progress import Progress
from skae.training.whitening import Whitening

# ``minimise(problem, engine, evaluate, start, each_iteration)``: from θ′ to a result.
Minimise = Callable[[WeightsProblem, Engine, Function, np.ndarray, Callback], Result]

# Iterations after which the codes are no longer those of random weights.
_UNTIL_RECODED = 20
# With fewer iterations on each, samples are not worth their copies.
_TOO_FEW = 5
# The bytes of the last sample, at most.
_BYTES = 2**27
# How a stage may end that is then the last, whatever its rows.
_ENDS = ("interrupted", "stopped", "max_fun")


@dataclass(frozen=True)
class Growth:
    """How samples grow.

    Parameters
    ----------
    many : int
        Rows from which on there are samples.
    first, times : int
        Rows of the first one, and how many times more the next one has.
    part : float
        What part of all rows the last one is, at most.
    max_iter : int
        Iterations on each: what they gain there, the rows that come next agree with.
    """

    many: int
    first: int
    times: int
    part: float
    max_iter: int


GROWTH = Growth(10_000, 1000, 4, 0.4, 30)
# A draw of the noise is a sample itself: of few rows, too, one tells what most do.
NOISY_GROWTH = Growth(2000, 500, 2, 0.5, 20)


@dataclass(frozen=True)
class Stage:
    """Iterations on the same rows, in the same coordinates.

    Parameters
    ----------
    max_iter : int
        At most.
    recoded : bool
        Whether codes are decorrelated.
    sample : Data or None
        The rows; None are all.
    """

    max_iter: int
    recoded: bool
    sample: Data | None = None


def stages(problem: WeightsProblem) -> list[Stage]:
    """How to minimise ``problem``; the limits add up to ``max_iter``."""
    max_iter = problem.settings.max_iter
    if problem.goes_on:
        return [Stage(max_iter, True)]
    plan: list[Stage] = []
    growth = GROWTH if problem.settings.redraw_every is None else NOISY_GROWTH
    grows = problem.settings.growing_samples
    sizes = sample_sizes(problem.data, growth) if grows else []
    on_each = min(growth.max_iter, max_iter // (len(sizes) + 1))
    if sizes and on_each > _TOO_FEW:
        samples = growing_samples(problem.data, sizes)
        plan = [Stage(on_each, i > 0, sample) for i, sample in enumerate(samples)]
    elif problem.objective.penalty_weights is None:
        plan = [Stage(min(_UNTIL_RECODED, max_iter), False)]
    plan.append(Stage(max_iter - sum(stage.max_iter for stage in plan), True))
    return [stage for stage in plan if stage.max_iter]


def sample_sizes(data: Data, growth: Growth = GROWTH) -> list[int]:
    """How many rows samples have, as far as they are worth it; they ascend."""
    n_rows = data.n_rows
    if n_rows < growth.many:
        return []
    most = min(growth.part * n_rows, _BYTES * len(data.X) / data.X.nbytes)
    sizes, size = [], growth.first
    while size <= most:
        sizes.append(size)
        size *= growth.times
    return sizes


def growing_samples(data: Data, sizes: list[int]) -> list[Data]:
    """Samples of the rows, of ascending sizes, each a part of the next."""
    samples: list[Data] = []
    for size in reversed(sizes):
        data = data.sample(size)
        samples.insert(0, data)
    return samples


def in_stages(
    problem: WeightsProblem,
    engine: MakeEngine,
    start: np.ndarray,
    progress: Progress,
    minimise: Minimise,
) -> tuple[Result, np.ndarray, None]:
    """Minimise by ``minimise``, stage by stage.

    Parameters
    ----------
    problem, engine, start, progress : WeightsProblem, callable, ndarray, Progress
        See ``skae.training.full_batch.train_on_all_rows``.
    minimise : callable
        ``minimise(problem, engine, evaluate, start, each_iteration) -> Result``, for
        the problem of one stage, whose θ′ are those of its coordinates.
    """
    theta = problem.coordinates.to_data(start)
    whitening: Whitening | None = Whitening(problem)
    result: Result | None = None
    plan = stages(problem)
    while plan:
        stage = plan.pop(0)  # a sample goes when its stage has ended
        assert whitening is not None, "there is another stage"
        done = (0, 0) if result is None else (result.n_iter, result.n_fun)
        coordinates = whitening.at(theta, stage.recoded)
        if not plan:
            whitening = None  # and so does its sample
        of_stage = _problem_of(problem, stage, coordinates, done)
        of_rows = engine
        if stage.sample is not None:
            of_rows = partial(engine_for, problem.objective, stage.sample)
        if coordinates is not problem.coordinates:  # the way there and back rounds
            start = coordinates.from_data(theta)
        try:
            run = _run(of_stage, of_rows, start, progress, minimise, done)
        except KeyboardInterrupt:
            # The solver has nothing to keep before its first value; we may.
            if result is None:
                raise
            return replace(result, status="interrupted"), theta, None
        theta = coordinates.to_data(run.x)
        n_iter, n_fun = done
        result = replace(run, n_iter=run.n_iter + n_iter, n_fun=run.n_fun + n_fun)
        if stage.sample is None and run.status != "max_iter":
            break
        if run.status in _ENDS and not progress.forgets():
            break
    assert result is not None, "max_iter is 1 or more"
    return result, theta, None


def _problem_of(
    problem: WeightsProblem,
    stage: Stage,
    coordinates: Coordinates,
    done: tuple[int, int],
) -> WeightsProblem:
    settings = replace(
        problem.settings,
        max_iter=min(stage.max_iter, problem.settings.max_iter - done[0]),
        max_fun=problem.settings.max_fun - done[1],
    )
    data = problem.data if stage.sample is None else stage.sample
    return replace(problem, data=data, coordinates=coordinates, settings=settings)


def _run(
    problem: WeightsProblem,
    engine: MakeEngine,
    start: np.ndarray,
    progress: Progress,
    minimise: Minimise,
    done: tuple[int, int],
) -> Result:
    """One stage, from θ′ in its coordinates."""
    coordinates = problem.coordinates
    n_iter, n_fun = done

    def evaluate(inner: np.ndarray) -> tuple[float, np.ndarray, Any]:
        progress.begin()
        return of_inner(inner)

    def each_iteration(iteration: Iteration) -> None:
        shifted = iteration._replace(
            n_iter=iteration.n_iter + n_iter, n_fun=iteration.n_fun + n_fun
        )
        progress(shifted, lambda: coordinates.to_data(iteration.x))

    with engine() as on_rows:
        of_inner = in_coordinates(coordinates, on_rows)
        return minimise(problem, on_rows, evaluate, start, each_iteration)


def in_coordinates(coordinates: Coordinates, engine: Engine) -> Function:
    """J/unit without its L1 penalty, and its gradient, as functions of θ′."""
    buffer = np.empty_like(coordinates.scale)

    def evaluate(inner: np.ndarray) -> tuple[float, np.ndarray, Any]:
        loss, gradient, terms = engine(coordinates.to_data(inner, out=buffer))
        smooth = loss - terms.get("l1", 0.0)  # which the solver adds itself
        return smooth / coordinates.unit, coordinates.pull_back(gradient), (loss, terms)

    return evaluate
