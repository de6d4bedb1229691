"""One row that is most of the variance is warned of, and ordinary rows are not."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import datasets
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from skae import (
    AutoencoderImputer,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    ReconstructionOutlierDetector,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
    TopKAutoencoder,
)
from skae.rows.source import source

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 6))
FAR = X.copy()
FAR[11] *= 1000
WARNED = pytest.warns(UserWarning, match=r"Row 11 of X, counted from 0.* 99\.99 %")
MODELS = [
    SparseAutoencoder(2, max_iter=2),
    DenoisingAutoencoder(2, max_iter=2),
    ContractiveAutoencoder(2, max_iter=2),
    TopKAutoencoder(4, 2, max_iter=2),
    SparseCoding(3, max_iter=1),
    StackedAutoencoder([3], max_iter=2),
    StackedAutoencoderClassifier([3], max_iter=2),
    StackedAutoencoderRegressor([3], max_iter=2),
]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def warnings_of(fit, X, *args):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(X, *args)
    return [w for w in caught if not issubclass(w.category, ConvergenceWarning)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_every_estimator_names_the_row(model):
    y = (X[:, 0] > 0).astype(int)
    with WARNED:
        model.fit(FAR, y)
    assert not warnings_of(model.fit, X, y)
    # From there, too, rows may be extreme.
    model = clone(model).set_params(warm_start=True).fit(X, y)
    with WARNED:
        model.fit(FAR, y)
    if hasattr(model, "partial_fit"):
        model = clone(model)
        if "solver" in model.get_params():
            model.set_params(solver="adam")
        with WARNED:
            model.partial_fit(FAR)
        # The scale is known by now.
        assert not warnings_of(model.partial_fit, FAR)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_the_warning_comes_after_a_fit_that_succeeded(model):
    y = (X[:, 0] > 0).astype(int)
    model = clone(model).set_params(warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="Row 11"):
            model.fit(FAR, y)
    assert model.transform(X).shape[0] == 60
    size = "n_components" if "n_components" in model.get_params() else None
    model.set_params(**{size: 5} if size else {"hidden_layer_sizes": [2]})

    def fit(*args):
        with pytest.raises(ValueError, match="warm_start"):
            model.fit(*args)

    assert not warnings_of(fit, FAR, y)


def test_imputer_warns_once_and_of_itself():
    holes = np.where(RNG.uniform(size=X.shape) < 0.1, np.nan, FAR)
    for fill in ("linear", None):
        inner = SparseAutoencoder(2, max_iter=2)
        imputer = AutoencoderImputer(inner, initial_fill=fill, n_estimators=2)
        (caught,) = warnings_of(imputer.fit, holes)
        message = str(caught.message)
        assert message.startswith("Row 11 of X")
        assert "AutoencoderImputer adapts to this row" in message
        assert "SparseAutoencoder" not in message
        assert not warnings_of(imputer.fit, holes[holes.sum(axis=1) < 50])
    # It looks at no rows that others may have made harmless.
    harmless = make_pipeline(QuantileTransformer(n_quantiles=50), inner)
    imputer = AutoencoderImputer(harmless, initial_fill=None, n_estimators=1)
    assert not warnings_of(imputer.fit, holes)


def test_a_detector_silences_whatever_it_fits():
    """Clones, those in grids, and those in other estimators, too."""
    model = SparseAutoencoder(2, max_iter=2)
    steps = make_pipeline(StandardScaler(), model)
    grid = {"sparseautoencoder": [model, clone(model)]}
    search = GridSearchCV(steps, grid, cv=2)
    imputer = AutoencoderImputer(model, n_estimators=1)
    for estimator in (search, make_pipeline(imputer, model)):
        detector = ReconstructionOutlierDetector(estimator)
        assert not warnings_of(detector.fit, FAR)
        # What was given warns as before, and so do clones of it.
        for given in (estimator, clone(estimator), clone(detector).estimator):
            assert warnings_of(given.fit, FAR)


def test_a_frozen_estimator_is_not_silenced():
    """Its clones are itself: it is the user's own."""
    model = SparseAutoencoder(2, max_iter=2).fit(X)
    ReconstructionOutlierDetector(FrozenEstimator(model)).fit(FAR)
    assert warnings_of(model.fit, FAR)


def test_a_detector_that_learns_in_pieces_is_silent():
    detector = ReconstructionOutlierDetector(SparseAutoencoder(2, solver="adam"))
    assert not warnings_of(detector.partial_fit, FAR)


def test_rows_of_a_fold_are_said_to_be_counted_within_it():
    search = GridSearchCV(SparseAutoencoder(2, max_iter=2), {"alpha": [1e-3]}, cv=3)
    messages = {str(w.message) for w in warnings_of(search.fit, FAR[::-1])}
    rows = {message.partition(" of X")[0] for message in messages}
    assert rows == {"Row 28", "Row 48"}  # without the twenty rows before, and with them
    assert all("X is the training part of a fold" in message for message in messages)


def test_of_sparse_and_of_incomplete_rows_too():
    holes = np.where(RNG.uniform(size=X.shape) < 0.2, np.nan, FAR)
    for rows in (csr_array(FAR), holes):
        with pytest.warns(UserWarning, match=r"Row 11 of X.* 99\."):
            SparseAutoencoder(2, max_iter=2).fit(rows)


def test_what_the_warning_advises_helps():
    """Of other rows as much is explained as by principal components, or more."""
    rows = datasets.load_iris().data
    rows = np.concatenate([rows - rows.mean(axis=0), [[0, 0, 0, 1e4]]])
    others = slice(0, 150)

    def explained(prepared, model):
        P = model.fit(prepared).inverse_transform(model.transform(prepared))
        errors = (prepared - P)[others]
        return 1 - np.square(errors).sum() / (150 * prepared[others].var(axis=0).sum())

    model = SparseAutoencoder(2, random_state=0)
    with pytest.warns(UserWarning, match="Row 150"):
        assert explained(rows, model) < 0.5
    for prepared in (
        QuantileTransformer(n_quantiles=50).fit_transform(rows),
        np.clip(RobustScaler().fit_transform(rows), -5, 5),
        rows[others],
    ):
        assert explained(prepared, model) > explained(prepared, PCA(2)) - 0.02
    detector = ReconstructionOutlierDetector(random_state=0)
    assert not warnings_of(detector.fit, rows)
    assert detector.score_samples(rows).argmin() == 150


def ordinary():
    for name in ("iris", "wine", "breast_cancer", "diabetes", "digits", "linnerud"):
        rows = getattr(datasets, f"load_{name}")().data
        yield rows
        yield StandardScaler().fit_transform(rows)
    for make in (
        datasets.make_blobs,
        datasets.make_moons,
        datasets.make_classification,
    ):
        yield make(random_state=0)[0]
    words = CountVectorizer().fit_transform(datasets.load_digits().DESCR.split("."))
    yield words.astype(float)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for n in (2, 3, 10, 20, 50):
            yield rng.standard_normal((n, 1 + seed % 3))
            yield rng.standard_exponential((n, 1 + seed % 3))
        yield OneHotEncoder().fit_transform(rng.integers(0, 5, (40, 2)))


def test_ordinary_rows_are_not_warned_of():
    n_sets = 0
    for rows in ordinary():
        assert source(rows).moments().extreme_row is None
        n_sets += 1
    assert n_sets > 200
