"""A path in every fold: the scores of its values on the rows held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
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
    """What is done in each fold.

    Parameters
    ----------
    estimator : estimator
    param_name, values, order : str, list, list of int
        The path.
    X, y : array-like, array-like or None
        All rows.
    scorer : callable
        ``scorer(fitted, X, y, **score_params)``, of the autoencoder or of what is
        downstream.
    downstream : estimator or None
        Fitted to the codes.
    fit_params, score_params, downstream_params : dict
        With entries of rows, or not.
    task : Task or None
        That callbacks follow.
    interrupted : callable or None
        ``interrupted() -> bool``: whether Ctrl-C has come where signals arrive.
    """

    estimator: Any
    param_name: str
    values: list[Any]
    order: list[int]
    X: Any
    y: Any
    scorer: Any
    downstream: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]
    downstream_params: dict[str, Any]
    task: Any = None
    interrupted: Callable[[], bool] | None = None


@dataclass(frozen=True)
class Fold:
    """What a fold has come to; nan where there was no fit.

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
    """The path on the rows of ``train``, scored on those of ``test``."""
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
            # In other processes it would have other numbers of threads, and bits.
            with single_threaded_blas():
                judged.fit(np.asarray(fitted.transform(X)), y, **downstream_params)
        scores[index] = plan.scorer(judged, rows, y_test, **score_params)
        if plan.task is not None:
            plan.task.subtask("value").begin().end()
        return plan.interrupted is not None and plan.interrupted()

    path = plan.estimator, plan.param_name, plan.values, plan.order
    done, interrupted = follow(*path, X, y, fit_params, each)
    interrupted |= len(done) < len(plan.order)
    if plan.task is not None:
        plan.task.end()
    return Fold(scores, zeros, seconds, interrupted)


def score_folds(
    plan: Plan, folds: Sequence[tuple[Indices, Indices]], n_jobs: int | None
) -> Iterator[Fold]:
    """One fold after the other; up to Ctrl-C, when what is finished is given out."""
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
            # Ctrl-C has ended a process that had nothing to do, and so the others.
            if not others.pressed:
                raise


def _of_fold(plan: Plan, index: int) -> Plan:
    """The plan of one of several folds: each is a task."""
    if plan.task is None:
        return plan
    return replace(plan, task=plan.task.subtask("fold", len(plan.order), index))
