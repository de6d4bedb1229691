"""Stacks: sparse rows in, the result of dense rows in; and never all rows dense."""

import copy
import tracemalloc
import warnings
from functools import cache, partial

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)
from skae.core.sparse_rows import SparseRows

pytestmark = pytest.mark.filterwarnings("ignore:(Fine-tuning|The output layer) stopped")

RNG = np.random.default_rng(0)


def sparse_rows(n, d=20):
    return RNG.uniform(size=(n, d)) * (RNG.random((n, d)) < 0.25)


X, MORE = sparse_rows(150), sparse_rows(60)
X[7] = X[:, 4] = 0
SPARSE, SPARSE_MORE = scipy.sparse.csr_array(X), scipy.sparse.csc_matrix(MORE)
WEIGHTS = np.where(np.arange(150) % 7 == 0, 0, RNG.uniform(0.5, 2, 150))
NUMBERS = 7 + X @ RNG.standard_normal((20, 2))
LABELS = (NUMBERS > 7).astype(int)
CLASSES = np.array(["a", "b", "c"])[np.digitize(NUMBERS[:, 0], [6.5, 7.5])]

SHORT = {"hidden_layer_sizes": (8, 4), "max_iter": 8, "random_state": 0}
ADAM = SHORT | {"solver": "adam", "max_iter": 4, "batch_size": 40}
ONE_LAYER = SHORT | {"hidden_layer_sizes": 5}
DROPOUT = {"input_dropout": 0.2, "hidden_dropout": 0.3}
EARLY = {"early_stopping": True, "validation_fraction": 0.2}
BINARY = {"output_activation": "logistic", "loss": "log_loss"}
BY_HAND = [ContractiveAutoencoder(max_iter=8), DenoisingAutoencoder(max_iter=8)]
MACHINES = [BernoulliRBM(n_iter=2), BernoulliRBM(n_iter=2)]

Classifier, Regressor = StackedAutoencoderClassifier, StackedAutoencoderRegressor
SUPERVISED = [
    (Classifier(**SHORT), CLASSES),
    (Classifier(**SHORT, autoencoder="sparse", **EARLY), CLASSES),
    (
        Classifier(**{**SHORT, "max_iter": 3}, autoencoder=MACHINES, alpha="scale"),
        LABELS,
    ),
    (Classifier(**SHORT, autoencoder=None, l1_ratio=0.5), CLASSES),
    (Classifier(**SHORT, autoencoder=BY_HAND, decay="start"), LABELS),
    (Classifier(**SHORT, class_weight="balanced", activation="relu"), CLASSES),
    (Classifier(**SHORT, fine_tune=False), CLASSES),
    (Classifier(**ADAM, **DROPOUT), CLASSES),
    (Classifier(**ADAM, **EARLY, l1_ratio=0.5), LABELS),
    (Regressor(**SHORT), NUMBERS),
    (Regressor(**SHORT, **EARLY, activation="tanh"), NUMBERS[:, 0]),
    (Regressor(**ONE_LAYER, decay="output"), NUMBERS),
    (Regressor(**ADAM, **DROPOUT), NUMBERS[:, 0]),
    (Regressor(**ADAM, **EARLY, autoencoder=None), NUMBERS),
]
DEEP = [
    (StackedAutoencoder(**options), None)
    for options in (
        SHORT,
        ONE_LAYER,
        {**SHORT, "autoencoder": "sparse", "code_activation": "identity"},
        {
            **SHORT,
            "max_iter": 3,
            "autoencoder": MACHINES,
            "output_activation": "logistic",
        },
        {**SHORT, "autoencoder": None, "activation": "tanh", "l1_ratio": 0.5},
        {**SHORT, "fine_tune": False},
        {**SHORT, **BINARY},
        {**SHORT, **EARLY},
        {**SHORT, **EARLY, **BINARY},
        ADAM,
        {**ADAM, **DROPOUT, **EARLY},
        {**ADAM, **DROPOUT, **BINARY},
    )
]


def name(value):
    """For a test: of an estimator; its targets need none."""
    return (
        "" if value is None or hasattr(value, "dtype") else " ".join(str(value).split())
    )


each_supervised = pytest.mark.parametrize(("estimator", "y"), SUPERVISED, ids=name)
each = pytest.mark.parametrize(("estimator", "y"), SUPERVISED + DEEP, ids=name)
each_kind = pytest.mark.parametrize(
    ("estimator", "y"), [SUPERVISED[0], SUPERVISED[9], DEEP[0]], ids=name
)


