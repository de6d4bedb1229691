"""SparseCoding of sparse rows: what dense rows give, and never dense rows made."""

import copy
import tracemalloc
import warnings
from functools import cache

import numpy as np
import pytest
import scipy.sparse
from compare import assert_has_score
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sparse_data import SPARSE, WEIGHTS, X

from skae import SparseCoding
from skae.core.layers import Layers
from skae.core.sparse_rows import SparseRows
from skae.training import dictionary as _dictionary

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")

ATTRIBUTES = [
    "components_",
    "loss_curve_",
    "sparsity_weight_",
    "dictionary_penalty_",
    "n_iter_",
]
SHORT = {"n_components": 6, "max_iter": 8, "random_state": 0}
ESTIMATORS = [
    SparseCoding(**SHORT),
    SparseCoding(**SHORT | {"n_components": None}),
    SparseCoding(**SHORT, batch_size=40),
    SparseCoding(**SHORT, batch_size=None, code_max_iter=50),
    SparseCoding(**SHORT, sparsity_weight=0.0),
    SparseCoding(**SHORT | {"n_components": 12}, topography=(4, 3)),
    # More than twice as many units as columns: products in another order.
    SparseCoding(
        **SHORT | {"n_components": 42},
        topography=(6, 7),
        batch_size=60,
        sparsity_weight=0.01,
    ),
]
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)


def assert_same_fit(one, other):
    for name in ATTRIBUTES:
        found, expected = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8, err_msg=name)


# -- the same result -----------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@each_estimator
def test_fit_is_that_of_dense_rows(estimator, weights):
    dense = clone(estimator).fit(X, sample_weight=weights)
    assert_same_fit(clone(estimator).fit(SPARSE, sample_weight=weights), dense)


@each_estimator
def test_every_method_is_that_of_dense_rows(estimator, monkeypatch):
    """Of codes that are found as well as rounding allows."""
    monkeypatch.setattr(_dictionary, "_ENCODE_TOL", 1e-13)
    model = clone(estimator).fit(X)
    for method in ("transform", "predict", "score_samples"):
        found = getattr(model, method)(SPARSE)
        assert type(found) is np.ndarray
        np.testing.assert_allclose(
            found, getattr(model, method)(X), rtol=1e-8, atol=1e-8, err_msg=method
        )
    for weights in (None, WEIGHTS):
        score = model.score(SPARSE, sample_weight=weights)
        assert score == pytest.approx(model.score(X, sample_weight=weights), abs=1e-8)


def test_more_units_than_columns():
    """Where J is nearly flat codes vary within their tolerance, not what they make."""
    model = SparseCoding(40, max_iter=8, random_state=0).fit(X)
    codes = model.transform(X)
    atol = 1e-5 * np.abs(codes).max()
    np.testing.assert_allclose(model.transform(SPARSE), codes, rtol=0, atol=atol)
    assert model.score(SPARSE) == pytest.approx(model.score(X), abs=1e-8)


@each_estimator
def test_partial_fit_and_warm_start(estimator):
    one, other = clone(estimator), clone(estimator)
    for piece in np.array_split(np.arange(150), 3):
        one.partial_fit(X[piece], sample_weight=WEIGHTS[piece])
        other.partial_fit(SPARSE[piece], sample_weight=WEIGHTS[piece])
    assert_same_fit(other, one)
    one.set_params(warm_start=True, max_iter=3).fit(X)
    assert_same_fit(other.set_params(warm_start=True, max_iter=3).fit(SPARSE), one)


def test_pieces_may_be_dense_and_sparse_in_turns():
    mixed, dense = SparseCoding(**SHORT), SparseCoding(**SHORT)
    for rows in (X, SPARSE, X, SPARSE):
        mixed.partial_fit(rows)
        dense.partial_fit(X)
    assert_same_fit(mixed, dense)


