"""Detects fits that are useless, and explains them to the user.

Solvers can end for a normal reason although training has diverged or has learnt
nothing. The functions here compare the result with constant predictions, and return the
text of a warning, with the parameters to change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from skae.engines.choice import engine_for
from skae.solvers import Result
from skae.training.messages import LIMITS
from skae.training.problem import MakeEngine, Problem, Trained, WeightsProblem

# So many times the loss of constant predictions, and of the start, is no fit at all.
_DIVERGED = 2
_ROWS_TO_TELL, _NUMBERS_TO_TELL = 1000, 10**6
# Of the loss of constant predictions what must be done away with, at the least.
_LEARNT = 0.01
# And more losses than that cannot come from too short a training.
_WORSE = 0.05
_FEW_ROUNDS, _MANY_ITERATIONS = 3, 100
# What to lower where a term of this name keeps the weights from learning.
_WEIGHTS_OF = {"sparsity": "sparsity_weight", "contraction": "contraction_weight"}


def none(*outcome: Any) -> None:
    """Of L-BFGS, which never ends above its start."""


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
        "has diverged: constant predictions would be better. "
        f"learning_rate_init={problem.settings.learning_rate_init} is too large; "
        "lower it."
    )


def learnt_nothing(
    problem: Problem[Any, Any], engine: MakeEngine, trained: Trained, share: Any
) -> str | None:
    """Whether predictions are no better than constant ones, however training ended.

    Parameters
    ----------
    problem : Problem
        What was minimised.
    engine : callable
        ``engine()`` evaluates the objective over all rows.
    trained : Trained
        The outcome.
    share : callable
        ``share(problem, engine, trained)``: of the loss of constant predictions the
        fraction that is done away with.
    """
    settings, state = problem.settings, trained.state
    if settings.max_iter == 1 and state is not None:  # one piece after the other
        if not _many_steps(state, settings.learning_rate_init):
            return None
    elif trained.status in ("stopped", "interrupted"):
        return None  # of which whoever asked for it knows
    elif trained.status in LIMITS and trained.n_iter < _MANY_ITERATIONS:
        return None  # of which we warn
    learnt = share(problem, engine, trained)
    if learnt >= _LEARNT:
        return None
    if learnt < -_WORSE and settings.solver in ("adam", "top_k"):
        return (
            "has learnt nothing: predictions are worse than constant ones. Steps of "
            f"learning_rate_init={settings.learning_rate_init} are too long; lower it."
        )
    return (
        "has learnt nothing: predictions are no better than constant ones"
        f"{_silent(trained)}. {_remedy(problem, trained.status)}"
    )


def _many_steps(state: dict[str, Any], learning_rate: float) -> bool:
    """Whether pieces so far should have taught something."""
    if "rounds" in state:
        return state["rounds"] >= _FEW_ROUNDS
    # In so many steps an entry may move by its own typical size.
    return state["t"] * learning_rate >= 1 and state["recent"] > 1 - _LEARNT


def _silent(trained: Trained) -> str:
    codes = trained.statistics
    silent = codes is not None and codes.size and not codes.any()
    return ", and every code is zero on all rows" if silent else ""


def _remedy(problem: Problem[Any, Any], status: str) -> str:
    objective, settings = problem.objective, problem.settings
    if settings.solver == "rounds":
        return (
            "Lower sparsity_weight or dictionary_penalty, or subtract the column means "
            "from X."
        )
    terms = getattr(objective, "terms", ())
    names = [_WEIGHTS_OF[term.name] for term in terms if term.name in _WEIGHTS_OF]
    decays = (getattr(objective, name, 0.0) for name in ("alpha", "alphas", "l1"))
    names += ["alpha"] if any(map(np.any, decays)) else []
    remedies = [f"lower {' or '.join(names)}"] if names else []
    if getattr(objective, "noise", None) is not None:
        remedies += [
            "scale X, for instance with StandardScaler, so that corrupted entries stay "
            "in the range of the others, or lower corruption_level"
        ]
    limit = status if status in LIMITS else None
    if settings.solver in ("adam", "top_k"):
        longer = f"raise learning_rate_init or {limit or 'n_iter_no_change'}"
    else:
        longer = f"raise {limit}" if limit else "lower tol"
    remedies += [f"{longer}, to train longer"]
    text = "; ".join(remedies)
    return f"{text[0].upper()}{text[1:]}."


def share_of_weights(
    problem: WeightsProblem, engine: MakeEngine, trained: Trained
) -> float:
    """Of weights: (ℓ₀ − ℓ)/(ℓ₀ − ℓ*), ℓ being the loss of clean rows.

    ℓ* is that of perfect reconstructions, which is zero but for a log loss of entries
    between 0 and 1: of codes about ½ it is nearly all of ℓ₀.
    """
    unit = problem.coordinates.unit
    emphasis = getattr(problem.objective, "emphasis", None)
    on_kept = 1.0 if emphasis is None else emphasis[1]
    # Clean rows may be strangers to weights that met corrupted ones only.
    if getattr(problem.objective, "noise", None) is None:
        data_term = next(iter(trained.terms.values()))  # penalties come after it
        if data_term < (1 - _LEARNT) * unit:
            return 1 - data_term / unit
    evaluate = engine()
    with evaluate, np.errstate(over="ignore", invalid="ignore"):
        evaluate.draw = None
        loss = evaluate.data_loss(trained.theta)
    weight = on_kept or 1.0
    removable = weight * (unit - _least_loss(problem))
    return (weight * unit - loss) / removable if removable > 0 else 1.0


def _least_loss(problem: WeightsProblem) -> float:
    """That of reconstructions that are the rows, of some of them."""
    data = problem.data
    loss = getattr(problem.objective, "loss", None)
    of_rows = getattr(loss, "at_best", None)
    if of_rows is None or data.targets is not None or not data.X.local:
        return 0.0
    n_rows = max(1, min(_ROWS_TO_TELL, _NUMBERS_TO_TELL // data.X.shape[1]))
    rows = data.local_rows.picked(data.counted[:n_rows]).given
    return float(of_rows(rows.toarray() if issparse(rows) else rows))


def share_of_dictionary(
    problem: Problem[Any, None], engine: MakeEngine, trained: Trained
) -> float:
    """Of a dictionary: what codes and atoms explain of the rows' squared lengths."""
    sums, size = trained.state, problem.data.moments.size
    assert sums is not None, "which every round leaves"
    A = trained.theta.reshape(problem.objective.shape).astype(np.float64)
    explained = 2 * np.vdot(A, sums["SX"]) - np.vdot(A, sums["SS"] @ A)
    if not size:
        return 1.0
    return float(explained / sums["weight"]) / size**2
