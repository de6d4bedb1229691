"""Scores of the detector against a transcription, and any estimator inside it."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA, FastICA, IncrementalPCA, KernelPCA
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import ReconstructionOutlierDetector, SparseAutoencoder, StackedAutoencoder

RNG = np.random.RandomState(0)
X = RNG.standard_normal((120, 2)) @ RNG.standard_normal((2, 5))
X += 0.1 * RNG.standard_normal(X.shape) + 3
LINE = PCA(2)
QUICK = {"tol": 0.1, "random_state": 0}


@pytest.fixture(autouse=True)
def same_numbers():
    """Whatever the order of the tests, and alone."""
    RNG.seed(1)


def detector(estimator=LINE, **parameters):
    return ReconstructionOutlierDetector(estimator, **parameters)


@pytest.mark.parametrize(
    ("error", "rho"),
    [
        ("squared", np.square),
        ("absolute", np.abs),
        ("huber", lambda z: np.where(abs(z) < 1.5, z**2, 3 * abs(z) - 2.25)),
    ],
)
@pytest.mark.parametrize("weight", [0, 1.0, 2.5])
def test_scores_are_the_formula(error, rho, weight):
    """By an SVD, and the attributes that the documentation names."""
    found = detector(error=error, distance_weight=weight).fit(X)
    mean = X.mean(axis=0)
    _, _, V = np.linalg.svd(X - mean, full_matrices=False)
    errors = X - mean - (X - mean) @ V[:2].T @ V[:2]
    middle = np.quantile(X, 0.5, axis=0, method="averaged_inverted_cdf")
    np.testing.assert_allclose(found.center_, middle)
    for scale, values in [(found.scale_, X - middle), (found.error_scale_, errors)]:
        nine = np.quantile(abs(values), 0.9, axis=0, method="averaged_inverted_cdf")
        np.testing.assert_allclose(scale, nine / 1.6448536, rtol=1e-6)
    expected = rho(errors / found.error_scale_)
    expected += weight * rho((X - middle) / found.scale_)
    parts = found.feature_scores(X)
    np.testing.assert_allclose(parts, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(-found.score_samples(X), parts.sum(axis=1), rtol=1e-12)


def test_the_feature_that_is_wrong_is_blamed():
    found = detector().fit(X)
    wrong = X[:5] + 4 * np.eye(5)
    np.testing.assert_array_equal(found.feature_scores(wrong).argmax(axis=1), range(5))
    np.testing.assert_array_equal(found.predict(wrong), -1)


@pytest.mark.parametrize(
    "estimator",
    [
        None,
        make_pipeline(StandardScaler(), PCA(2)),
        make_pipeline(StandardScaler(), SparseAutoencoder(2, **QUICK)),
    ],
    ids=["default", "PCA", "autoencoder"],
)
def test_units_do_not_matter(estimator):
    units = np.array([1e-3, 1, 40, 1e4, 7])
    one = detector(estimator, random_state=0).fit(X)
    other = detector(estimator, random_state=0).fit(X * units - 5)
    expected = one.score_samples(X)
    np.testing.assert_allclose(other.score_samples(X * units - 5), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "estimator",
    [
        SparseAutoencoder(2, **QUICK),
        StackedAutoencoder((4, 2), max_iter=20, random_state=0),
        NMF(2, max_iter=500),
        make_pipeline(
            StandardScaler(), KernelPCA(2, fit_inverse_transform=True, alpha=1e-3)
        ),
        make_pipeline(StandardScaler(), PCA(2)),
        make_pipeline(StandardScaler(), SparseAutoencoder(2, **QUICK)),
        MLPRegressor(
            hidden_layer_sizes=4, solver="lbfgs", max_iter=2000, random_state=0
        ),
        GridSearchCV(SparseAutoencoder(2, **QUICK), {"n_components": [2]}, cv=2),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) stopped")
def test_any_estimator_that_reconstructs(estimator):
    """Rows off the plane are stranger than those in it, and in X's own units."""
    rows = abs(X)
    found = detector(estimator, distance_weight=0).fit(rows)
    off = rows + 1.5 * RNG.choice([-1, 1], rows.shape)
    scores = -found.score_samples(np.vstack([rows, abs(off)]))
    assert roc_auc_score(np.arange(len(scores)) >= len(rows), scores) > 0.95
    assert not hasattr(estimator, "n_features_in_")  # a clone was fitted


