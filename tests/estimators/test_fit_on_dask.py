"""Estimators on dask's collections do what they do on NumPy's arrays."""

import numpy as np
import pytest
from dask_data import KillOnce, chunked, cluster
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)

pytest.importorskip("dask.distributed")

import dask.array as da

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS, LABELS = load_digits(return_X_y=True)
X = DIGITS[:300] / 16
Y = LABELS[:300]
WORDS = np.array([f"digit {label}" for label in range(10)])[Y]
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2, len(X))
WEIGHTS[::7] = 0
UNEVEN = (1, 0, 209, 70, 20)
SHORT = {"max_iter": 3, "random_state": 0}
# Also of the output layer, whose iterations have no limit of their own.
SHORTEST = {"max_iter": 1, "tol": 0.05, "random_state": 0}

AUTOENCODERS = [
    SparseAutoencoder(6, **SHORT),
    SparseAutoencoder(6, output_activation="logistic", loss="log_loss", **SHORT),
    DenoisingAutoencoder(6, corruption="salt_and_pepper", redraw_every=2, **SHORT),
    ContractiveAutoencoder(6, n_init=2, n_jobs=2, max_iter=1, random_state=0),
    StackedAutoencoder((8, 4), **SHORT),
]
SUPERVISED = [
    (StackedAutoencoderRegressor(8, **SHORTEST), np.stack([Y, Y**2], axis=1)),
    (StackedAutoencoderClassifier((8, 4), autoencoder="sparse", **SHORTEST), WORDS),
    (StackedAutoencoderClassifier(8, **SHORTEST), np.eye(10, dtype=int)[Y]),
]


@pytest.fixture(autouse=True)
def client(threads):
    with threads.as_current():
        yield threads


def name(value):
    return type(value).__name__


def on_chunks(array, rows=120):
    """In chunks that are none of those of X."""
    return chunked(array, rows)


DASK_X = chunked(X, UNEVEN, (40, 24))


def in_csr(array, meta=None):
    """The same in sparse chunks; ``meta`` may say something else."""
    meta = csr_array((0, 0)) if meta is None else meta
    return array.rechunk({1: -1}).map_blocks(csr_array, meta=meta)


def assert_same_fit(one, other):
    """Loss by loss: the few iterations amplify rounding little."""
    assert one.loss_ == pytest.approx(other.loss_, rel=1e-10)
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-10)
    assert one.n_iter_ == other.n_iter_


@pytest.mark.parametrize("estimator", AUTOENCODERS, ids=name)
def test_autoencoders(estimator):
    local = clone(estimator)
    if hasattr(local, "n_jobs"):
        local.set_params(n_jobs=None)  # processes take seconds to start
    local.fit(X, sample_weight=WEIGHTS)
    remote = clone(estimator).fit(DASK_X, sample_weight=on_chunks(WEIGHTS))
    assert_same_fit(remote, local)
    expected = local.score(X, sample_weight=WEIGHTS)
    score = remote.score(DASK_X, sample_weight=on_chunks(WEIGHTS))
    assert score == pytest.approx(expected, rel=1e-8)
    if hasattr(local, "mean_activation_"):
        np.testing.assert_allclose(
            remote.mean_activation_, local.mean_activation_, rtol=1e-8
        )
    np.testing.assert_allclose(remote.code_scale_, local.code_scale_, rtol=1e-8)
    if hasattr(local, "feature_range_"):
        np.testing.assert_array_equal(remote.feature_range_, local.feature_range_)


