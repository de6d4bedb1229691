"""Sparse rows in, the same result as dense rows in; and never all rows dense."""

import re
import warnings

import numpy as np
import pytest
import scipy.sparse
from compare import assert_has_score
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sparse_data import SPARSE, WEIGHTS, X

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
)
from skae.core.layers import Layers
from skae.core.sparse_rows import SparseRows
from skae.rows.source import source

pytestmark = pytest.mark.filterwarnings(
    "ignore:Training stopped", "ignore:Fine-tuning stopped"
)

ATTRIBUTES = [
    "components_",
    "intercept_hidden_",
    "decoder_components_",
    "intercept_visible_",
    "mean_activation_",
    "loss_curve_",
]
SHORT = {"n_components": 6, "max_iter": 12, "random_state": 0}
ADAM = {"solver": "adam", "max_iter": 4, "batch_size": 40}
BINARY = {"output_activation": "logistic", "loss": "log_loss"}
NOISE = {"redraw_every": 4}


def dropped(X, U):
    """A corruption of the user's own."""
    return X * (U < 0.8)


ESTIMATORS = [
    SparseAutoencoder(**SHORT),
    SparseAutoencoder(**SHORT | {"n_components": None}),
    SparseAutoencoder(**SHORT, tied_weights=True, activation="tanh"),
    SparseAutoencoder(**SHORT, activation="relu", sparsity="l1", l1_ratio=0.5),
    SparseAutoencoder(**SHORT, **BINARY),
    SparseAutoencoder(**SHORT, output_activation="logistic"),
    SparseAutoencoder(**SHORT, early_stopping=True, validation_fraction=0.2),
    SparseAutoencoder(**SHORT, n_init=2),
    SparseAutoencoder(**SHORT | ADAM),
    SparseAutoencoder(**SHORT | ADAM, **BINARY, tied_weights=True),
    SparseAutoencoder(**SHORT | ADAM, early_stopping=True),
    DenoisingAutoencoder(**SHORT, **NOISE),
    DenoisingAutoencoder(**SHORT, **NOISE, **BINARY, emphasis=(1, 0.5)),
    DenoisingAutoencoder(**SHORT, **NOISE, corruption="gaussian"),
    DenoisingAutoencoder(**SHORT, **NOISE, corruption="salt_and_pepper"),
    DenoisingAutoencoder(**SHORT, **NOISE, corruption=dropped),
    DenoisingAutoencoder(**SHORT, **NOISE, early_stopping=True, sparsity="kl"),
    DenoisingAutoencoder(**SHORT | ADAM),
    DenoisingAutoencoder(**SHORT | ADAM, corruption="salt_and_pepper"),
    ContractiveAutoencoder(**SHORT),
    ContractiveAutoencoder(**SHORT, tied_weights=True, output_activation="logistic"),
    ContractiveAutoencoder(**SHORT | ADAM),
]


def name(estimator):
    """For a test: without the addresses of functions, which differ by process."""
    return re.sub(r" at 0x[0-9a-f]+", "", " ".join(repr(estimator).split()))


each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=name)


def assert_same_fit(one, other):
    for name in ATTRIBUTES:
        found, expected = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8, err_msg=name)
    assert one.n_iter_ == other.n_iter_


@each_estimator
def test_fit_and_every_method_are_those_of_dense_rows(estimator):
    """With weights; partial fits and warm starts, below, have none."""
    dense = clone(estimator).fit(X, sample_weight=WEIGHTS)
    sparse = clone(estimator).fit(SPARSE, sample_weight=WEIGHTS)
    assert_same_fit(sparse, dense)
    for method in ("transform", "predict", "score_samples"):
        found = getattr(sparse, method)(SPARSE)
        assert type(found) is np.ndarray
        np.testing.assert_allclose(
            found, getattr(dense, method)(X), rtol=1e-8, atol=1e-8, err_msg=method
        )
    for weights in (None, WEIGHTS):
        score = sparse.score(SPARSE, sample_weight=weights)
        assert score == pytest.approx(dense.score(X, sample_weight=weights), abs=1e-8)


@each_estimator
def test_partial_fit_and_warm_start(estimator):
    if estimator.solver == "lbfgs":
        dense, sparse = (
            clone(estimator).set_params(warm_start=True).fit(rows).fit(rows)
            for rows in (X, SPARSE)
        )
    else:
        dense, sparse = clone(estimator), clone(estimator)
        for piece in np.array_split(np.arange(150), 3):
            dense.partial_fit(X[piece])
            sparse.partial_fit(SPARSE[piece])
    assert_same_fit(sparse, dense)


