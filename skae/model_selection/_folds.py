"""A path in every fold, and the scores of its values on the held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from inspect import isroutine
from numbers import Real
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import clone

from skae._sklearn import params_of_rows, rows_of
from skae.engines.blas import single_threaded_blas
from skae.model_selection._path import follow, near_zero
from skae.training.interrupts import TellsOthers

Indices = np.ndarray


@dataclass(frozen=True)
class Plan:
    """What is computed in each fold.

    Parameters
    ----------
    estimator : estimator
    param_name, values, order : str, list, list of int
        The path.
    X, y : array-like, array-like or None
        All rows.
    scorer : callable
        ``scorer(fitted, X, y, **score_params)``, of the autoencoder or of
        ``downstream``.
    scoring : str, callable or None
        What the scorer was made from, for messages.
    downstream : estimator or None
        The model that is fitted to the codes.
    fit_params, score_params, downstream_params : dict
        Arguments, with one entry for each row or not.
    task : Task or None
        The task that callbacks follow.
    interrupted : callable or None
        ``interrupted() -> bool``: whether the main process received Ctrl-C.
    """

    estimator: Any
    param_name: str
    values: list[Any]
    order: list[int]
    X: Any
    y: Any
    scorer: Any
    scoring: Any
    downstream: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]
    downstream_params: dict[str, Any]
    task: Any = None
    interrupted: Callable[[], bool] | None = None


@dataclass(frozen=True)
class Fold:
    """Results of a fold; NaN for values that were not fitted.

    Parameters
    ----------
    scores, near_zero, seconds : ndarray of shape (n_values,)
    interrupted : bool
    """

    scores: np.ndarray
    near_zero: np.ndarray
    seconds: np.ndarray
    interrupted: bool


def score_fold(plan: Plan, train: Indices, test: Indices) -> Fold:
    """Fit the path on the rows of ``train``, and score it on those of ``test``."""
    X, X_test = rows_of(plan.X, train), rows_of(plan.X, test)
    y, y_test = (None if plan.y is None else rows_of(plan.y, i) for i in (train, test))
    fit_params = params_of_rows(plan.X, plan.fit_params, train)
    downstream_params = params_of_rows(plan.X, plan.downstream_params, train)
    score_params = params_of_rows(plan.X, plan.score_params, test)
    scores, zeros, seconds = np.full((3, len(plan.values)), np.nan)
    if plan.task is not None:
        plan.task.begin()

    def each(index: int, fitted: Any, took: float) -> bool:
        codes = np.asarray(fitted.transform(X_test))
        zeros[index], seconds[index] = near_zero(codes), took
        judged, rows = fitted, X_test
        if plan.downstream is not None:
            judged, rows = clone(plan.downstream), codes
            # Other processes may use other numbers of threads, which changes the bits.
            with single_threaded_blas():
                judged.fit(np.asarray(fitted.transform(X)), y, **downstream_params)
        scores[index] = _score(plan, judged, rows, y_test, score_params)
        if plan.task is not None:
            plan.task.subtask("value").begin().end()
        return plan.interrupted is not None and plan.interrupted()

    path = plan.estimator, plan.param_name, plan.values, plan.order
    done, interrupted = follow(*path, X, y, fit_params, each)
    interrupted |= len(done) < len(plan.order)
    if plan.task is not None:
        plan.task.end()
    return Fold(scores, zeros, seconds, interrupted)


def _score(plan: Plan, judged: Any, rows: Any, y: Any, params: dict[str, Any]) -> float:
    """The score of a model. Errors name ``scoring``, and the model it does not suit."""
    if plan.scoring is None:
        return float(plan.scorer(judged, rows, y, **params))
    if isroutine(plan.scoring):  # its errors are those of whoever wrote it
        score = plan.scorer(judged, rows, y, **params)
        if not isinstance(score, Real):
            raise ValueError(
                f"scoring={plan.scoring!r} must return a number, got {score!r}."
            )
        return float(score)
    try:
        return float(plan.scorer(judged, rows, y, **params))
    except (AttributeError, TypeError, ValueError) as error:
        role = "estimator" if plan.downstream is None else "downstream"
        raise ValueError(
            f"scoring={plan.scoring!r} does not suit {role}={judged!r}; use the name "
            "of a scorer for such a model, a function scoring(fitted, X, y) that "
            "returns a number, or scoring=None, which calls the method score. The "
            f"error: {error}"
        ) from error


def score_folds(
    plan: Plan, folds: Sequence[tuple[Indices, Indices]], n_jobs: int | None
) -> Iterator[Fold]:
    """Yield the results of the folds; after Ctrl-C, only of the finished ones."""
    if effective_n_jobs(n_jobs) == 1:
        for index, (train, test) in enumerate(folds):
            fold = score_fold(_of_fold(plan, index), train, test)
            yield fold
            if fold.interrupted:
                return
        return
    with TellsOthers() as others:
        asking = replace(plan, interrupted=others.ask)
        runs = Parallel(n_jobs=n_jobs, return_as="generator")(
            delayed(score_fold)(_of_fold(asking, index), train, test)
            for index, (train, test) in enumerate(folds)
        )
        try:
            yield from runs
        except Exception:
            # Ctrl-C ended an idle worker, and joblib then ended the other workers.
            if not others.pressed:
                raise


def _of_fold(plan: Plan, index: int) -> Plan:
    """The plan of one fold, with its own task for the callbacks."""
    if plan.task is None:
        return plan
    return replace(plan, task=plan.task.subtask("fold", len(plan.order), index))