@pytest.mark.parametrize(("estimator", "y"), SUPERVISED, ids=name)
def test_stacks_with_targets(estimator, y):
    more = X[:50][::-1]
    local = clone(estimator).fit(X, y, more, sample_weight=WEIGHTS)
    remote = clone(estimator).fit(
        DASK_X, on_chunks(y), on_chunks(more, 30), sample_weight=WEIGHTS
    )
    assert_same_fit(remote, local)
    np.testing.assert_allclose(remote.code_scale_, local.code_scale_, rtol=1e-6)
    if hasattr(local, "classes_"):
        np.testing.assert_array_equal(remote.classes_, local.classes_)
    predicted = remote.predict(DASK_X)
    assert predicted.dtype == remote.predict(X).dtype
    expected = remote.predict(X)
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(predicted.compute(), expected, rtol=1e-10)
    else:
        np.testing.assert_array_equal(predicted.compute(), expected)
    assert remote.score(DASK_X, on_chunks(y)) == pytest.approx(remote.score(X, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_methods_are_lazy_arrays_with_known_meta(dtype):
    given = DIGITS[:300].astype(dtype)
    estimator = SparseAutoencoder(6, **SHORT).fit(chunked(given, UNEVEN))
    expected = np.float32 if dtype == np.float32 else np.float64
    assert estimator.components_.dtype == expected
    lazy = chunked(given, UNEVEN)
    codes = estimator.transform(lazy)
    for method, argument, concrete in (
        ("transform", lazy, given),
        ("predict", lazy, given),
        ("score_samples", lazy, given),
        ("inverse_transform", codes, estimator.transform(given)),
    ):
        result = getattr(estimator, method)(argument)
        expected = getattr(estimator, method)(concrete)
        assert isinstance(result, da.Array)
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
        assert isinstance(result._meta, np.ndarray)
        np.testing.assert_allclose(result.compute(), expected, 1e-5, 1e-4)


def test_a_later_fit_does_not_change_what_is_yet_to_be_computed():
    estimator = SparseAutoencoder(6, **SHORT).fit(X)
    expected, lazy = estimator.transform(X), estimator.transform(DASK_X)
    estimator.set_params(random_state=1).fit(X)
    np.testing.assert_allclose(lazy.compute(), expected)


@pytest.mark.parametrize("rows", [300, (299, 1), 37], ids=str)
def test_chunks_do_not_matter(rows):
    estimator = DenoisingAutoencoder(6, **SHORT)
    fitted = clone(estimator).fit(chunked(X, rows))
    assert_same_fit(fitted, clone(estimator).fit(X))


def test_chunks_of_unknown_size():
    unknown = DASK_X[da.from_array(WEIGHTS > 0, chunks=(UNEVEN,))]
    assert np.isnan(unknown.shape[0])
    estimator = SparseAutoencoder(6, **SHORT)
    weights = WEIGHTS[WEIGHTS > 0]
    local = clone(estimator).fit(X[WEIGHTS > 0], sample_weight=weights)
    remote = clone(estimator).fit(unknown, sample_weight=on_chunks(weights))
    assert_same_fit(remote, local)
    assert remote.transform(unknown).compute().shape == (len(weights), 6)


def test_data_frames():
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    lazy = dd.from_pandas(frame.assign(y=Y), npartitions=3)
    rows, y = lazy[list(frame.columns)], lazy["y"]
    estimator = StackedAutoencoderClassifier(8, autoencoder=None, **SHORT)
    local = clone(estimator).fit(frame, Y, sample_weight=WEIGHTS)
    weights = dd.from_pandas(pd.Series(WEIGHTS), npartitions=2)
    remote = clone(estimator).fit(rows, y, sample_weight=weights)
    assert_same_fit(remote, local)
    assert list(remote.feature_names_in_) == list(frame.columns)
    expected = local.score(frame, Y, WEIGHTS)
    for targets, of_rows in ((y, weights), (Y, WEIGHTS)):
        assert remote.score(rows, targets, of_rows) == pytest.approx(expected)
    proba = remote.predict_proba(rows)
    assert proba.dtype == np.float64 and proba.shape[1] == 10
    np.testing.assert_allclose(proba.compute(), remote.predict_proba(frame))
    with pytest.raises(ValueError, match="feature names"):
        remote.predict(rows.rename(columns={"pixel 0": "other"}))


@pytest.mark.parametrize("model", [SparseAutoencoder(6), StackedAutoencoder(6)])
def test_frames_of_codes_stay_lazy_and_keep_the_index(model):
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(X, index=np.arange(1000, 1300)).add_prefix("pixel ")
    met = []

    def meet(part):
        met.append(len(part))
        return part

    model = clone(model).set_params(**SHORT).set_output(transform="pandas").fit(frame)
    rows = dd.from_pandas(frame, npartitions=3).map_partitions(
        meet, meta=frame.iloc[:0]
    )
    codes = model.transform(rows)
    assert isinstance(codes, dd.DataFrame) and met == []
    pd.testing.assert_frame_equal(
        codes.compute(scheduler="synchronous"), model.transform(frame)
    )
    assert isinstance(model.fit_transform(rows), dd.DataFrame)
    numbered = model.transform(DASK_X)
    assert list(numbered.compute().index) == list(range(300))
    with pytest.raises(ValueError, match="set_output requests polars"):
        model.set_output(transform="polars").transform(rows)


def test_warm_start_goes_on_from_numpy_to_dask():
    estimator = SparseAutoencoder(6, warm_start=True, **SHORT).fit(X)
    before = estimator.loss_
    assert estimator.fit(DASK_X).loss_ < before


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"solver": "adam"}, r"solver='lbfgs', or partial_fit"),
        ({"early_stopping": True}, "early_stopping=False"),
    ],
    ids=str,
)
def test_what_dask_does_not_allow_names_the_remedy(parameters, match):
    for estimator in (SparseAutoencoder(6), StackedAutoencoder(6)):
        with pytest.raises(ValueError, match=match):
            estimator.set_params(**parameters).fit(DASK_X)