def test_pieces_may_be_dense_and_sparse_in_turns():
    """Weights go on from piece to piece; only Adam's state starts afresh."""
    online = SparseAutoencoder(8, solver="adam", random_state=0)
    digits = load_digits().data / 16
    scores = []
    for _ in range(8):
        for piece in np.array_split(digits, 4):
            online.partial_fit(piece).partial_fit(scipy.sparse.csr_array(piece))
        scores.append(online.score(digits))
    assert scores[-1] > scores[0] > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_dtype_is_kept(solver, dtype):
    rows = SPARSE.astype(dtype)
    model = SparseAutoencoder(5, solver=solver, max_iter=5, random_state=0).fit(rows)
    for name in ("components_", "intercept_hidden_", "decoder_components_"):
        assert getattr(model, name).dtype == dtype
    assert model.transform(rows).dtype == model.predict(rows).dtype == dtype


# -- what a matrix may look like -----------------------------------------------------


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "bsr", "dok", "dia"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_any_format(form, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.sparse.SparseEfficiencyWarning)
        rows = getattr(scipy.sparse, f"{form}_{kind}")(X)
    estimator = SparseAutoencoder(**SHORT)
    assert_same_fit(clone(estimator).fit(rows), clone(estimator).fit(X))


def test_long_indices():
    rows = SPARSE.copy()
    rows.indices, rows.indptr = (
        a.astype(np.int64) for a in (rows.indices, rows.indptr)
    )
    estimator = DenoisingAutoencoder(**SHORT)
    model = clone(estimator).fit(rows)
    assert_same_fit(model, clone(estimator).fit(X))
    np.testing.assert_allclose(model.score(rows), model.score(X))


def test_entries_to_be_added_up_explicit_zeros_and_unsorted_indices():
    rows = scipy.sparse.csr_array(
        ([1.0, 2.0, 4.0, 0.0, 5.0], [1, 0, 1, 2, 0], [0, 3, 4, 5]), shape=(3, 4)
    )
    dense = np.array([[2.0, 5, 0, 0], [0, 0, 0, 0], [5, 0, 0, 0]])
    before = rows.data.copy(), rows.indices.copy(), rows.indptr.copy()
    estimator = SparseAutoencoder(**SHORT | {"n_components": 2})
    model = clone(estimator).fit(rows)
    assert_same_fit(model, clone(estimator).fit(dense))
    np.testing.assert_allclose(model.score_samples(rows), model.score_samples(dense))
    for array, kept in zip((rows.data, rows.indices, rows.indptr), before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_rows_are_only_read():
    rows = SPARSE.copy()
    for array in (rows.data, rows.indices, rows.indptr):
        array.flags.writeable = False
    for estimator in (SparseAutoencoder(**SHORT), DenoisingAutoencoder(**SHORT)):
        estimator.fit(rows).score(rows)
        estimator.set_params(solver="adam").fit(rows)


@pytest.mark.parametrize(
    "rows",
    [np.zeros((5, 3)), np.full((5, 3), 7.3), np.eye(3)[:1], np.ones((1, 1)), 1e8 * X],
    ids=["zeros", "constant", "one row", "one number", "large"],
)
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_edges_fit(rows, solver, dtype):
    rows = scipy.sparse.csr_array(rows.astype(dtype))
    model = SparseAutoencoder(2, solver=solver, max_iter=20, random_state=0).fit(rows)
    for name in ATTRIBUTES:
        assert np.isfinite(getattr(model, name)).all(), name
    assert np.isfinite(model.predict(rows)).all()
    assert_has_score(model, rows)


# -- refused -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fit", "transform", "predict", "score"])
def test_infinity(method):
    rows = SPARSE.copy()
    rows.data[3] = np.inf
    model = SparseAutoencoder(**SHORT)
    if method != "fit":
        model.fit(SPARSE)
    with pytest.raises(ValueError, match="contains infinity"):
        getattr(model, method)(rows)


def test_other_number_of_features():
    with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 20"):
        SparseAutoencoder(**SHORT).fit(SPARSE).transform(SPARSE[:, :3])


@pytest.mark.parametrize("factor", [-1, 1.5])
def test_logistic_output_needs_rows_in_0_1(factor):
    with pytest.raises(ValueError, match=r"X in \[0, 1\]"):
        SparseAutoencoder(**SHORT, **BINARY).fit(factor * SPARSE)


def test_zeros_count_as_entries_of_a_range():
    """All that are stored lie in [2, 3]; and yet the minimum is 0."""
    rows = scipy.sparse.csr_array(np.where(X > 0, 2 + X, 0))
    model = DenoisingAutoencoder(**SHORT, corruption="salt_and_pepper").fit(rows)
    dense = rows.toarray()
    expected = np.stack([dense.min(axis=0), dense.max(axis=0)])
    np.testing.assert_array_equal(model.feature_range_, expected)


def test_too_large():
    with pytest.raises(ValueError, match=r"X is too large.*StandardScaler"):
        SparseAutoencoder(**SHORT).fit(1e150 * SPARSE)


# -- what is done with the rows ----------------------------------------------------


@pytest.mark.parametrize("level", [0.3, 1.0])
def test_corrupt(level):
    model = DenoisingAutoencoder(
        **SHORT, corruption="masking", corruption_level=level
    ).fit(X)
    masked = model.corrupt(SPARSE, random_state=3)
    assert scipy.sparse.issparse(masked)
    np.testing.assert_array_equal(masked.toarray(), model.corrupt(X, random_state=3))
    assert masked.nnz == np.count_nonzero(masked.toarray())
    model = model.set_params(corruption="gaussian").fit(X)
    noisy = model.corrupt(SPARSE, random_state=3)
    np.testing.assert_allclose(noisy, model.corrupt(X, random_state=3))


def test_jacobian_norm():
    model = ContractiveAutoencoder(**SHORT).fit(SPARSE)
    np.testing.assert_allclose(model.jacobian_norm(SPARSE), model.jacobian_norm(X))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("at_a_time", [1, 7, 2**18])
def test_moments(at_a_time, shift, weights, monkeypatch):
    """Shifted rows have no zeros but one; their variance is 1e-13 of the squares."""
    monkeypatch.setattr("skae.rows.moments._ENTRIES_AT_A_TIME", at_a_time)
    dense = X + shift
    dense[1, 0] = 0
    moments = source(scipy.sparse.csr_array(dense)).moments(weights)
    expected = source(dense).moments(weights)
    np.testing.assert_allclose(moments.mean, expected.mean, rtol=1e-12, atol=1e-15)
    assert moments.variance == pytest.approx(expected.variance, rel=1e-9)


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_array])
def test_moments_of_rows_of_weight_zero_whatever_they_hold(kind):
    dense, there = X.copy(), WEIGHTS > 0
    dense[~there] = 1e160  # whose squares overflow
    found = source(kind(dense)).moments(WEIGHTS)
    expected = source(kind(X[there])).moments(WEIGHTS[there])
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-13, atol=1e-16)
    assert found.variance == pytest.approx(expected.variance, rel=1e-13)
    found.check_magnitude(there.sum(), np.dtype(np.float64))


