"""Training by L-BFGS: every evaluation uses all rows.

It goes through the stages of ``skae.training.stages``. If the objective has noise that
is drawn anew every few iterations, a stage consists of several runs of the solver, one
for each draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from skae.core.protocols import Engine
from skae.engines.blas import single_threaded_blas
from skae.solvers import Iteration, Memory, Result, minimize_lbfgs
from skae.solvers.line_search import Function
from skae.solvers.result import Callback
from skae.solvers.stopping import LEAST_WINDOW
from skae.training.problem import MakeEngine, State, WeightsProblem
from skae.training.progress import Progress
from skae.training.stages import in_coordinates, in_stages

# A gradient with no entry above this, times ``tol``, is as good as zero.
_STATIONARY = 1e-6
# Iterations that tell what is still to be had, at least, with more hidden layers than
# one: their losses fall little at first, and much later.
_WINDOW = 25
# Runs on fresh noise, and iterations planned for them, in which the loss has not fallen
# by ``tol`` when training has converged.
_PATIENCE, _LOOK_BACK = 3, 40
# How many times longer the next run is, and after how many one more draw is averaged,
# of so many at most.
_LONGER, _RUNS_A_DRAW, _MOST_DRAWS = 1.1, 4, 4
# Of the last end of a run in the mean of all, at least.
_SHARE = 0.2


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
        # Stages go on with the numbers of draws: none meets the noise of another.
        minimise = partial(_minimise, draws=count())
        return in_stages(problem, engine, start, progress, minimise)


def _minimise(
    problem: WeightsProblem,
    engine: Engine,
    evaluate: Function,
    start: np.ndarray,
    each_iteration: Callback,
    draws: Iterator[int],
) -> Result:
    """In one run, or where noise is drawn in rounds of them."""
    if problem.settings.redraw_every is None:
        return _one_run(problem, evaluate, start, each_iteration)
    return _in_rounds(problem, engine, evaluate, start, each_iteration, draws)


def _one_run(
    problem: WeightsProblem,
    evaluate: Function,
    start: np.ndarray,
    each_iteration: Callback,
    most: int | None = None,
    n_iter: int = 0,
    n_fun: int = 0,
    n_draws: int = 1,
    memory: Memory | None = None,
) -> Result:
    """Up to ``most`` iterations, after so many iterations and evaluations of others.

    A value is a mean of ``n_draws`` evaluations, which all count.
    """
    settings, coordinates = problem.settings, problem.coordinates
    left = settings.max_iter - n_iter

    def shifted(iteration: Iteration) -> None:
        each_iteration(
            iteration._replace(
                n_iter=iteration.n_iter + n_iter,
                n_fun=iteration.n_fun * n_draws + n_fun,
            )
        )

    result = minimize_lbfgs(
        evaluate,
        start,
        max_iter=left if most is None else min(most, left),
        max_fun=(settings.max_fun - n_fun) // n_draws,
        tol=_STATIONARY * settings.tol,
        ftol=settings.tol,
        atol=settings.nearly_zero * settings.tol,
        window=_WINDOW if len(problem.objective.activations) > 1 else LEAST_WINDOW,
        callback=shifted,
        l1=coordinates.pull_weights(problem.objective.penalty_weights),
        memory=memory,
    )
    return replace(result, n_fun=result.n_fun * n_draws)


def _in_rounds(
    problem: WeightsProblem,
    engine: Engine,
    evaluate: Function,
    start: np.ndarray,
    each_iteration: Callback,
    draws: Iterator[int],
) -> Result:
    """Runs of ``redraw_every`` iterations, each with noise drawn afresh.

    The pairs of L-BFGS are kept: each is of one draw, and the curvature along its step
    is nearly that of all. Later runs are longer, and more draws are averaged in each,
    as the less there is to gain the more of it is of the noise of one draw. Where runs
    end, they end about the minimum of the expected loss; the mean of those points is
    nearer to it, unless the way is still long: `_Ends`.

    The first value of a run is the loss on noise that the run before did not
    meet, which estimates the expected loss. Training has converged when
    the lowest of these has fallen by less than ``tol``, relatively, in the last few
    runs.
    """
    settings = problem.settings
    assert settings.redraw_every is not None, "else there is one run"
    x, result, memory, ends = start, None, Memory(), _Ends()
    n_runs = n_iter = n_fun = 0
    lowest, length = [np.inf], float(settings.redraw_every)
    patience = max(_PATIENCE, -(-_LOOK_BACK // settings.redraw_every))
    quiet = in_coordinates(problem.coordinates, engine)  # begins no iteration
    while True:
        left = settings.max_fun - n_fun
        n_draws = min(1 + n_runs // _RUNS_A_DRAW, _MOST_DRAWS, left)
        values: list[float] = []
        numbers = [next(draws) for _ in range(n_draws)]
        noisy = _on_draws(evaluate, engine, numbers)
        if n_runs:  # which may be over where it starts
            noisy = _first_by(_on_draws(quiet, engine, numbers), noisy)
        recorded = _recorded(noisy, values, problem.coordinates.unit)
        try:
            result = _one_run(
                problem,
                recorded,
                x,
                each_iteration,
                int(length),
                n_iter,
                n_fun,
                n_draws,
                memory,
            )
        except KeyboardInterrupt:
            # The solver has nothing to keep before its first value; we may.
            if result is None:
                raise
            return replace(result, n_iter=n_iter, n_fun=n_fun, status="interrupted")
        x = result.x
        ends.add(x)
        n_runs += 1
        length *= _LONGER
        n_iter += result.n_iter
        n_fun += result.n_fun
        lowest.append(min(lowest[-1], values[0]))
        least = settings.tol * max(abs(lowest[-1]), settings.nearly_zero)
        stands = n_runs > patience and lowest[-1 - patience] - lowest[-1] <= least
        status = _status(problem, result.status, n_iter, n_fun, stands)
        if status is not None:
            result = replace(result, n_iter=n_iter, n_fun=n_fun, status=status)
            in_full = status in ("max_iter", "noise") and settings.max_fun - n_fun >= 2
            # The mean of sparse weights is not sparse.
            if in_full and problem.objective.penalty_weights is None:
                result = ends.better(result, _on_draws(quiet, engine, [next(draws)]))
            return result


class _Ends:
    """The mean of the points where runs have ended, and whether it is any better."""

    def __init__(self) -> None:
        self._mean: np.ndarray | None = None
        self._count = 0

    def add(self, x: np.ndarray) -> None:
        """Older points count less and less."""
        self._count += 1
        if self._mean is None:
            self._mean = x.copy()
        else:
            share = max(1 / self._count, _SHARE)
            self._mean += x.dtype.type(share) * (x - self._mean)

    def better(self, last: Result, fresh: Function) -> Result:
        """``last``, or the mean if its loss is less; on noise that neither has met."""
        if self._mean is None or self._count < 2:
            return last
        try:
            value, _, aux = fresh(last.x)
            of_mean, gradient, aux_of_mean = fresh(self._mean)
        except KeyboardInterrupt:
            return replace(last, status="interrupted")
        last = replace(last, n_fun=last.n_fun + 2)
        if not of_mean < value:
            return replace(last, aux=aux)
        gradient = gradient.copy()
        return replace(
            last, x=self._mean, value=of_mean, gradient=gradient, aux=aux_of_mean
        )


def _first_by(first: Function, evaluate: Function) -> Function:
    """``evaluate``, but ``first`` for the first time."""
    left = [first]
    return lambda inner: (left.pop() if left else evaluate)(inner)


def _on_draws(evaluate: Function, engine: Engine, draws: list[int]) -> Function:
    """``evaluate``, its values the means over some draws of the noise."""

    def one(inner: np.ndarray) -> tuple[float, np.ndarray, Any]:
        engine.draw = draws[0]  # several starts have one engine
        return evaluate(inner)

    def several(inner: np.ndarray) -> tuple[float, np.ndarray, Any]:
        total, (loss, terms) = 0.0, (0.0, dict[str, float]())
        gradient = np.zeros_like(inner)
        for engine.draw in draws:
            value, of_draw, (loss_of_draw, terms_of_draw) = evaluate(inner)
            total += value
            gradient += of_draw
            loss += loss_of_draw
            for name, term in terms_of_draw.items():
                terms[name] = terms.get(name, 0.0) + term
        n = len(draws)
        gradient /= n
        terms = {name: term / n for name, term in terms.items()}
        return total / n, gradient, (loss / n, terms)

    return one if len(draws) == 1 else several


def _recorded(evaluate: Function, values: list[float], unit: float) -> Function:
    """``evaluate``, which also appends the loss to ``values``, penalties included."""

    def recorded(inner: np.ndarray) -> tuple[float, np.ndarray, Any]:
        evaluation = evaluate(inner)
        loss, _ = evaluation[2]
        values.append(loss / unit)
        return evaluation

    return recorded


def _status(
    problem: WeightsProblem, of_run: str, n_iter: int, n_fun: int, stands: bool
) -> str | None:
    """How all has ended with a run that ended so; None if another is to follow."""
    settings = problem.settings
    if n_fun >= settings.max_fun:
        return "max_fun"
    cut_short = of_run == "max_iter" and n_iter < settings.max_iter
    if not (cut_short or of_run in ("gradient", "value", "precision")):
        return of_run
    return "noise" if stands else None
