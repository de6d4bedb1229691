"""From an objective and rows to trained parameters: the one fit path."""

import numpy as np

from skae.core.blocks import Data
from skae.engines.choice import engine_for
from skae.solvers import MESSAGES, NotFiniteError
from skae.training.full_batch import train_on_all_rows
from skae.training.mini_batch import MiniBatches, train_on_batches
from skae.training.problem import Trained
from skae.training.progress import Progress

# So many times the loss of constant predictions, and of the start, is no fit at all.
_DIVERGED = 2
_ROWS_TO_TELL = 1000
# Nor is it one to stop so early with a loss so near that of constant predictions.
_FEW_ITERATIONS, _NOTHING_LEARNT = 3, 0.95
_NO_GRADIENT = 1e-3  # beside tol

_REMEDIES = {
    "lbfgs": "scale X, for instance with StandardScaler, or lower the weights of the "
    "penalties.",
    "adam": "lower learning_rate_init, or scale X, for instance with StandardScaler.",
}


def train(problem, start, seed, batches=None):
    """Minimise from ``start``.

    Parameters
    ----------
    problem : Problem
        What to minimise, and how.
    start : ndarray
        θ′, in the solver's coordinates.
    seed : int
        Of whatever the solver draws.
    batches : MiniBatches, optional
        State of an earlier run of Adam to go on from; it is changed.

    Returns
    -------
    Trained
        The last weights or, where rows were held out, those that did best on them.
    """
    solver = problem.settings.solver
    progress = Progress(problem)
    try:
        if solver == "adam":
            batches = batches or MiniBatches(problem, seed)
            result, theta = train_on_batches(problem, start, batches, progress)
        else:
            batches = None
            result, theta = train_on_all_rows(problem, start, progress)
    except NotFiniteError:
        raise ValueError(
            f"The loss or its gradient overflows {start.dtype} with solver={solver!r}; "
            f"{_REMEDIES[solver]}"
        ) from None
    # Adam's result is that of an epoch, whose loss is a mean over its batches.
    loss, terms = result.aux or (progress.losses[-1], progress.terms[-1])
    status, scores = result.status, None
    if progress.watch is not None:
        watch = progress.watch
        scores = np.array(watch.scores)
        status = "held_out" if watch.stopped else status
        if watch.best_theta is not None:
            theta = watch.best_theta
            loss, terms = watch.best_iteration.aux
    if status == "max_iter" and solver == "adam":
        # A rate that has fallen to nothing has come to the end it was given.
        status = "scheduled" if problem.settings.learning_rate == "linear" else status
    progress.close(result, loss, MESSAGES[status])
    data_term = next(iter(terms.values()))  # penalties come after it
    return Trained(
        theta=theta,
        loss=loss,
        terms=terms,
        loss_curve=np.array(progress.losses),
        terms_curve=progress.terms_curve,
        validation_scores=scores,
        n_iter=result.n_iter,
        status=status,
        fault=_fault(problem, start, theta, loss, result, data_term),
        batches=batches,
    )


def _fault(problem, start, theta, loss, result, data_term):
    """What makes the outcome no fit at all, a name in ``FAULTS``, or None."""
    if problem.settings.solver == "adam":
        return "diverged" if _has_diverged(problem, start, theta, loss) else None
    still = result.status in ("gradient", "noise") and result.n_iter <= _FEW_ITERATIONS
    learnt_nothing = data_term >= _NOTHING_LEARNT * problem.coordinates.unit
    if not (still and learnt_nothing):
        return None
    # Where there is nothing to learn, a lower tol would not help.
    might_learn = result.gradient_norm > _NO_GRADIENT * problem.settings.tol
    return "not begun" if might_learn else None


def _has_diverged(problem, start, theta, loss):
    """Whether Adam's steps have led far away, judged on some rows, with one noise."""
    unit, data = problem.coordinates.unit, problem.data
    if loss <= _DIVERGED * unit:
        return False
    rows = slice(_ROWS_TO_TELL)
    if data.weights is not None:
        rows = np.flatnonzero(data.weights)[rows]
    some = (
        None if a is None else a[rows] for a in (data.X, data.weights, data.targets)
    )
    engine = engine_for(problem.objective, Data(*some))
    with engine, np.errstate(over="ignore", invalid="ignore"):
        before = engine.data_loss(problem.coordinates.to_data(start))
        after = engine.data_loss(theta)
    return not after <= _DIVERGED * max(unit, before)


def mean_code(objective, data, theta):
    """Mean code of the rows, uncorrupted, (n_components,) in float64."""
    with engine_for(objective, data) as engine:
        return engine.mean_code(theta)


def random_start(objective, seed):
    """θ′ to begin with, drawn with a seed of its own."""
    return objective.start(np.random.RandomState(seed))
