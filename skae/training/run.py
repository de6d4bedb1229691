"""Entry point of training: picks the solver, trains from each start, keeps the best.

``SOLVERS`` lists the solvers with what they need and how their results are judged.
``fit`` creates one engine for all starts, or one for each if they run in parallel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skae.core.arrays import beside
from skae.engines.choice import engine_for
from skae.solvers import NotFiniteError, Result
from skae.training import faults
from skae.training.dictionary import train_in_rounds, worse_than_means
from skae.training.full_batch import train_on_all_rows
from skae.training.interrupts import TellsOthers
from skae.training.messages import MESSAGES
from skae.training.mini_batch import train_on_batches
from skae.training.problem import MakeEngine, Problem, Settings, State, Trained
from skae.training.progress import Progress
from skae.training.top_k import diverged, share_of_codes, train_top_k

AnyProblem = Problem[Any, Any]


@dataclass(frozen=True)
class Method:
    """A way to train, and what all others must know of it.

    Attributes
    ----------
    train : callable
        ``train(problem, engine, start, seed, state, progress)`` -> (result, θ, state).
    fault : callable
        ``fault(problem, start, theta, loss, result, data_term)`` -> what makes the
        outcome no fit at all, in words, or None.
    share : callable
        ``share(problem, engine, trained)`` -> how much of the loss of constant
        predictions is done away with, as a fraction.
    is_stochastic : bool
        Whether it takes batches of rows, which may come in pieces and meet dropout.
    unit : str
        What an iteration is called.
    measure : str
        What is printed beside its loss, that of ``Iteration.gradient_norm``.
    elsewhere : str or None
        What to do where rows lie outside this process; None: it works there, too.
    overflow : str
        What to say, and to do, where numbers leave the range of ``{dtype}``.
    """

    train: Callable[
        [Any, MakeEngine, np.ndarray, Any, State | None, Progress],
        tuple[Result, np.ndarray, State | None],
    ]
    fault: Callable[
        [Any, np.ndarray, np.ndarray, float, Result, float],
        str | None,
    ]
    share: Callable[[Any, MakeEngine, Trained], float]
    is_stochastic: bool
    unit: str
    measure: str
    elsewhere: str | None
    overflow: str


SOLVERS = {
    "lbfgs": Method(
        train=train_on_all_rows,
        fault=faults.none,
        share=faults.share_of_weights,
        is_stochastic=False,
        unit="iteration",
        measure="gradient",
        elsewhere=None,
        overflow="The loss or its gradient overflows {dtype} with solver='lbfgs'; "
        "scale X, for instance with StandardScaler, or lower the weights of the "
        "penalties.",
    ),
    "adam": Method(
        train=train_on_batches,
        fault=faults.diverged,
        share=faults.share_of_weights,
        is_stochastic=True,
        unit="epoch",
        measure="gradient",
        elsewhere="solver='adam' draws its batches from rows in this process, but X is "
        "a dask collection; use solver='lbfgs', or partial_fit on one computed chunk "
        "after the other.",
        overflow="The loss or its gradient overflows {dtype} with solver='adam'; "
        "lower learning_rate_init, or scale X, for instance with StandardScaler.",
    ),
}

# Of sparse coding and of the TopK autoencoder, which have ways of their own.
METHODS = SOLVERS | {
    "rounds": Method(
        train=train_in_rounds,
        fault=worse_than_means,
        share=faults.share_of_dictionary,
        is_stochastic=True,
        unit="round",
        measure="change",
        elsewhere="SparseCoding does not take dask collections in fit; pass the rows "
        "as an array, X.compute(), or some of them.",
        overflow="Codes or dictionary of X overflow {dtype}; scale X, for instance "
        "with StandardScaler, or raise dictionary_penalty.",
    ),
    "top_k": Method(
        train=train_top_k,
        fault=diverged,
        share=share_of_codes,
        is_stochastic=True,
        unit="epoch",
        measure="gradient",
        elsewhere="TopKAutoencoder draws its batches from rows in this process, but X "
        "is a dask collection; pass the rows as an array, X.compute(), or use "
        "partial_fit on one computed chunk after the other.",
        overflow="The loss or its gradient overflows {dtype}; lower "
        "learning_rate_init, or scale X, for instance with StandardScaler.",
    ),
}


def fit(
    problem: AnyProblem,
    starts: Iterable[np.ndarray],
    seeds: Sequence[Any] = (0,),
    *,
    n_jobs: int | None = None,
    state: State | None = None,
) -> Trained:
    """Minimise from every start; the best is kept, as KMeans keeps it.

    That is the lowest loss or, where rows are held out, the highest score. All that is
    asked of the rows is asked of one engine.

    Parameters
    ----------
    problem : Problem
        What to minimise, and how.
    starts : iterable of ndarray
        θ′, in the solver's coordinates, (size,) each; taken one by one, and none is
        kept.
    seeds : sequence of int or RandomState
        Of whatever the solver draws, one for each start.
    n_jobs : int, optional
        Starts trained at the same time.
    state : dict, optional
        Of an earlier run of a stochastic solver, to go on from.

    Returns
    -------
    Trained
        The last weights or, where rows were held out, those that did best on them.
    """
    engine = cache(partial(engine_for, problem.objective, problem.data))
    if len(seeds) == 1:
        (start,) = starts
        trained = _train(problem, engine, start, seeds[0], state)
    else:
        trained = _best(problem, engine, starts, seeds, n_jobs)
    refuse_overflow(trained.theta)
    if problem.objective.n_statistics:
        with engine() as evaluate:
            statistics = evaluate.statistics(trained.theta)
        trained = replace(trained, statistics=statistics)
    if trained.fault is None:
        share = METHODS[problem.settings.solver].share
        fault = faults.learnt_nothing(problem, engine, trained, share)
        trained = replace(trained, fault=fault)
    return trained


def refuse_overflow(theta: np.ndarray) -> None:
    """Refuse weights that are not finite."""
    if not np.isfinite(theta).all():
        raise ValueError(
            f"The weights that fit X overflow {theta.dtype}; scale X, for instance "
            "with StandardScaler."
        )


def _train(
    problem: AnyProblem,
    engine: MakeEngine,
    start: np.ndarray,
    seed: Any,
    state: State | None = None,
) -> Trained:
    settings = problem.settings
    method = METHODS[settings.solver]
    start = beside(start, problem.data.X.like)
    progress = Progress(problem, method.unit, method.measure)
    try:
        result, theta, state = method.train(
            problem, engine, start, seed, state, progress
        )
    except NotFiniteError:
        raise ValueError(method.overflow.format(dtype=start.dtype)) from None
    # Of batches the result is that of an epoch, whose loss is a mean over them.
    loss, terms = result.aux or (progress.losses[-1], progress.terms[-1])
    watch = progress.watch
    if watch is not None and watch.best is not None:
        theta, iteration = watch.best
        loss, terms = iteration.aux
    status = result.status
    if watch is not None and watch.stopped:
        status = "held_out"
    elif status == "max_iter" and _rate_has_fallen(method, settings):
        status = "scheduled"
    progress.close(result, loss, MESSAGES[status])
    data_term = next(iter(terms.values()))  # penalties come after it
    return Trained(
        theta=theta,
        loss=loss,
        terms=terms,
        loss_curve=np.array(progress.losses),
        terms_curve=progress.terms_curve,
        validation_scores=None if watch is None else np.array(watch.scores),
        n_iter=result.n_iter,
        status=status,
        fault=method.fault(problem, start, theta, loss, result, data_term),
        state=state,
    )


def _rate_has_fallen(method: Method, settings: Settings) -> bool:
    """Whether the rate is nothing after ``max_iter``: it has come to its end then."""
    return method.is_stochastic and settings.learning_rate == "linear"


def _best(
    problem: AnyProblem,
    engine: MakeEngine,
    starts: Iterable[np.ndarray],
    seeds: Sequence[Any],
    n_jobs: int | None,
) -> Trained:
    best: Trained | None = None
    cut_short = False
    each = zip(starts, seeds, strict=True)
    # Where rows lie elsewhere, one start keeps all busy, or the device that has them.
    here = problem.data.X.local and problem.data.X.in_threads
    if not here or effective_n_jobs(n_jobs) == 1:
        runs = _in_turn(problem, engine, each)
    else:
        runs = _in_parallel(problem, each, n_jobs)
    for run in runs:
        if run is not None and (best is None or _badness(run) < _badness(best)):
            best = run
        cut_short |= _is_cut_short(run)
        del run  # which would be held while the next is trained
    if best is None:
        raise KeyboardInterrupt
    return replace(best, status="interrupted") if cut_short else best


def _is_cut_short(run: Trained | None) -> bool:
    return run is None or run.status == "interrupted"


def _in_turn(
    problem: AnyProblem, engine: MakeEngine, each: Iterable[tuple[np.ndarray, Any]]
) -> Iterator[Trained | None]:
    """Outcomes of starts up to Ctrl-C; None of one of which there is none."""
    for index, (start, seed) in enumerate(each):
        try:
            run = _train_once(_numbered(problem, index), engine, start, seed)
        except KeyboardInterrupt:
            yield None
            return
        last = _is_cut_short(run)
        yield run
        if last:
            return
        del run


def _in_parallel(
    problem: AnyProblem, each: Iterable[tuple[np.ndarray, Any]], n_jobs: int | None
) -> Iterator[Trained | None]:
    """Outcomes of all starts; after Ctrl-C of those that have come to something."""
    with TellsOthers() as others:
        asking = replace(problem, interrupted=others.ask)
        tasks = (
            delayed(_train_elsewhere)(_numbered(asking, index), start, seed)
            for index, (start, seed) in enumerate(each)
        )
        try:
            yield from Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
        except Exception:
            # Ctrl-C has ended a process that had nothing to do, and so the others.
            if not others.pressed:
                raise
            yield None


def _numbered(problem: AnyProblem, index: int) -> AnyProblem:
    """The problem of one of several starts: each is a task, and its lines say which."""
    problem = replace(problem, label=f"start {index + 1}")
    if problem.task is None:
        return problem
    max_iter = problem.settings.max_iter
    return replace(problem, task=problem.task.subtask("start", max_iter, index))


def _train_elsewhere(
    problem: AnyProblem, start: np.ndarray, seed: Any
) -> Trained | None:
    """Train from one of several starts, maybe in another process."""
    assert problem.interrupted is not None, "signals may arrive elsewhere"
    if problem.interrupted():
        return None
    engine = cache(partial(engine_for, problem.objective, problem.data))
    try:
        return _train_once(problem, engine, start, seed)
    except KeyboardInterrupt:
        return None


def _train_once(
    problem: AnyProblem, engine: MakeEngine, start: np.ndarray, seed: Any
) -> Trained:
    """Train from one of several starts."""
    if problem.task is not None:
        problem.task.begin()
    trained = _train(problem, engine, start, seed)
    if problem.task is not None:
        problem.task.end()
    # Nobody goes on from one of several, and it may be larger than the weights.
    return replace(trained, state=None)


def _badness(run: Trained) -> float:
    scores = run.validation_scores
    return run.loss if scores is None or not len(scores) else -float(scores.max())