class Doubling(TransformerMixin, BaseEstimator):
    """Reconstructs rows of another shape."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X

    def inverse_transform(self, X):
        return np.hstack([X, X])


@pytest.mark.parametrize(
    "estimator", [Doubling(), KMeans(2), StandardScaler, LogisticRegression()]
)
def test_what_does_not_reconstruct_is_refused(estimator):
    with pytest.raises(ValueError, match="estimator must reconstruct rows"):
        detector(estimator).fit(X)


def test_contamination_is_the_share_of_outliers():
    for share in (0.05, 0.25, 0.5):
        assert (detector(contamination=share).fit_predict(X) < 0).mean() == share


def test_auto_calls_what_stands_out():
    rows = np.vstack([X, X[:5] + 6 * np.eye(5)])
    (outliers,) = np.nonzero(detector().fit_predict(rows) < 0)
    assert {*range(120, 125)} <= {*outliers} and len(outliers) < 10


def test_trim_leaves_the_farthest_out():
    """The plane is that of the rows without those that lie far from it."""
    far = np.vstack([X, 50 + 10 * RNG.standard_normal((10, 5))])
    near = detector(trim=11 / 130).fit(far)
    mean = X.mean(axis=0)
    assert near.estimator_.n_samples_ < 121
    np.testing.assert_allclose(near.estimator_.mean_, mean, atol=0.2)
    assert abs(detector().fit(far).estimator_.mean_ - mean).max() > 1


def test_distance_sees_outliers_that_were_learnt():
    """Components for every feature reconstruct everything."""
    rows = np.vstack([X, X.mean(axis=0) + 8 * RNG.standard_normal((6, 5))])
    is_out = np.arange(126) >= 120
    learnt = detector(PCA(5)).fit(rows).score_samples(rows)
    assert roc_auc_score(is_out, -learnt) > 0.95


def test_frames(request):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde"), index=range(10, 130))
    found = detector(make_pipeline(StandardScaler(), PCA(2))).fit(frame)
    expected = found.feature_scores(frame)
    assert isinstance(expected, np.ndarray)
    with config_context(transform_output="pandas"):
        by_config = found.feature_scores(frame)
    by_call = clone(found.set_output(transform="pandas")).fit(frame)
    for parts in (by_config, by_call.feature_scores(frame)):
        assert parts.columns.tolist() == list("abcde")
        np.testing.assert_array_equal(parts.index, frame.index)
        np.testing.assert_allclose(parts, expected)
    nameless = found.set_output(transform="pandas").fit(X).feature_scores(X)
    assert nameless.columns.tolist() == ["x0", "x1", "x2", "x3", "x4"]


def test_sparse_rows():
    rows = np.where(RNG.rand(*X.shape) < 0.5, 0, X)
    dense = detector(SparseAutoencoder(2, **QUICK)).fit(rows)
    sparse = detector(SparseAutoencoder(2, **QUICK)).fit(csr_array(rows))
    expected = dense.score_samples(rows)
    np.testing.assert_allclose(sparse.score_samples(csr_array(rows)), expected, 1e-4)
    assert detector(None, random_state=0).fit(csr_array(rows)).offset_ < 0
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        detector(FastICA(2)).fit(csr_array(rows))


def test_missing_entries():
    """What is there stands for what is not, where the estimator takes NaN."""

    class Imputer(SimpleImputer):
        def inverse_transform(self, X):
            return np.broadcast_to(self.statistics_, X.shape)

    gaps = np.where(RNG.rand(*X.shape) < 0.2, np.nan, X)
    found = detector(Imputer()).fit(gaps)
    parts = found.feature_scores(gaps)
    assert np.isfinite(parts).all() and (parts[np.isnan(gaps)] == 0).all()
    whole = found.feature_scores(X[:1])[0]
    row = X[:1].copy()
    row[0, [1, 3]] = np.nan
    expected = whole[[0, 2, 4]] * 5 / 3
    np.testing.assert_allclose(found.feature_scores(row)[0, [0, 2, 4]], expected)


@pytest.mark.parametrize("wrapped", [LINE, make_pipeline("passthrough", LINE)])
def test_what_takes_no_missing_entries_is_named(wrapped):
    row = X[:1].copy()
    row[0, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN, .* PCA, .*AutoencoderImputer"):
        detector(wrapped).fit(np.vstack([X, row]))
    with pytest.raises(ValueError, match=r"NaN, .* PCA, .*AutoencoderImputer"):
        detector(wrapped).fit(X).score_samples(row)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("dtype", "value"), [(np.float64, 1e200), (np.float32, 1e30)])
def test_numbers_without_a_square_are_refused_without_a_warning(dtype, value):
    rows = X.astype(dtype)
    rows[3, 2] = value
    with pytest.raises(ValueError, match=r"overflow float.*Divide X by a constant"):
        detector().fit(rows)


@pytest.mark.parametrize(
    "estimator",
    [
        IncrementalPCA(2),
        SparseAutoencoder(2, solver="adam", random_state=0),
        MLPRegressor(hidden_layer_sizes=3, random_state=0),
    ],
    ids=lambda e: type(e).__name__,
)
def test_pieces(estimator):
    found = detector(estimator)
    for start in range(0, 120, 40):
        found.partial_fit(X[start : start + 40])
    assert found.n_features_in_ == 5
    assert (found.predict(X) > 0).mean() > 0.7
    assert (found.predict(X + 30 * np.eye(120, 5)) < 0)[:5].all()
    assert found.center_[0] == pytest.approx(
        np.mean([np.median(X[i : i + 40, 0]) for i in (0, 40, 80)])
    )


def test_no_pieces_of_others():
    with pytest.raises(AttributeError) as raised:
        detector(PCA(2)).partial_fit  # noqa: B018
    assert "SparseAutoencoder(solver='adam')" in str(raised.value)
    assert not hasattr(detector(None), "partial_fit")


class TestWeights:
    """A weight reaches each step that takes it, and the scales and threshold."""

    weights = RNG.randint(0, 3, len(X)).astype(float)

    @pytest.mark.parametrize("trim", [0, 0.2])
    def test_repeats_rows(self, trim):
        estimator = make_pipeline(StandardScaler(), SparseAutoencoder(2, **QUICK))
        estimator.set_params(sparseautoencoder__max_iter=20)
        repeated = np.repeat(X, self.weights.astype(int), axis=0)
        with pytest.warns(match="Training stopped"):
            one = detector(estimator, trim=trim).fit(X, sample_weight=self.weights)
            two = detector(estimator, trim=trim).fit(repeated)
        expected = two.decision_function(X)
        np.testing.assert_allclose(one.decision_function(X), expected, rtol=1e-5)

    def test_default(self):
        one = detector(None, random_state=0).fit(X, sample_weight=self.weights)
        scaler = one.estimator_[0]
        np.testing.assert_allclose(
            scaler.mean_, np.average(X, axis=0, weights=self.weights)
        )
        with config_context(enable_metadata_routing=True):
            two = detector(None, random_state=0).fit(X, sample_weight=self.weights)
        np.testing.assert_allclose(two.score_samples(X), one.score_samples(X))

    def test_routed(self):
        plain = detector(SparseAutoencoder(2, **QUICK))
        expected = plain.fit(X, sample_weight=self.weights).score_samples(X)
        with config_context(enable_metadata_routing=True):
            inner = SparseAutoencoder(2, **QUICK).set_fit_request(sample_weight=True)
            found = detector(inner).fit(X, sample_weight=self.weights)
        np.testing.assert_allclose(found.score_samples(X), expected)

    def test_unknown_to_the_estimator(self):
        with pytest.raises(ValueError, match="PCA takes no sample_weight"):
            detector().fit(X, sample_weight=self.weights)
        with pytest.raises(ValueError, match="enable_metadata_routing"):
            detector().fit(X, something=self.weights)


def test_grid_search_and_pickle():
    y = np.r_[np.ones(115), -np.ones(5)]
    rows = X + 0.8 * np.outer(y < 0, np.linalg.svd(X - X.mean(axis=0))[2][-1])

    def auc(estimator, X, y):
        return roc_auc_score(y, estimator.decision_function(X))

    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(
        detector(PCA()), {"estimator__n_components": [1, 2]}, scoring=auc, cv=folds
    )
    search.fit(rows, y)
    assert search.best_params_ == {"estimator__n_components": 2}
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    expected = search.best_estimator_.score_samples(X)
    np.testing.assert_array_equal(again.score_samples(X), expected)
    assert "PCA" in search.best_estimator_._repr_html_()


def test_a_failed_fit_changes_nothing():
    found = detector(PCA(2)).fit(X)
    before = found.score_samples(X)
    with pytest.raises(ValueError, match="n_components"):
        found.set_params(estimator__n_components=9).fit(X + 5)
    np.testing.assert_array_equal(found.score_samples(X), before)


def test_many_rows_are_scored_in_blocks(monkeypatch):
    monkeypatch.setattr("skae.outliers._rows._BLOCK_NUMBERS", 35)
    monkeypatch.setattr("skae.outliers._rows._CACHED_NUMBERS", 15)
    pieces = detector().fit(X)
    monkeypatch.undo()
    whole = detector().fit(X)
    np.testing.assert_allclose(pieces.score_samples(X), whole.score_samples(X))
    np.testing.assert_allclose(pieces.feature_scores(X), whole.feature_scores(X))


def test_scales_of_some_rows(monkeypatch):
    monkeypatch.setattr("skae.outliers._rows._ROWS_OF_SCALES", 50)
    found = detector().fit(X)
    np.testing.assert_allclose(
        found.center_, np.quantile(X[::3], 0.5, axis=0, method="averaged_inverted_cdf")
    )


@pytest.mark.filterwarnings("ignore:No dask.distributed client")
class TestDask:
    """Lazy where rows are dask's, and the same values."""

    @pytest.mark.parametrize("estimator", [None, SparseAutoencoder(2, **QUICK), LINE])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_arrays(self, estimator, weighted):
        da = pytest.importorskip("dask.array")
        if weighted and estimator is LINE:
            pytest.skip("takes no weights")
        weights = TestWeights.weights if weighted else None
        lazy = da.from_array(X, chunks=(50, 5))
        here = detector(estimator, random_state=0, trim=0.1).fit(X, None, weights)
        there = detector(estimator, random_state=0, trim=0.1).fit(lazy, None, weights)
        scores = there.score_samples(lazy)
        assert isinstance(scores, da.Array)
        expected = here.score_samples(X)
        np.testing.assert_allclose(scores, expected, rtol=1e-3)
        parts = there.feature_scores(lazy).compute().sum(axis=1)
        np.testing.assert_allclose(parts, -scores)
        np.testing.assert_array_equal(there.predict(lazy), there.predict(X))
        assert there.offset_ == pytest.approx(here.offset_, rel=1e-3)

    def test_frames(self):
        pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
        frame = pd.DataFrame(X, columns=list("abcde"))
        lazy = dd.from_pandas(frame, npartitions=2)
        found = detector(SparseAutoencoder(2, **QUICK)).fit(lazy)
        assert found.feature_names_in_.tolist() == list("abcde")
        expected = found.score_samples(frame)
        np.testing.assert_allclose(found.score_samples(lazy).compute(), expected)


