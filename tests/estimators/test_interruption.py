"""Ctrl-C keeps what there is, at whatever moment it comes."""

import os
import pickle
import signal

import numpy as np
import pytest
from autoencoders import X, assert_same_bits, autoencoder, each_kind, each_solver
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

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


# -- several starts, and several fits ------------------------------------------------


@pytest.fixture
def signals():
    """Ctrl-C as it is at a prompt; what a shell runs in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press(monkeypatch, at, presses):
    """Let ``presses()`` happen in the ``at``-th evaluation from now on."""
    original, calls = ThreadEngine.__call__, []

    def pressing(*args):
        calls.append(None)
        if len(calls) == at:
            presses()
        return original(*args)

    monkeypatch.setattr(ThreadEngine, "__call__", pressing)
    return calls


@pytest.mark.usefixtures("signals")
def test_starts_elsewhere_keep_what_they_have(monkeypatch):
    """Python tells the main thread alone of a signal, while others train."""
    handler = signal.getsignal(signal.SIGINT)
    calls = press(monkeypatch, 40, lambda: os.kill(os.getpid(), signal.SIGINT))
    model = autoencoder(solver="lbfgs", max_iter=10**6, tol=0, n_init=4, n_jobs=2)
    with pytest.warns(UserWarning, match="interrupted by user"):
        with parallel_config(backend="threading"):
            model.fit(X[:50])
    assert 1 <= model.n_iter_ == len(model.loss_curve_) < len(calls) < 10**4
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupted_start_leaves_those_before_it(monkeypatch):
    make = {"solver": "lbfgs", "max_iter": 5, "n_init": 3}
    calls = press(monkeypatch, None, None)
    once = autoencoder(**{**make, "n_init": 1}).fit(X[:50])
    of_one = len(calls)
    monkeypatch.undo()
    interrupt(monkeypatch, ThreadEngine, of_one + 1)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model = autoencoder(**make).fit(X[:50])
    assert_same_bits(model, once)


@pytest.mark.usefixtures("signals")
def test_ctrl_c_ends_a_grid_search(monkeypatch):
    calls = press(monkeypatch, 10, lambda: signal.raise_signal(signal.SIGINT))
    model = autoencoder(solver="lbfgs", max_iter=50)
    search = GridSearchCV(model, {"n_components": [2, 3, 4]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X[:50])
    assert len(calls) < 12