@pytest.mark.parametrize(
    ("fit", "match"),
    [
        (
            lambda: SparseAutoencoder(6).fit(da.where(DASK_X == 1, np.nan, DASK_X)),
            "NaN",
        ),
        (lambda: SparseAutoencoder(6).fit(DASK_X[:, 0]), "Expected 2D array"),
        (lambda: SparseAutoencoder(6).fit(DASK_X[:0]), r"0 sample\(s\)"),
        (
            lambda: SparseAutoencoder(6, output_activation="logistic").fit(9 * DASK_X),
            r"X in \[0, 1\], got X from 0 to 9",
        ),
        (
            lambda: SparseAutoencoder(6).fit(DASK_X, sample_weight=WEIGHTS[:-1]),
            r"inconsistent numbers of samples: \[300, 299\]",
        ),
        (
            lambda: SparseAutoencoder(6).fit(DASK_X, sample_weight=0 * WEIGHTS),
            "at least one non-zero number",
        ),
        (
            lambda: SparseAutoencoder(6).fit(DASK_X, sample_weight=-WEIGHTS),
            "Negative values",
        ),
        (lambda: StackedAutoencoderClassifier(6).fit(DASK_X, None), "requires y"),
        (
            lambda: StackedAutoencoderClassifier(6, class_weight="balanced").fit(
                DASK_X, on_chunks(Y)
            ),
            "class_weight=None, and sample_weight",
        ),
        (
            lambda: StackedAutoencoderClassifier(6).fit(DASK_X, 0 * on_chunks(Y)),
            "at least two classes",
        ),
        (
            lambda: StackedAutoencoderRegressor(6, autoencoder="rbm").fit(
                DASK_X, on_chunks(Y)
            ),
            "cannot learn from dask collections",
        ),
        (lambda: SparseCoding(6).fit(DASK_X), "SparseCoding .* dask"),
        (lambda: SparseAutoencoder(6).fit(in_csr(DASK_X)), "chunks of sparse rows"),
        (
            lambda: SparseAutoencoder(6).fit(in_csr(DASK_X, meta=np.empty((0, 0)))),
            "chunks of sparse rows",
        ),
        (
            lambda: SparseAutoencoder(6, **SHORT).fit(X).transform(in_csr(DASK_X)),
            "chunks of sparse rows",
        ),
        (
            lambda: SparseAutoencoder(6, **SHORT).fit(X).transform(DASK_X[:, :5]),
            "5 features",
        ),
        (lambda: SparseAutoencoder(6).transform(DASK_X), "not fitted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_a_clear_error(fit, match):
    with pytest.raises((ValueError, NotFittedError), match=match):
        fit()


def test_a_fitted_estimator_keeps_nothing_of_the_cluster(client):
    import pickle

    estimator = SparseAutoencoder(6, **SHORT).fit(DASK_X)
    assert b"distributed" not in pickle.dumps(estimator)


@pytest.mark.parametrize("restart", [False, True], ids=["plain loss", "nanny restart"])
def test_a_worker_lost_during_a_fit_changes_no_bit(monkeypatch, tmp_path, restart):
    estimator = SparseAutoencoder(6, **SHORT)
    rows, weights = chunked(X, 75), chunked(WEIGHTS, 75)
    with cluster(processes=True) as client, client.as_current():
        expected = clone(estimator).fit(rows, sample_weight=weights)
        options = {"at": 3, "during": "_block_sums", "restart": restart}
        kill = KillOnce(monkeypatch, tmp_path, client, **options)
        fitted = clone(estimator).fit(rows, sample_weight=weights)
        client.wait_for_workers(2 if restart else 1, timeout=30)
        assert len(client.nthreads()) == (2 if restart else 1)
    assert kill.killed and kill.evaluations > 3  # it went on
    for attribute in ("components_", "intercept_visible_", "loss_curve_"):
        one, other = (np.asarray(getattr(fit, attribute)) for fit in (fitted, expected))
        np.testing.assert_array_equal(one, other, strict=True)


def test_unlabeled_rows_are_in_the_dtype_of_the_others():
    stack = StackedAutoencoderClassifier(6, **SHORTEST)
    rows, classes = on_chunks(X.astype(np.float32)), on_chunks(Y)
    unlabeled = DIGITS[300:500] / 16.1  # none of which float32 holds
    fitted, other = (
        clone(stack).fit(rows, classes, X_unlabeled=on_chunks(more))
        for more in (unlabeled, unlabeled.astype(np.float32))
    )
    for W, same in zip(fitted.coefs_, other.coefs_, strict=True):
        assert W.dtype == np.float32
        np.testing.assert_array_equal(W, same)


def test_targets_that_are_objects_are_numbers_if_they_can_be():
    stack = StackedAutoencoderRegressor(4, **SHORTEST)
    fitted, other = (
        clone(stack).fit(on_chunks(X), on_chunks(y))
        for y in (Y.astype(float), Y.astype(float).astype(object))
    )
    np.testing.assert_array_equal(fitted.coefs_[0], other.coefs_[0])
    with pytest.raises(ValueError, match="could not convert"):
        clone(stack).fit(on_chunks(X), on_chunks(WORDS.astype(object)))


def test_no_unlabeled_rows_are_as_none():
    stack = StackedAutoencoderClassifier(4, **SHORTEST)
    without = clone(stack).fit(DASK_X, on_chunks(Y)).coefs_[0]
    empty = clone(stack).fit(DASK_X, on_chunks(Y), X_unlabeled=on_chunks(X[:0]))
    np.testing.assert_array_equal(empty.coefs_[0], without)


def test_unlabeled_rows_are_named():
    more = X[:10].copy()
    more[3, 2] = np.nan
    with pytest.raises(ValueError, match="X_unlabeled contains NaN"):
        StackedAutoencoderClassifier(4, **SHORT).fit(
            DASK_X, on_chunks(Y), X_unlabeled=on_chunks(more)
        )


def test_masked_entries_are_missing_values():
    hidden = np.zeros(X.shape, bool)
    hidden[150, 3] = True
    with pytest.raises(ValueError, match="X is a masked array with 1 masked"):
        SparseAutoencoder(6, **SHORT).fit(da.ma.masked_where(hidden, DASK_X))
    weights = np.ma.masked_array(WEIGHTS, hidden[:, 3])
    with pytest.raises(ValueError, match="sample_weight is a masked array"):
        SparseAutoencoder(6, **SHORT).fit(DASK_X, sample_weight=weights)