def assert_same_fit(one, other):
    close = closely(one)
    for layers in ("coefs_", "intercepts_"):
        pairs = zip(getattr(one, layers), getattr(other, layers), strict=True)
        for found, expected in pairs:
            assert found.dtype == expected.dtype
            close(found, expected, layers)
    for curve in ("loss_curve_", "validation_scores_"):
        found, expected = getattr(one, curve), getattr(other, curve)
        assert (found is None) == (expected is None)
        if found is not None:
            close(found, expected, curve)
    assert one.loss_curves_.keys() == other.loss_curves_.keys()
    for stage in one.loss_curves_:
        close(one.loss_curves_[stage], other.loss_curves_[stage], stage)
    for kind in ("squares", "absolute"):
        close(one.penalties_[kind], other.penalties_[kind], kind)
    assert one.sparsity_of_weights_ == other.sparsity_of_weights_
    assert one.n_iter_ == other.n_iter_


def close(found, expected, what, tol=1e-8):
    np.testing.assert_allclose(found, expected, rtol=tol, atol=tol, err_msg=what)


def closely(estimator):
    """``close``, less so after machines.

    They have learnt so little that each iteration of what follows makes a thousandfold
    of what rounding made different.
    """
    machines = isinstance(getattr(estimator, "autoencoder", None), list)
    return partial(close, tol=1e-2 if machines else 1e-8)


def assert_same_use(one, other, y, weights=None, rows=SPARSE):
    """Of every method: ``one`` is given sparse rows, ``other`` dense ones."""
    close = closely(one)
    for method in (
        "transform",
        "predict",
        "predict_proba",
        "predict_log_proba",
        "score_samples",
    ):
        if not hasattr(one, method):
            continue
        found, expected = getattr(one, method)(rows), getattr(other, method)(X)
        assert type(found) is np.ndarray
        if expected.dtype.kind in "iU":
            np.testing.assert_array_equal(found, expected)
        else:
            close(found, expected, method)
    score = one.score(rows, y, sample_weight=weights)
    close(score, other.score(X, y, sample_weight=weights), "score")
    if hasattr(one, "inverse_transform"):
        codes = other.transform(X)
        close(one.inverse_transform(codes), other.inverse_transform(codes), "inverse")


@each
def test_fit_and_every_method_are_those_of_dense_rows(estimator, y):
    """With weights; warm starts, below, have none."""
    dense = clone(estimator).fit(X, y, sample_weight=WEIGHTS)
    sparse = clone(estimator).fit(SPARSE, y, sample_weight=WEIGHTS)
    assert_same_fit(sparse, dense)
    assert_same_use(sparse, dense, y, WEIGHTS)


@each_supervised
def test_rows_without_a_target(estimator, y):
    dense = clone(estimator).fit(X, y, MORE, sample_weight=WEIGHTS)
    sparse = clone(estimator).fit(SPARSE, y, SPARSE_MORE, sample_weight=WEIGHTS)
    assert_same_fit(sparse, dense)


@pytest.mark.parametrize(("rows", "more"), [(X, SPARSE_MORE), (SPARSE, MORE)])
def test_either_may_be_sparse(rows, more):
    estimator = Classifier(**SHORT)
    fitted = clone(estimator).fit(rows, CLASSES, more)
    assert_same_fit(fitted, clone(estimator).fit(X, CLASSES, MORE))


@pytest.mark.parametrize(
    ("estimator", "y"),
    [pair for pair in SUPERVISED + DEEP if pair[0].fine_tune],
    ids=name,
)
def test_warm_start_goes_on_from_either(estimator, y):
    begun = clone(estimator).set_params(warm_start=True).fit(X, y)
    expected = copy.deepcopy(begun).fit(X, y)
    assert_same_fit(begun.fit(SPARSE, y), expected)
    assert_same_fit(clone(begun).fit(SPARSE, y).fit(X, y), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [SHORT, ADAM | DROPOUT], ids=["lbfgs", "adam"])
@each_kind
def test_dtype_is_kept(estimator, y, options, dtype):
    rows = SPARSE.astype(dtype)
    model = clone(estimator).set_params(**options).fit(rows, y)
    for array in (*model.coefs_, *model.intercepts_, model.transform(rows)):
        assert array.dtype == dtype
    single = clone(model).fit(X.astype(dtype), y)
    np.testing.assert_allclose(
        model.transform(rows), single.transform(X.astype(dtype)), atol=2e-3
    )


