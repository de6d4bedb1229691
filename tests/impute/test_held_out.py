"""Entries held out choose what was planted; rows held out do not."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import HeldOutEntriesScorer, SparseAutoencoder

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6))


class Means(BaseEstimator):
    """Predicts the means that it was given, and remembers what it was asked."""

    def __init__(self, means=0.0):
        self.means = means

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        self.seen_ = X
        return np.broadcast_to(self.means, X.shape) + 0.0


def planted(rank, n=200, d=16, noise=1.0, seed=1):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
    return rows + noise * rng.standard_normal(rows.shape)


def test_the_score_is_r2_of_what_is_hidden():
    model, score = Means(0.5), HeldOutEntriesScorer(0.2)
    weights = RNG.uniform(0.5, 2, 40)
    for s in (None, weights):
        value = score(model, X, None, s)
        w = np.ones(40) if s is None else s
        hidden = np.isnan(model.seen_)
        assert hidden.sum() == round(0.2 * X.size)
        np.testing.assert_array_equal(model.seen_[~hidden], X[~hidden])
        means = np.ma.average(np.ma.masked_array(X, hidden), axis=0, weights=w)
        parts = np.nonzero(hidden)
        w = w[parts[0]]
        squares = w @ (X[hidden] - 0.5) ** 2
        variation = w @ (X[hidden] - means.data[parts[1]]) ** 2
        assert value == pytest.approx(1 - squares / variation, rel=1e-9)


def test_the_same_entries_for_every_model():
    one, other, score = Means(0.0), Means(1.0), HeldOutEntriesScorer(random_state=3)
    score(one, X), score(other, X)
    np.testing.assert_array_equal(np.isnan(one.seen_), np.isnan(other.seen_))
    HeldOutEntriesScorer(random_state=4)(other, X)
    assert not np.array_equal(np.isnan(one.seen_), np.isnan(other.seen_))


def test_missing_entries_are_none_of_those_hidden():
    rows, model = X.copy(), Means()
    rows[::3, 2] = np.nan
    rows[1:, 4] = np.nan  # one entry is left, and stays
    assert np.isfinite(HeldOutEntriesScorer(0.5)(model, rows))
    assert np.isfinite(model.seen_).any(axis=0).all()
    with pytest.raises(ValueError, match="no entries to hold out"):
        HeldOutEntriesScorer()(model, X[:1])


def test_of_a_pipeline_the_last_step_is_asked():
    model = make_pipeline(StandardScaler(), Means()).fit(X)
    scaled = StandardScaler().fit_transform(X)
    score = HeldOutEntriesScorer()
    assert score(model, X) == pytest.approx(score(Means(), scaled), rel=1e-12)


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_data_frame_keeps_its_names(in_pipeline, recwarn):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcdef"), index=range(40, 80))
    model = SparseAutoencoder(3, max_iter=5, random_state=0, tol=0.5)
    plain = clone(model).fit(X)
    expected = HeldOutEntriesScorer()(plain, X)
    if in_pipeline:
        model = make_pipeline(StandardScaler(with_mean=False, with_std=False), model)
        model.set_output(transform="pandas")
    recwarn.clear()
    assert HeldOutEntriesScorer()(model.fit(frame), frame) == expected
    assert not [w for w in recwarn if "feature names" in str(w.message)]


@pytest.mark.parametrize("share", [0, 1, -0.1, "half"])
def test_share_is_checked(share):
    with pytest.raises(ValueError, match="'share' parameter"):
        HeldOutEntriesScorer(share)(Means(), X)


def test_an_estimator_that_does_not_predict_rows_is_named():
    with pytest.raises(TypeError, match="predict returns rows, got PCA"):
        HeldOutEntriesScorer()(PCA(2).fit(X), X)


def test_entries_held_out_choose_the_planted_rank():
    rows = planted(rank=4)
    linear = SparseAutoencoder(
        activation="identity", sparsity=None, alpha=0.0, random_state=0
    )
    candidates = {"n_components": [1, 2, 3, 4, 5, 8, 12]}
    by_entries, by_rows = (
        GridSearchCV(linear, candidates, scoring=scoring, cv=3).fit(rows)
        for scoring in (HeldOutEntriesScorer(), None)
    )
    assert by_entries.best_params_ == {"n_components": 4}
    assert by_rows.best_params_ == {"n_components": 12}
    # As it is with PCA of complete rows, whose reconstruction is best with all of them.
    assert PCA(12).fit(rows).score(rows) > PCA(4).fit(rows).score(rows)


def test_entries_held_out_choose_the_weight_that_finds_planted_atoms():
    """Ten atoms, and twice as many units: those that are not needed are switched off.

    By rows the least weight is best, with all units and atoms that are none of those.
    """
    rng = np.random.default_rng(0)
    atoms = rng.standard_normal((10, 20))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = rng.exponential(size=(400, 10)) * (rng.uniform(size=(400, 10)) < 0.2)
    rows = codes @ atoms
    rows += 0.3 * rows.std() * rng.standard_normal(rows.shape)
    sparse = SparseAutoencoder(
        20, activation="relu", sparsity="l1", alpha=1e-3, random_state=0
    )
    search = GridSearchCV(
        sparse,
        {"sparsity_weight": [0.0, 0.1, 0.5, 1.5]},
        scoring={
            "entries": HeldOutEntriesScorer(0.2),
            "rows": lambda model, X, y=None: model.score(X),
        },
        refit=False,
        cv=2,
    ).fit(rows)
    found = {}
    for name in ("entries", "rows"):
        best = np.argmax(search.cv_results_[f"mean_test_{name}"])
        model = clone(sparse).set_params(**search.cv_results_["params"][best])
        active = (model.fit_transform(rows) > 1e-2).mean(axis=0)
        alive = np.flatnonzero(active > 0.01)
        units = model.decoder_components_[alive]
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        cosines = units @ atoms.T
        nearest = cosines[linear_sum_assignment(-cosines)]
        found[name] = model.sparsity_weight, len(alive), nearest.min()
    assert found["entries"][:2] == (0.5, 10) and found["entries"][2] > 0.98
    assert found["rows"][0] == 0 and found["rows"][1] > 15
    assert found["rows"][2] < 0.8
