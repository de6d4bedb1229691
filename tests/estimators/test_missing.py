"""NaN in X is a missing entry: what is learnt, encoded and scored without it."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from skae import (
    AutoencoderImputer,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
    TopKAutoencoder,
)

pytestmark = pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) stopped")

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS, LABELS = DIGITS[:400, 1:40] / 16, LABELS[:400]
HOLES = np.random.default_rng(0).uniform(size=DIGITS.shape) < 0.2
X = np.where(HOLES, np.nan, DIGITS)
SHORT = {"max_iter": 40, "random_state": 0}
MODELS = {
    "sparse": SparseAutoencoder(8, **SHORT),
    "adam": SparseAutoencoder(8, solver="adam", **SHORT),
    "early stopping": SparseAutoencoder(8, early_stopping=True, **SHORT),
    "log loss": SparseAutoencoder(
        8, loss="log_loss", output_activation="logistic", **SHORT
    ),
    "denoising": DenoisingAutoencoder(8, emphasis=(1.0, 0.5), **SHORT),
    "contractive": ContractiveAutoencoder(8, tied_weights=True, **SHORT),
    "deep": StackedAutoencoder((12, 6), **SHORT),
}
SUPERVISED = {
    "classifier": StackedAutoencoderClassifier(8, **SHORT),
    "regressor": StackedAutoencoderRegressor(8, autoencoder="sparse", **SHORT),
}


def r2_of_observed(model, rows, sample_weight=None):
    """1 − Σ_i s_i Σ_j (x̂_ij − x_ij)² / Σ_i s_i Σ_j (x_ij − m_j)², observed j only."""
    s = np.ones(len(rows)) if sample_weight is None else sample_weight
    weights = s[:, np.newaxis] * ~np.isnan(rows)
    values = np.nan_to_num(rows)
    means = (weights * values).sum(axis=0) / weights.sum(axis=0)
    errors = (model.predict(rows) - values) ** 2
    return 1 - (weights * errors).sum() / (weights * (values - means) ** 2).sum()


# -- what is learnt -----------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_missing_entries_are_told_better_than_by_the_means(name):
    model = clone(MODELS[name]).set_params(max_iter=100).fit(X)
    means = np.nanmean(X, axis=0)
    error = np.mean((model.predict(X) - DIGITS)[HOLES] ** 2)
    assert error < 0.85 * np.mean((means - DIGITS)[HOLES] ** 2)
    assert model.score(DIGITS) > 0.35


def test_one_missing_entry_hardly_matters():
    one = DIGITS.copy()
    one[5, 7] = np.nan
    model = SparseAutoencoder(8, tol=1e-4, **SHORT)
    complete, without = (clone(model).fit(rows).score(DIGITS) for rows in (DIGITS, one))
    assert without == pytest.approx(complete, abs=0.005)


def test_rows_of_weight_zero_are_absent():
    nothing = np.vstack([DIGITS, np.full((1, DIGITS.shape[1]), np.nan)])
    model = SparseAutoencoder(8, max_iter=8, random_state=0)
    trained = clone(model).fit(nothing, sample_weight=np.append(np.ones(400), 0))
    complete = clone(model).fit(DIGITS)
    assert trained.loss_ == pytest.approx(complete.loss_, rel=1e-9)


def als_pca(rows, k, n_rounds):
    """Σ of squared errors of observed entries that textbook alternating least squares
    comes to: k factors of each row, and k factors and a mean of each column, in turns.
    """
    seen, means = ~np.isnan(rows), np.nanmean(rows, axis=0)
    n, d = rows.shape
    directions = np.linalg.svd(np.where(seen, rows, means) - means)[2][:k]
    V, U = np.column_stack([directions.T, means]), np.ones((n, k + 1))
    for _ in range(n_rounds):
        for i in range(n):
            there = seen[i]
            target = rows[i, there] - V[there, -1]
            U[i, :-1] = np.linalg.lstsq(V[there, :-1], target, rcond=None)[0]
        for j in range(d):
            there = seen[:, j]
            V[j] = np.linalg.lstsq(U[there], rows[there, j], rcond=None)[0]
    return ((U @ V.T - rows)[seen] ** 2).sum()


def test_a_linear_autoencoder_reaches_pca_of_the_observed_entries():
    """With fewer rows than columns a linear encoder may give every row any code."""
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((12, 2)) @ rng.standard_normal((2, 25))
    rows += 0.1 * rng.standard_normal(rows.shape)
    rows[rng.uniform(size=rows.shape) < 0.2] = np.nan
    model = SparseAutoencoder(
        2,
        activation="identity",
        sparsity=None,
        alpha=0.0,
        tol=1e-12,
        max_iter=20_000,
        max_fun=40_000,
        random_state=0,
    ).fit(rows)
    error = 2 * model.loss_ * len(rows)
    assert error == pytest.approx(als_pca(rows, k=2, n_rounds=40), rel=1e-6)


def test_log_loss_of_the_means_is_the_unit_of_early_stopping():
    """``validation_scores_`` is relative to it: near 0 before anything is learnt."""
    model = clone(MODELS["log loss"]).set_params(early_stopping=True, max_iter=1)
    assert abs(model.fit(X).validation_scores_[0]) < 0.1


def test_penalties_that_leave_nothing_to_learn_are_told():
    model = SparseAutoencoder(8, alpha=1e3, **SHORT)
    with pytest.warns(match="has learnt nothing"):
        model.fit(X)


@pytest.mark.parametrize("name", [*MODELS, "regressor"])
def test_float32_is_near_float64(name):
    model = {**MODELS, **SUPERVISED}[name]
    y = () if name in MODELS else (LABELS,)
    double = clone(model).set_params(max_iter=3).fit(X, *y)
    single = clone(model).set_params(max_iter=3).fit(X.astype(np.float32), *y)
    predicted = single.predict(X.astype(np.float32))
    if name in MODELS:
        assert predicted.dtype == np.float32
    scale = np.abs(double.predict(X)).max()
    np.testing.assert_allclose(predicted, double.predict(X), atol=0.02 * scale)


@pytest.mark.parametrize("name", ["sparse", "log loss", "deep"])
def test_weights_are_repeated_rows(name):
    model = clone(MODELS[name]).set_params(max_iter=3)
    s = np.arange(len(X)) % 3
    if name == "deep":
        model.set_params(autoencoder="sparse")
    weighted = clone(model).fit(X, sample_weight=s)
    repeated = clone(model).fit(np.repeat(X, s, axis=0))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)
    assert weighted.score(X, sample_weight=s) == pytest.approx(
        repeated.score(np.repeat(X, s, axis=0)), rel=1e-9
    )


def test_pieces():
    """The first sets the means; a later one may be complete, or lack a column."""
    model = SparseAutoencoder(8, solver="adam", learning_rate_init=0.02, random_state=0)
    last = X[200:].copy()
    last[:, 3] = np.nan
    for _ in range(20):
        for piece in (X[:100], DIGITS[100:200], last[:100]):
            model.partial_fit(piece)
    assert model.score(DIGITS[300:]) > 0.3
    first = model.transform(np.where(np.isnan(X), np.nanmean(X[:100], axis=0), X))
    np.testing.assert_allclose(model.transform(X), first, rtol=1e-12)


# -- what is done with it -----------------------------------------------------------


@pytest.mark.parametrize("name", [*MODELS, *SUPERVISED])
def test_what_is_computed_has_no_missing_entries(name):
    model = clone({**MODELS, **SUPERVISED}[name])
    model.set_params(max_iter=3).fit(X, LABELS)
    nothing = np.full((2, X.shape[1]), np.nan)
    for rows in (X, nothing, DIGITS):
        assert np.isfinite(model.transform(rows)).all()
        assert np.isfinite(model.predict(rows)).all()
    assert np.isfinite(model.score(X, LABELS))
    # The columns' means, weighted as the rows, are what is encoded.
    filled = np.where(HOLES, np.nanmean(X, axis=0), X)
    if not getattr(model, "early_stopping", False):
        codes = model.transform(filled)
        np.testing.assert_allclose(model.transform(X), codes, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["sparse", "log loss", "deep"])
def test_scores_are_of_observed_entries(name):
    model = clone(MODELS[name]).set_params(max_iter=5).fit(X)
    s = np.random.default_rng(1).uniform(0.5, 2, len(X))
    assert model.score(X) == pytest.approx(r2_of_observed(model, X), rel=1e-9)
    weighted = model.score(X, sample_weight=s)
    assert weighted == pytest.approx(r2_of_observed(model, X, s), rel=1e-9)
    rows = X.copy()
    rows[4] = np.nan
    errors = np.where(np.isnan(rows), 0, (model.predict(rows) - rows) ** 2).sum(axis=1)
    with np.errstate(invalid="ignore"):
        expected = -errors * X.shape[1] / (~np.isnan(rows)).sum(axis=1)
    np.testing.assert_allclose(model.score_samples(rows), expected, rtol=1e-9)
    assert np.isnan(model.score_samples(rows)[4])


def test_corrupted_rows_miss_what_they_missed():
    model = DenoisingAutoencoder(4, corruption="masking", **SHORT).fit(X)
    low, high = model.feature_range_
    np.testing.assert_array_equal(low, np.nanmin(X, axis=0))
    np.testing.assert_array_equal(high, np.nanmax(X, axis=0))
    noisy = model.corrupt(X, random_state=0)
    np.testing.assert_array_equal(np.isnan(noisy), HOLES)
    np.testing.assert_array_equal(model.corrupt(DIGITS, 0)[~HOLES], noisy[~HOLES])
    sparse = model.corrupt(csr_array(X), random_state=0)
    np.testing.assert_array_equal(sparse.toarray(), noisy)


# -- kinds of rows ------------------------------------------------------------------


@pytest.mark.parametrize("name", [*MODELS, *SUPERVISED])
def test_explicit_nan_of_a_sparse_matrix_is_missing(name):
    model = clone({**MODELS, **SUPERVISED}[name]).set_params(max_iter=3)
    sparse = csr_array(X)
    assert sparse.nnz < X.size  # zeros are zeros
    of_array, of_matrix = (clone(model).fit(rows, LABELS) for rows in (X, sparse))
    one, other = of_array.transform(X), of_matrix.transform(sparse)
    np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-9)
    for method in ("predict", "score_samples"):
        if hasattr(model, method):
            other, one = (getattr(of_array, method)(rows) for rows in (sparse, X))
            np.testing.assert_allclose(other, one, rtol=1e-9)


def test_a_memory_map_gives_the_bits_of_an_array(tmp_path, monkeypatch):
    monkeypatch.setattr("skae.rows.memory_map.LARGE", 1)
    path = tmp_path / "rows.npy"
    mapped = np.lib.format.open_memmap(path, "w+", X.dtype, X.shape)
    mapped[:] = X
    for name in ("sparse", "adam"):
        model = clone(MODELS[name]).set_params(max_iter=4)
        one, other = (clone(model).fit(rows) for rows in (X, mapped))
        np.testing.assert_array_equal(one.components_, other.components_)
        assert one.score(X) == other.score(mapped)


def test_rows_without_targets_may_miss_entries():
    model = StackedAutoencoderClassifier(8, autoencoder="sparse", **SHORT)
    for labelled, more in ((DIGITS, X), (X, DIGITS), (X, X)):
        some = slice(None, 200)
        model.fit(labelled[some], LABELS[some], X_unlabeled=more[200:])
        assert model.score(X[200:], LABELS[200:]) > 0.5


# -- refused ------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_a_column_without_an_entry_is_refused(name):
    rows = X.copy()
    rows[:, [3, 9]] = np.nan
    for given in (rows, csr_array(rows)):
        with pytest.raises(ValueError, match=r"every entry is NaN.*: 3, 9"):
            clone(MODELS[name]).fit(given)


def test_tags():
    for model in {**MODELS, **SUPERVISED}.values():
        assert get_tags(model).input_tags.allow_nan


@pytest.mark.parametrize(
    "model", [SparseCoding(4, max_iter=2), TopKAutoencoder(8, max_iter=2)]
)
def test_models_of_complete_rows_name_a_remedy(model):
    assert not get_tags(model).input_tags.allow_nan
    match = rf"X contains NaN, but {type(model).__name__}.*AutoencoderImputer"
    fitted = clone(model).fit(DIGITS)
    for method in (model.fit, model.partial_fit, fitted.transform, fitted.predict):
        with pytest.raises(ValueError, match=match):
            method(X)
    filled = AutoencoderImputer(clone(MODELS["sparse"]), n_estimators=1)
    make_pipeline(filled, model).fit(X)


@pytest.mark.filterwarnings("ignore:No dask.distributed client")
@pytest.mark.parametrize("name", ["sparse", "deep"])
def test_dask_maps_incomplete_rows_but_does_not_learn_from_them(name):
    da = pytest.importorskip("dask.array")
    chunks, model = da.from_array(X, chunks=(150, -1)), clone(MODELS[name]).fit(X)
    for method in ("transform", "predict"):
        expected = getattr(model, method)(X)
        got = np.asarray(getattr(model, method)(chunks))
        np.testing.assert_allclose(got, expected, rtol=1e-10)
    for method in (model.fit, model.score):
        with pytest.raises(ValueError, match=r"not in dask.*fit on X\.compute\(\)"):
            method(chunks)


def test_rows_in_which_nothing_was_observed_have_no_score():
    model = clone(MODELS["sparse"]).set_params(max_iter=2).fit(X)
    with pytest.raises(ValueError, match="no observed entry"):
        model.score(np.full((3, X.shape[1]), np.nan))