# -- what a matrix may look like -----------------------------------------------------


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "bsr", "dok", "dia"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_any_format(form, kind):
    estimator = Regressor(**SHORT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.sparse.SparseEfficiencyWarning)
        rows, more = (getattr(scipy.sparse, f"{form}_{kind}")(a) for a in (X, MORE))
    fitted, expected = estimator.fit(rows, NUMBERS, more), fit_of_dense_rows()
    assert_same_fit(fitted, expected)
    assert_same_use(fitted, expected, NUMBERS, rows=rows)


@cache
def fit_of_dense_rows():
    return Regressor(**SHORT).fit(X, NUMBERS, MORE)


@each_kind
def test_long_indices(estimator, y):
    rows = SPARSE.copy()
    rows.indices, rows.indptr = (
        a.astype(np.int64) for a in (rows.indices, rows.indptr)
    )
    fitted, expected = clone(estimator).fit(rows, y), clone(estimator).fit(X, y)
    assert_same_fit(fitted, expected)
    assert_same_use(fitted, expected, y, rows=rows)


@each_kind
def test_entries_to_be_added_up_explicit_zeros_and_unsorted_indices(estimator, y):
    """Each entry as two halves and a zero, from the last column to the first."""
    coo = SPARSE.tocoo()
    order = np.lexsort((-coo.col, coo.row))
    parts = np.stack([coo.data / 2, coo.data / 2, np.zeros(coo.nnz)], axis=1)
    rows = scipy.sparse.csr_array(
        (parts[order].ravel(), np.repeat(coo.col[order], 3), 3 * SPARSE.indptr),
        shape=X.shape,
    )
    before = rows.data.copy(), rows.indices.copy(), rows.indptr.copy()
    assert not rows.has_canonical_format
    expected = clone(estimator).fit(X, y)
    fitted = clone(estimator).fit(rows, y)
    assert_same_fit(fitted, expected)
    assert_same_use(fitted, expected, y, rows=rows)
    if y is not None:
        fitted = clone(estimator).fit(MORE, y[:60], rows)
        assert_same_fit(fitted, clone(estimator).fit(MORE, y[:60], X))
    for array, kept in zip((rows.data, rows.indices, rows.indptr), before, strict=True):
        np.testing.assert_array_equal(array, kept)


@pytest.mark.parametrize("options", [SHORT, ADAM | DROPOUT], ids=["lbfgs", "adam"])
@each_kind
def test_rows_are_only_read(estimator, y, options):
    rows = SPARSE.copy()
    for array in (rows.data, rows.indices, rows.indptr):
        array.flags.writeable = False
    clone(estimator).set_params(**options).fit(rows, y).score(rows, y)


