"""Weights of single entries: of the formula, and of what is made of it."""

import numpy as np
import pytest
import sklearn
import textbook
from compare import assert_same_direction_and_size, central_differences
from covering import every_pair
from objectives import ALPHA, CASES, IN_TEXTBOOK, D, is_noisy
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from skae.core.incomplete import WeightedAutoencoder
from skae.engines.threads import ThreadEngine
from skae.rows.dense import DenseRows
from skae.rows.weighted import weighted

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")

FILL = np.linspace(0.3, 0.7, D)
RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 0.9, (60, 7)) @ RNG.uniform(size=(7, 12)) / 7
W = RNG.uniform(0.2, 3, X.shape)
SHORT = {"max_iter": 30, "random_state": 0}
MODELS = {
    "sparse": SparseAutoencoder(4, **SHORT),
    "adam": SparseAutoencoder(4, solver="adam", **SHORT),
    "log loss": SparseAutoencoder(
        4, loss="log_loss", output_activation="logistic", **SHORT
    ),
    "denoising": DenoisingAutoencoder(4, emphasis=(1.0, 0.5), **SHORT),
    "contractive": ContractiveAutoencoder(4, tied_weights=True, **SHORT),
    "early stopping": SparseAutoencoder(4, early_stopping=True, **SHORT),
}
each_model = pytest.mark.parametrize("name", MODELS)
FITTED = "components_", "decoder_components_", "intercept_visible_", "loss_curve_"


def assert_same_bits(one, other):
    for name in FITTED:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


# -- the objective ------------------------------------------------------------------


def weighted_rows(rows, weights):
    found = weighted(DenseRows(rows), weights)
    found.fill = FILL
    return found


def draw(case):
    """Objective, rows, weights of rows and of entries, and a θ that is at no kink."""
    for seed in range(100):
        objective = case.objective(
            make=lambda *args, **options: WeightedAutoencoder(
                *args, fill=FILL, **options
            )
        )
        _, rows, s, theta = case.draw(seed)
        rng = np.random.default_rng(seed)
        w = rng.uniform(0.2, 3, rows.shape) * (rng.uniform(size=rows.shape) > 0.3)
        inputs = np.where(w > 0, rows, FILL)
        if objective.noise is not None:
            objective.noise(inputs.copy(), start=0, draw=0, out=inputs)
        p = objective.parameters(theta)
        before = inputs @ p.encoder.T + p.hidden
        codes = textbook.ACTIVATIONS[case.activation](before)
        after = codes @ p.decoder[:-1] + p.decoder[-1]
        if min(np.abs(before).min(), np.abs(after).min()) > 1e-3:
            return objective, rows, s, w, theta
    raise AssertionError("kinks everywhere")


def textbook_loss(case, objective, rows, s, w, theta):
    """The terms of filled rows, but Σ_j w_ij ℓ(x_ij, x̂_ij) for the reconstruction."""
    p = objective.parameters(theta)
    inputs = np.where(w > 0, rows, FILL)
    layers = p.encoder, p.hidden, p.decoder[:-1], p.decoder[-1]
    terms = textbook.terms(
        *(inputs, *layers),
        activation=case.activation,
        output=case.output,
        loss=case.loss,
        alpha=ALPHA,
        s=s,
        **IN_TEXTBOOK[case.extra],
    )
    codes = textbook.codes(inputs, p.encoder, p.hidden, case.activation)
    output = textbook.ACTIVATIONS[case.output](codes @ p.decoder[:-1] + p.decoder[-1])
    errors = (w * textbook.LOSSES[case.loss](inputs, output)).sum(axis=1)
    return terms | {"reconstruction": np.average(errors, weights=s)}


@every_pair(case=CASES)
def test_loss_is_the_formula_and_the_gradient_its_derivative(case):
    objective, rows, s, w, theta = draw(case)
    given = weighted_rows(rows, w)
    with ThreadEngine(objective, given, s, rows=4) as evaluate:
        loss, gradient, terms = evaluate(theta)
        c = objective.penalty_weights
        gradient = gradient + (0 if c is None else c * np.sign(theta))
        assert evaluate.data_loss(theta) == terms["reconstruction"]
    with ThreadEngine(objective, given, s, rows=len(rows)) as whole:
        numeric = central_differences(lambda point: whole(point)[0], theta)
    assert_same_direction_and_size(gradient, numeric)
    assert loss == pytest.approx(sum(terms.values()), rel=1e-12, abs=0)
    if not is_noisy(case):
        expected = textbook_loss(case, objective, rows, s, w, theta)
        assert terms == pytest.approx(expected, rel=1e-12, abs=0)


def test_moments_are_weighted():
    s, gaps = RNG.uniform(0.5, 2, len(X)), W * (RNG.uniform(size=W.shape) < 0.7)
    moments = weighted(DenseRows(X), gaps).moments(s)
    both = s[:, np.newaxis] * gaps
    means = np.average(X, axis=0, weights=both)
    np.testing.assert_allclose(moments.mean, means, rtol=1e-12)
    squares = (both * (X - means) ** 2).sum() / s.sum()
    assert moments.variance == pytest.approx(squares, rel=1e-12)


# -- the estimators -----------------------------------------------------------------