def test_scores_are_those_of_the_reconstruction():
    model = SparseCoding(**SHORT).fit(SPARSE)
    errors = ((model.transform(SPARSE) @ model.components_ - X) ** 2).sum(axis=1)
    np.testing.assert_allclose(model.score_samples(SPARSE), -errors, atol=1e-12)
    variance = ((X - X.mean(axis=0)) ** 2).sum()
    assert model.score(SPARSE) == pytest.approx(1 - errors.sum() / variance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    rows = SPARSE.astype(dtype)
    model = SparseCoding(**SHORT).fit(rows)
    assert model.components_.dtype == dtype
    assert model.transform(rows).dtype == model.predict(rows).dtype == dtype
    assert model.partial_fit(rows).components_.dtype == dtype


@pytest.mark.parametrize("before", [0, 20])
@pytest.mark.parametrize("noise", [1e-3, 1e-1])
def test_float32_is_as_near_float64_as_that_of_dense_rows(noise, before):
    """A round of a random dictionary, or of one whose reconstruction nearly cancels."""
    rng = np.random.default_rng(0)
    atoms = rng.standard_normal((12, 200)) * (rng.random((12, 200)) < 0.2)
    rows = rng.standard_normal((300, 12)) @ atoms
    rows += noise * rows.std() * rng.standard_normal(rows.shape)
    rows = rows.astype(np.float32)
    exact, kinds = rows.astype(np.float64), (rows, scipy.sparse.csr_array(rows))
    options = {"sparsity_weight": 1e-3, "dictionary_penalty": 1e-4, "warm_start": True}
    start = SparseCoding(12, batch_size=None, tol=0, random_state=0, **options)
    if before:
        start.set_params(max_iter=before).fit(exact)
    start.set_params(max_iter=1)
    expected = copy.deepcopy(start).fit(exact)
    score, A = expected.score(exact), expected.components_
    if before:
        assert 1 - score < noise**2

    def errors(rows):
        model = copy.deepcopy(start).fit(rows)
        assert model.score(rows) == pytest.approx(score, abs=1e-8)
        yield np.linalg.norm(model.components_ - A) / np.linalg.norm(A)
        difference = model.loss_curve_[0] - expected.loss_curve_[0]
        yield abs(difference) / (exact**2).sum(axis=1).mean()

    for dense, sparse in zip(*map(errors, kinds), strict=True):
        assert sparse < 2 * dense + 1e-7


# -- what a matrix may look like -----------------------------------------------------


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "bsr", "dok", "dia"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_any_format(form, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.sparse.SparseEfficiencyWarning)
        rows = getattr(scipy.sparse, f"{form}_{kind}")(X)
    assert_same_fit(SparseCoding(**SHORT, batch_size=60).fit(rows), fit_of_dense_rows())


@cache
def fit_of_dense_rows():
    return SparseCoding(**SHORT, batch_size=60).fit(X)


def test_entries_to_be_added_up_explicit_zeros_and_unsorted_indices():
    rows = scipy.sparse.csr_array(
        ([1.0, 2.0, 4.0, 0.0, 5.0], [1, 0, 1, 2, 0], [0, 3, 4, 5]), shape=(3, 4)
    )
    dense = np.array([[2.0, 5, 0, 0], [0, 0, 0, 0], [5, 0, 0, 0]])
    model = SparseCoding(**SHORT | {"n_components": 2}).fit(rows)
    assert_same_fit(model, clone(model).fit(dense))
    np.testing.assert_allclose(
        model.score_samples(rows), model.score_samples(dense), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("batch_size", [None, 60])
def test_rows_are_only_read(batch_size):
    rows = SPARSE.copy()
    for array in (rows.data, rows.indices, rows.indptr):
        array.flags.writeable = False
    model = SparseCoding(**SHORT, batch_size=batch_size)
    model.fit(rows, sample_weight=WEIGHTS).partial_fit(rows).score(rows)
    model.fit(rows).transform(rows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "rows",
    [np.zeros((5, 3)), np.full((5, 3), 7.3), np.eye(3)[:1], np.ones((1, 1)), 1e8 * X],
    ids=["zeros", "constant", "one row", "one number", "large"],
)
def test_edges_fit(rows, dtype):
    rows = scipy.sparse.csr_array(rows.astype(dtype))
    model = SparseCoding(2, max_iter=20, random_state=0).fit(rows)
    for name in ATTRIBUTES:
        assert np.isfinite(getattr(model, name)).all(), name
    assert np.isfinite(model.predict(rows)).all()
    assert_has_score(model, rows)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score"])
def test_nan_and_inf(method, bad):
    rows = SPARSE.copy()
    rows.data[3] = bad
    model = SparseCoding(**SHORT).fit(SPARSE)
    with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
        getattr(model, method)(rows)


def test_other_number_of_features():
    with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 20"):
        SparseCoding(**SHORT).fit(SPARSE).transform(SPARSE[:, :3])


def test_too_large():
    with pytest.raises(ValueError, match=r"X is too large.*StandardScaler"):
        SparseCoding(**SHORT).fit(1e150 * SPARSE)


def test_pipeline_and_grid_search():
    pipeline = make_pipeline(MaxAbsScaler(), SparseCoding(**SHORT))
    search = GridSearchCV(pipeline, {"sparsecoding__n_components": [2, 4]}, cv=2)
    one, other = clone(search).fit(SPARSE), clone(search).fit(X)
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_allclose(
            one.cv_results_[name], other.cv_results_[name], rtol=1e-8
        )


# -- no dense rows -------------------------------------------------------------------


def refuse(*args, **kwargs):
    raise AssertionError("a dense array of all features")


@pytest.mark.parametrize("batch_size", [None, 60])
def test_nothing_is_written_out(batch_size, monkeypatch):
    rows = SPARSE.copy()
    for kind in (SparseRows, type(rows), type(rows.tocsc())):
        monkeypatch.setattr(kind, "toarray", refuse)
    monkeypatch.setattr(Layers, "__call__", refuse)
    model = SparseCoding(**SHORT, batch_size=batch_size)
    model.fit(rows, sample_weight=WEIGHTS).partial_fit(rows)
    model.transform(rows), model.score(rows), model.score_samples(rows)


@pytest.mark.parametrize("batch_size", [None, 400])
def test_memory_is_that_of_the_dictionary_not_of_dense_rows(batch_size):
    """2,000 rows of 50,000 columns: dense they take 800 MB, 400 of them 160 MB."""
    rng = np.random.default_rng(0)
    where = rng.integers(50_000, size=(2000, 20)), np.repeat(np.arange(2000), 20)
    entries = rng.uniform(size=40_000)
    shape = 2000, 50_000
    rows = scipy.sparse.csr_array((entries, (where[1], where[0].ravel())), shape=shape)
    weights = np.where(np.arange(2000) % 5, 1.0, 0.0)
    model = SparseCoding(
        3, max_iter=2, code_max_iter=5, batch_size=batch_size, random_state=0
    )
    tracemalloc.start()
    try:
        model.fit(rows, sample_weight=weights)
        model.transform(rows), model.score(rows), model.score_samples(rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * model.components_.nbytes  # 36 MB


@pytest.mark.parametrize("rows", [X, SPARSE], ids=["dense", "sparse"])
@pytest.mark.parametrize("method", ["transform", "predict", "score", "score_samples"])
def test_codes_cut_short_are_warned_of_at_the_caller(method, rows, monkeypatch):
    model = SparseCoding(**SHORT).fit(X)
    monkeypatch.setattr(_dictionary, "MAX_ITER_ENCODE", 1)
    with pytest.warns(ConvergenceWarning, match="Some codes did not") as caught:
        getattr(model, method)(rows)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("exponent", [-300, -250, 200])
def test_codes_in_other_units_are_the_same_bits(exponent):
    """Powers of two change no rounding; fourth powers of these leave the range."""
    X = np.random.default_rng(0).standard_normal((40, 4))
    make = {"max_iter": 3, "random_state": 0}
    codes = SparseCoding(3, **make).fit_transform(X)
    scaled = SparseCoding(3, **make).fit_transform(np.ldexp(X, exponent))
    np.testing.assert_array_equal(scaled, codes)


def test_rows_that_overflow_are_named():
    X = np.random.default_rng(0).standard_normal((40, 4))
    model = SparseCoding(3, max_iter=3, random_state=0).fit(X)
    X[5, 0] = 1e200
    with pytest.raises(ValueError, match="rows of X overflow float64"):
        model.transform(X)


def test_columns_far_from_zero_are_to_be_centred():
    X = np.random.default_rng(0).standard_normal((200, 2))
    with pytest.warns(ConvergenceWarning, match="centre"):
        SparseCoding(max_iter=5, random_state=0).fit(X + 300)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*centre.*")
        SparseCoding(max_iter=5, random_state=0).fit(X)