@pytest.mark.parametrize(
    "rows",
    [np.zeros((6, 3)), np.full((6, 3), 7.3), np.eye(6), 1e8 * X[:6]],
    ids=["zeros", "constant", "ones", "large"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [SHORT, ADAM], ids=["lbfgs", "adam"])
@each_kind
def test_edges_fit(estimator, y, options, rows, dtype):
    rows = scipy.sparse.csr_array(rows.astype(dtype))
    y = None if y is None else y[:6]
    model = clone(estimator).set_params(**options).fit(rows, y)
    for array in (*model.coefs_, *model.intercepts_, model.loss_curve_):
        assert np.isfinite(array).all()
    assert np.isfinite(model.score(rows, y))


# -- refused -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fit", "transform", "predict", "score"])
@each_kind
def test_infinity(estimator, y, method):
    rows, model = SPARSE.copy(), clone(estimator)
    rows.data[3] = np.inf
    if method != "fit":
        model.fit(SPARSE, y)
    targets = (y,) if method in ("fit", "score") else ()
    with pytest.raises(ValueError, match="Input X contains infinity"):
        getattr(model, method)(rows, *targets)
    if y is not None:
        with pytest.raises(ValueError, match=r"Input X_unlabeled contains"):
            model.fit(SPARSE, y, X_unlabeled=rows)


@each_kind
def test_other_number_of_features_or_rows(estimator, y):
    with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 20"):
        clone(estimator).fit(SPARSE, y).transform(SPARSE[:, :3])
    if y is not None:
        with pytest.raises(ValueError, match=r"X_unlabeled has 3 features"):
            clone(estimator).fit(SPARSE, y, X_unlabeled=SPARSE[:, :3])
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples"):
            clone(estimator).fit(SPARSE, y[:-1])


@each_kind
def test_too_large(estimator, y):
    with pytest.raises(ValueError, match=r"X is too large.*StandardScaler"):
        clone(estimator).fit(1e150 * SPARSE, y)


@pytest.mark.parametrize("factor", [-1, 1.5])
def test_logistic_output_needs_rows_in_0_1(factor):
    with pytest.raises(ValueError, match=r"X in \[0, 1\]"):
        StackedAutoencoder(**SHORT, **BINARY).fit(factor * SPARSE)


def test_a_machine_needs_rows_in_0_1():
    with pytest.raises(ValueError, match=r"needs rows in \[0, 1\], .* from 0 to 4\."):
        Classifier(**SHORT, autoencoder="rbm").fit(5 * SPARSE, CLASSES)


class Dense(SparseAutoencoder):
    """One of the user's own, that takes no sparse rows."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags


def test_an_autoencoder_that_takes_no_sparse_rows_says_so():
    with pytest.raises(TypeError, match="Sparse data was passed"):
        Classifier(**SHORT, autoencoder=Dense()).fit(SPARSE, CLASSES)
    # Above it, codes are dense.
    layers = [DenoisingAutoencoder(max_iter=5), Dense(max_iter=5)]
    Classifier(**SHORT, autoencoder=layers).fit(SPARSE, CLASSES)


def test_sparse_chunks_of_dask_stay_refused():
    da = pytest.importorskip("dask.array")
    chunks = da.from_array(X, chunks=(50, 20)).map_blocks(
        scipy.sparse.csr_array, meta=scipy.sparse.csr_array((0, 0))
    )
    for estimator, y in (SUPERVISED[0], DEEP[0]):
        with pytest.raises(ValueError, match="chunks of sparse rows"):
            clone(estimator).fit(chunks, y)
        with pytest.raises(ValueError, match="chunks of sparse rows"):
            clone(estimator).fit(X, y).transform(chunks)


# -- what is done with the rows ----------------------------------------------------


def refuse(array, *args, **kwargs):
    raise AssertionError("a dense array of all features")


def refuse_rows(array, *args, **kwargs):
    d = X.shape[1]
    assert array.shape == (d, d), "a dense array of rows, not of a covariance"
    return np.asarray(array @ np.eye(d))


@pytest.mark.parametrize("options", [SHORT, ADAM | DROPOUT], ids=["lbfgs", "adam"])
@each_kind
def test_no_rows_are_written_out(estimator, y, options, monkeypatch):
    for kind in (scipy.sparse.csr_array, scipy.sparse.csc_array):
        monkeypatch.setattr(kind, "toarray", refuse_rows)
        monkeypatch.setattr(kind, "todense", refuse)
    monkeypatch.setattr(SparseRows, "toarray", refuse)
    model = clone(estimator).set_params(**options, **EARLY).fit(SPARSE, y)
    model.score(SPARSE, y)
    model.transform(SPARSE)


@pytest.mark.filterwarnings("ignore:.*has learnt nothing")  # there is nothing to learn
@pytest.mark.parametrize("options", [SHORT, ADAM], ids=["lbfgs", "adam"])
@each_kind
def test_memory_is_not_that_of_dense_rows(estimator, y, options):
    n, d = 12_000, 5_000
    columns = np.random.default_rng(0).integers(0, d, (n, 5)).ravel()
    rows = scipy.sparse.csr_array(
        (np.ones(5 * n), columns, np.arange(0, 5 * n + 1, 5)), shape=(n, d)
    )
    targets = None if y is None else np.resize(y, (n, *y.shape[1:]))
    few = {"max_iter": 2, "hidden_layer_sizes": (4, 3), "batch_size": 1000}
    model = clone(estimator).set_params(**options | few)
    tracemalloc.start()
    try:
        model.fit(rows, targets).score(rows, targets)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.05 * n * d * 8


@each_kind
def test_pipeline_and_grid_search(estimator, y):
    pipeline = make_pipeline(MaxAbsScaler(), clone(estimator))
    grid = {f"{pipeline.steps[-1][0]}__hidden_layer_sizes": [(3,), (6,)]}
    search = GridSearchCV(pipeline, grid, cv=2)
    one, other = clone(search).fit(SPARSE, y), clone(search).fit(X, y)
    for attribute in ("mean_test_score", "std_test_score"):
        close(one.cv_results_[attribute], other.cv_results_[attribute], attribute)