def test_moments_of_a_column_that_is_zero_where_weights_are_tiny():
    """What is left of their sum for that zero is rounding, of either sign."""
    dense = np.ones((1000, 3))
    dense[0] = 0
    for seed in range(20):
        weights = np.random.default_rng(seed).uniform(0.5, 2, 1000)
        weights[0] = 1e-30
        moments = source(scipy.sparse.csr_array(dense)).moments(weights)
        assert moments.variance == pytest.approx(0, abs=1e-12)
        assert moments.variance >= 0 and moments.spread >= 0


def test_score_forms_no_reconstruction(monkeypatch):
    model = SparseAutoencoder(**SHORT).fit(SPARSE)

    def refuse(*args, **kwargs):
        raise AssertionError("a dense array of all features")

    monkeypatch.setattr(SparseRows, "toarray", refuse)
    monkeypatch.setattr(Layers, "__call__", refuse)
    model.score(SPARSE)
    clone(model).fit(SPARSE)


def test_pipeline_and_grid_search():
    pipeline = make_pipeline(MaxAbsScaler(), SparseAutoencoder(**SHORT))
    search = GridSearchCV(pipeline, {"sparseautoencoder__n_components": [2, 4]}, cv=2)
    one, other = clone(search).fit(SPARSE), clone(search).fit(X)
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_allclose(one.cv_results_[name], other.cv_results_[name])


@pytest.mark.parametrize("make", [SparseAutoencoder, StackedAutoencoder])
@pytest.mark.parametrize("mean", [1e4, 1e8])
def test_a_column_far_from_zero_costs_no_digits(make, mean):
    """Its square is 1e8 or 1e16 times the errors; dense rows show what is right."""
    rng = np.random.default_rng(0)
    rows = np.c_[np.eye(6)[rng.integers(0, 6, 60)], mean + rng.normal(size=60)]
    model = make(3, max_iter=30, random_state=0).fit(rows)
    sparse = scipy.sparse.csr_array(rows)
    expected = model.score_samples(rows)
    np.testing.assert_allclose(model.score_samples(sparse), expected, rtol=1e-4)
    again = make(3, max_iter=30, random_state=0).fit(sparse)
    assert again.score(rows) == pytest.approx(model.score(rows), abs=0.02)
