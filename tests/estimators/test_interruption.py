"""Ctrl-C keeps what there is, at whatever moment it comes."""

import pickle

import numpy as np
import pytest
from autoencoders import X, autoencoder, each_kind, each_solver
from sklearn.base import clone

from skae.engines.batches import BatchEngine
from skae.engines.threads import ThreadEngine
from skae.estimators import _base

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")


def interrupt(monkeypatch, engine, at):
    """The ``at``-th evaluation from now on is interrupted."""
    original, calls = engine.__call__, []

    def interrupted(*args):
        calls.append(None)
        if len(calls) == at:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(engine, "__call__", interrupted)


@each_kind
@pytest.mark.parametrize(
    ("solver", "engine", "at"),
    [("adam", BatchEngine, 100), ("lbfgs", ThreadEngine, 60)],
)
def test_interrupted_pickled_and_continued(monkeypatch, kind, solver, engine, at):
    """As low in the end as without: of what Ctrl-C left, nothing was spoilt."""
    model = autoencoder(
        kind,
        solver=solver,
        warm_start=True,
        max_iter=60 if solver == "adam" else 150,
        tol=1e-4,
        learning_rate_init=1e-2,
    )
    uninterrupted = clone(model).fit(X)
    interrupt(monkeypatch, engine, at)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X)
    monkeypatch.undo()
    assert model.n_iter_ == len(model.loss_curve_) < uninterrupted.n_iter_
    assert np.isfinite(model.components_).all()
    back = pickle.loads(pickle.dumps(model))
    back.fit(X)
    assert back.loss_ < 1.01 * uninterrupted.loss_


def test_interrupt_in_the_first_epoch_is_not_swallowed(monkeypatch):
    interrupt(monkeypatch, BatchEngine, 3)
    model = autoencoder()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert not hasattr(model, "components_")


@each_solver
@pytest.mark.parametrize("at", [1, 2, 3])
def test_interrupt_while_held_out_rows_are_scored(monkeypatch, solver, at):

    interrupt(monkeypatch, _base.HeldOutLoss, at)
    model = autoencoder(solver=solver, early_stopping=True)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == at
    assert len(model.validation_scores_) == at - 1
    assert np.isfinite(model.components_).all()


@each_solver
def test_interrupt_while_a_line_is_printed(monkeypatch, solver):
    """When the score is known and nothing has been made of it yet."""
    from skae.training.progress import Report

    interrupt(monkeypatch, Report, 1)
    model = autoencoder(solver=solver, early_stopping=True)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X)
    assert model.n_iter_ == len(model.validation_scores_) == 1
    assert model.loss_ == model.loss_curve_[0]