def test_missing_values_through_a_pipeline():
    """A scaler keeps NaN, and what comes after it must take it or have it filled in."""

    class Filled(SimpleImputer):
        def inverse_transform(self, X):
            return X

    gaps = np.where(RNG.rand(*X.shape) < 0.1, np.nan, X)
    inside = make_pipeline(StandardScaler(), Filled(), PCA(2))
    found = detector(inside).fit(gaps)
    assert np.isfinite(found.score_samples(gaps)).all()


def test_missing_values_of_the_default():
    """Rows with a gap score about as they do without it, and 0 with nothing there."""
    gaps = X.copy()
    gaps[::4, 1] = np.nan
    found = detector(None, random_state=0).fit(gaps)
    ratio = found.score_samples(gaps)[::4] / found.score_samples(X)[::4]
    assert 0.7 < np.median(ratio) < 1.4
    np.testing.assert_array_equal(found.score_samples(np.full((1, 5), np.nan)), 0)


def test_default_centres_what_is_dense():
    dense = detector(None, random_state=0).fit(X)
    sparse = detector(None, random_state=0).fit(csr_array(X))
    assert dense.estimator_[0].with_mean and not sparse.estimator_[0].with_mean


@pytest.mark.parametrize("distance_weight", [0.0, 3.0])
@pytest.mark.parametrize(
    "estimator", [StandardScaler(), PCA(), make_pipeline(StandardScaler(), PCA())]
)
def test_exact_reconstructions_are_warned_of(estimator, distance_weight):
    rows = np.random.default_rng(0).standard_normal((50, 4)) + 3
    model = ReconstructionOutlierDetector(estimator, distance_weight=distance_weight)
    says = "only measure distances" if distance_weight else "are zero for every row"
    with pytest.warns(UserWarning, match=f"every row almost exactly, .* {says}"):
        model.fit(rows)
    assert distance_weight or np.allclose(model.score_samples(rows), 0)


