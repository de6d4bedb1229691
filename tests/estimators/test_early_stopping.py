"""Early stopping: rows held out, the score on them, and what is kept."""

import warnings

import numpy as np
import pytest
from autoencoders import (
    X,
    assert_same_bits,
    autoencoder,
    each_kind,
    each_solver,
    loss_of_means,
)
from sklearn.base import clone

from skae import ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from skae.engines.threads import ThreadEngine
from skae.estimators import _base
from skae.training import run

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")


def held_out_score(model, held_out, trained_on):
    """1 − loss/loss of the training rows' column means, by hand, without noise."""
    errors = ((model.predict(held_out) - held_out) ** 2).sum(axis=1)
    return 1 - 0.5 * errors.mean() / loss_of_means(trained_on)


def parted(model, data, monkeypatch):
    """Fit; which rows were held out, and which trained on."""
    out = []
    original = _base.hold_out

    def recorded(given, *args, **kwargs):
        training, held_out = original(given, *args, **kwargs)
        out.append(np.flatnonzero(training.weights == 0))
        np.testing.assert_array_equal(np.flatnonzero(held_out.weights), out[0])
        assert held_out.X is training.X is given.X  # 20 GB, perhaps
        return training, held_out

    monkeypatch.setattr(_base, "hold_out", recorded)
    model.fit(data)
    monkeypatch.undo()
    (rows,) = out
    return rows, np.setdiff1d(np.arange(len(data)), rows)


@each_solver
@pytest.mark.parametrize("kind", [SparseAutoencoder, ContractiveAutoencoder])
def test_early_stopping_keeps_the_best_iterate(kind, solver, monkeypatch):
    few = np.random.default_rng(0).standard_normal((80, 30))  # nothing general in it
    model = autoencoder(
        kind,
        n_components=15,
        solver=solver,
        alpha=0.0,
        max_iter=400,
        learning_rate_init=1e-2,
        early_stopping=True,
        validation_fraction=0.25,
        tol=1e-4,
        batch_size=10,
        n_iter_no_change=5,
    )
    if kind is ContractiveAutoencoder:
        model.set_params(contraction_weight=0.0)
    else:
        model.set_params(sparsity=None)
    out, rest = parted(model, few, monkeypatch)
    assert len(out) == 20
    scores = model.validation_scores_
    assert len(scores) == model.n_iter_ == len(model.loss_curve_) < 400
    best = int(np.argmax(scores))
    assert best < len(scores) - 1  # or the last would have done
    again = held_out_score(model, few[out], few[rest])
    assert again == pytest.approx(scores.max(), rel=1e-6)
    assert model.loss_ == model.loss_curve_[best]


@each_solver
def test_early_stopping_stops_when_scores_are_stale(solver):
    patience, tol = 4, 1e-3
    model = autoencoder(
        solver=solver,
        early_stopping=True,
        max_iter=1000,
        tol=tol,
        n_iter_no_change=patience,
        learning_rate_init=1e-2,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X)
    scores = model.validation_scores_
    highest = np.maximum.accumulate(np.r_[-np.inf, scores[:-1]])
    rose = scores > highest + tol / patience
    assert not rose[-patience:].any()
    runs = [not rose[i - patience : i].any() for i in range(patience, len(rose) + 1)]
    if solver == "adam" or runs[-1]:  # L-BFGS may have converged before
        assert runs.index(True) == len(runs) - 1


@each_kind
@each_solver
def test_held_out_rows_do_not_influence_training(kind, solver, monkeypatch):
    """Other values there: other scores, the same weights, as none stops early."""
    model = autoencoder(kind, solver=solver, early_stopping=True, tol=0.0)
    model.set_params(n_iter_no_change=100)
    out, _ = parted(model, X, monkeypatch)
    changed = X.copy()
    changed[out] *= 0.9
    other = clone(model).fit(changed)
    assert (model.validation_scores_ != other.validation_scores_).any()
    both_at_the_end = [np.argmax(m.validation_scores_) for m in (model, other)]
    assert both_at_the_end == [model.n_iter_ - 1] * 2
    assert_same_bits(model, other)


def test_held_out_rows_have_no_part_in_ranges(monkeypatch):
    model = autoencoder(
        DenoisingAutoencoder,
        corruption="salt_and_pepper",
        early_stopping=True,
        n_iter_no_change=100,
    )
    out, rest = parted(model, X, monkeypatch)
    changed = X.copy()
    changed[out] += 7
    model.fit(changed)
    np.testing.assert_array_equal(
        model.feature_range_, [X[rest].min(axis=0), X[rest].max(axis=0)]
    )


@each_solver
def test_the_same_rows_are_held_out_by_the_same_seed(solver):
    model = autoencoder(solver=solver, early_stopping=True)
    assert_same_bits(clone(model).fit(X), clone(model).fit(X), ["validation_scores_"])
    other = clone(model).set_params(random_state=1).fit(X)
    assert (other.validation_scores_[0] != model.fit(X).validation_scores_[0]).any()


@each_solver
@pytest.mark.parametrize(
    ("n_rows", "fraction"), [(1, 0.5), (3, 0.1), (4, 0.1), (3, 0.9)]
)
def test_too_few_rows_to_hold_out(solver, n_rows, fraction):
    model = autoencoder(
        solver=solver, early_stopping=True, validation_fraction=fraction
    )
    with pytest.raises(ValueError, match=f"validation_fraction={fraction} holds out"):
        model.fit(X[:n_rows])


def test_no_codes_are_kept_of_rows_held_out(monkeypatch):
    made = []

    class Noted(ThreadEngine):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr("skae.engines.threads.ThreadEngine", Noted)
    autoencoder(SparseAutoencoder, early_stopping=True, max_iter=5).fit(X)
    engine, _ = made  # the other gathers the mean code in the end
    assert engine.objective.gathers
    assert all(codes is None for codes in engine._codes)


def test_restarts_are_judged_by_the_rows_held_out(monkeypatch):
    runs = []

    def recorded(*args, **kwargs):
        runs.append(train(*args, **kwargs))
        return runs[-1]

    train = run._train_once
    monkeypatch.setattr(run, "_train_once", recorded)
    model = autoencoder(n_init=4, early_stopping=True, max_iter=30).fit(X)
    best = [run.validation_scores.max() for run in runs]
    assert len(set(best)) == 4
    assert model.validation_scores_.max() == max(best)