@each_model
def test_ones_are_as_none_and_zeros_as_nan(name):
    model, holes = MODELS[name], RNG.uniform(size=X.shape) < 0.2
    plain = clone(model).fit(X)
    assert_same_bits(clone(model).fit(X, entry_weight=np.ones(X.shape)), plain)
    by_nan = clone(model).fit(np.where(holes, np.nan, X))
    by_weight = clone(model).fit(X, entry_weight=(~holes).astype(int))
    for attribute in FITTED:
        np.testing.assert_allclose(
            getattr(by_weight, attribute), getattr(by_nan, attribute), rtol=1e-6
        )


@pytest.mark.parametrize("kind", [SparseAutoencoder, DenoisingAutoencoder])
def test_equal_weights_of_a_row_are_its_sample_weight(kind):
    """Without penalties, whose terms do not have them; L-BFGS starts elsewhere."""
    model = kind(4, solver="adam", alpha=0.0, **SHORT)
    if kind is SparseAutoencoder:
        model.set_params(sparsity=None)
    s = RNG.integers(1, 4, len(X)).astype(float)
    s *= len(s) / s.sum()
    by_rows = clone(model).fit(X, sample_weight=s)
    entries = np.repeat(s[:, np.newaxis], X.shape[1], axis=1)
    by_entries = clone(model).fit(X, entry_weight=entries)
    for attribute in ("components_", "loss_curve_"):
        np.testing.assert_allclose(
            getattr(by_entries, attribute), getattr(by_rows, attribute), rtol=1e-5
        )


@pytest.mark.parametrize("name", ["sparse", "adam", "early stopping"])
def test_what_weighs_more_is_reconstructed_better(name):
    w = np.ones(X.shape)
    w[:, :6] = 30
    model = clone(MODELS[name]).set_params(max_iter=200)
    one, other = clone(model).fit(X), clone(model).fit(X, entry_weight=w)
    of_one, of_other = (((m.predict(X) - X)[:, :6] ** 2).sum() for m in (one, other))
    assert of_other < 0.9 * of_one


def test_with_sample_weight_rows_of_weight_zero_are_absent():
    s = np.tile([1.0, 2.0, 0.0], 20)
    model = MODELS["sparse"]
    one = clone(model).fit(X, sample_weight=s, entry_weight=W)
    other = clone(model).fit(X[s > 0], sample_weight=s[s > 0], entry_weight=W[s > 0])
    for name in FITTED:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-6)


def test_float32_and_pieces():
    single = clone(MODELS["sparse"]).fit(X.astype(np.float32), entry_weight=W)
    assert single.components_.dtype == np.float32
    double = clone(MODELS["sparse"]).fit(X, entry_weight=W)
    assert single.loss_ == pytest.approx(double.loss_, rel=1e-2)
    model = clone(MODELS["adam"])
    for part in (slice(0, 30), slice(30, 60)):
        model.partial_fit(X[part], entry_weight=W[part])
    assert np.isfinite(model.components_).all()


def test_of_a_search_each_fold_has_its_own():
    search = GridSearchCV(clone(MODELS["sparse"]), {"n_components": [2, 4]}, cv=2)
    search.fit(X, entry_weight=W)
    half = clone(MODELS["sparse"]).set_params(n_components=2)
    half.fit(X[30:], entry_weight=W[30:])
    expected = half.score(X[:30])
    assert search.cv_results_["split0_test_score"][0] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["sparse", "contractive"])
def test_a_common_weight_changes_nothing_but_the_loss(name):
    """With all penalties "scale", whatever the unit of the weights."""
    one, quarter = (
        clone(MODELS[name]).fit(X, entry_weight=np.full(X.shape, weight))
        for weight in (2.0, 0.5)
    )
    np.testing.assert_allclose(one.components_, quarter.components_, rtol=1e-6)
    np.testing.assert_allclose(one.loss_, 4 * quarter.loss_, rtol=1e-9)


def test_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        model = clone(MODELS["sparse"]).set_fit_request(entry_weight=True)
        routed = make_pipeline(model).fit(X, entry_weight=W)[-1]
    assert_same_bits(routed, clone(MODELS["sparse"]).fit(X, entry_weight=W))


@pytest.mark.parametrize(
    ("rows", "weights", "message"),
    [
        (X, W[:, 0], r"entry_weight must have the shape of X, .*got \(60,\)"),
        (X, W[:-1], r"shape of X, \(60, 12\), got \(59, 12\)"),
        (X, -W, r"must not be negative, got -.*use 0"),
        (X, np.where(W > 2, np.nan, W), "entry_weight contains NaN"),
        (X, W * (np.arange(12) != 3), "above 0, of which nothing can be learnt: 3"),
        (csr_array(X), W, r"needs dense X, got a sparse matrix; use X.toarray\(\)"),
    ],
)
def test_weights_that_are_refused(rows, weights, message):
    with pytest.raises(ValueError, match=message):
        clone(MODELS["sparse"]).fit(rows, entry_weight=weights)


def test_dask_is_refused():
    da = pytest.importorskip("dask.array")
    with pytest.raises(ValueError, match=r"got a dask collection; use X.compute\(\)"):
        clone(MODELS["sparse"]).fit(da.from_array(X), entry_weight=W)