def test_exact_reconstructions_are_warned_of_with_the_first_piece():
    rows = np.random.default_rng(0).standard_normal((50, 4)) + 3
    model = ReconstructionOutlierDetector(StandardScaler())
    with pytest.warns(UserWarning, match="every row almost exactly"):
        model.partial_fit(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(rows)


def test_rows_in_a_plane_are_reconstructed_exactly_and_others_are_not(recwarn):
    """Errors are zero in training, and still tell what does not lie in the plane."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 2)) @ rng.standard_normal((2, 5))
    model = ReconstructionOutlierDetector(PCA(2), distance_weight=0.0).fit(rows)
    assert model.score_samples(rows[:1] + np.eye(5)[2]) < -100
    ReconstructionOutlierDetector(PCA(2)).fit(np.ones((10, 3)))  # none varies
    assert not [w for w in recwarn if "exactly" in str(w.message)]


def test_an_estimator_that_is_frozen_stays_as_it_was_fitted():
    pca = PCA(2).fit(X[:60])
    weights = np.linspace(0.5, 2, len(X))
    # That of another estimator is fitted to these rows.
    frozen = detector(FrozenEstimator(pca)).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(frozen.estimator_.components_, pca.components_)
    fitted = detector(pca).fit(X)
    assert abs(fitted.estimator_.components_ - pca.components_).max() > 1e-3
    assert frozen.predict(X[:1] + 100) == -1
