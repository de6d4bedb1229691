"""AutoencoderImputer: an imputer as those of scikit-learn are, by any autoencoder."""

import numpy as np
import pytest
from scikit_learn_checks import with_checks
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoencoderImputer,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) stopped"),
    pytest.mark.filterwarnings("ignore:Skipping features without any observed"),
]

IRIS, SPECIES = load_iris(return_X_y=True)
HOLES = np.random.default_rng(0).uniform(size=IRIS.shape) < 0.2
X = np.where(HOLES, np.nan, IRIS)
QUICK = DenoisingAutoencoder(3, max_iter=5)


def quick(**parameters):
    options = {"estimator": QUICK, "n_estimators": 1, "random_state": 0}
    return AutoencoderImputer(**options | parameters)


def error(filled):
    return np.mean((filled - IRIS)[HOLES] ** 2)


@pytest.mark.usefixtures("array_api")
@with_checks([quick(), quick(add_indicator=True)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "estimator",
    [
        None,
        SparseAutoencoder(2, sparsity=None),
        StackedAutoencoder((6, 2), autoencoder="sparse", max_iter=100),
    ],
)
def test_what_is_filled_in_is_nearer_than_the_means(estimator):
    imputer = AutoencoderImputer(estimator, n_estimators=2, random_state=0)
    filled = imputer.fit_transform(X)
    assert error(filled) < 0.4 * error(SimpleImputer().fit_transform(X))
    np.testing.assert_array_equal(filled[~HOLES], IRIS[~HOLES])


def test_rows_that_were_not_in_fit():
    imputer = AutoencoderImputer(n_estimators=1, random_state=0).fit(X[::2])
    new, holes = X[1::2], HOLES[1::2]
    means = np.nanmean(X[::2], axis=0)
    filled, truth = imputer.transform(new), IRIS[1::2]
    assert np.mean((filled - truth)[holes] ** 2) < 0.4 * np.mean(
        (means - truth)[holes] ** 2
    )
    alone = [imputer.transform(row[np.newaxis])[0] for row in new]
    np.testing.assert_allclose(alone, filled, rtol=1e-12)
    np.testing.assert_array_equal(imputer.transform(truth), truth)


def test_units_do_not_matter():
    units, shift = np.array([1e-3, 1.0, 40.0, 1e5]), np.array([5.0, -3e2, 0.0, 1e5])
    imputer = quick()
    one = imputer.fit_transform(X)
    other = imputer.fit_transform(X * units + shift)
    np.testing.assert_allclose((other - shift) / units, one, rtol=1e-6)


@pytest.mark.parametrize("initial_fill", ["linear", None])
def test_the_mean_of_several(initial_fill):
    """Each from a seed of its own; the same where the imputer's is the same."""
    options = {"n_estimators": 3, "clip": False, "initial_fill": initial_fill}
    imputer = quick(**options).fit(X)
    first, second, third = imputer.estimators_
    assert not np.array_equal(first.components_, second.components_)
    scaled = (X - np.nanmean(X, axis=0)) / np.nanstd(X, axis=0)
    if initial_fill == "linear":
        mean, covariance = imputer.location_, imputer.covariance_
        for row in scaled:
            o, m = np.flatnonzero(~np.isnan(row)), np.flatnonzero(np.isnan(row))
            known, cross = covariance[np.ix_(o, o)], covariance[np.ix_(o, m)]
            change = (row[o] - mean[o]) @ np.linalg.solve(known, cross)
            row[m] = mean[m] + imputer.linear_slope_ * change
    mean = sum(e.predict(scaled) for e in (first, second, third)) / 3
    expected = mean * np.nanstd(X, axis=0) + np.nanmean(X, axis=0)
    np.testing.assert_allclose(imputer.transform(X)[HOLES], expected[HOLES], rtol=1e-9)
    again = quick(**options).fit(X)
    np.testing.assert_array_equal(again.transform(X), imputer.transform(X))


def test_linear_predictions_let_any_estimator_of_rows_fill_in():
    class Copy(BaseEstimator):
        def fit(self, X, y=None):
            assert np.isfinite(X).all()
            return self

        def predict(self, X):
            return X

    filled = quick(estimator=Copy()).fit_transform(X)
    means = SimpleImputer().fit_transform(X)
    assert error(filled) < 0.3 * error(means)
    with pytest.raises(AssertionError):
        quick(estimator=Copy(), initial_fill=None).fit(X)


def test_clip():
    far = np.array([[np.nan, 0.0, 1e4, 1e4]])
    linear = SparseAutoencoder(2, activation="identity", sparsity=None)
    held, free = (
        quick(estimator=linear, clip=clip).fit(X).transform(far)
        for clip in (True, False)
    )
    assert np.nanmin(X[:, 0]) <= held[0, 0] <= np.nanmax(X[:, 0])
    assert not np.nanmin(X[:, 0]) <= free[0, 0] <= np.nanmax(X[:, 0])


def test_whole_numbers():
    rows = X.copy()
    rows[:, 1] = np.round(10 * rows[:, 1])
    filled = quick(round_integers=True).fit_transform(rows)
    assert (filled[:, 1] == np.round(filled[:, 1])).all()
    assert (filled[:, 0] != np.round(filled[:, 0])).any()
    plain = quick().fit_transform(rows)
    assert (plain[:, 1] != np.round(plain[:, 1])).any()


def test_a_number_may_stand_for_missing_entries():
    with_number = np.where(HOLES, -1, IRIS)
    filled = quick(missing_values=-1).fit_transform(with_number)
    np.testing.assert_array_equal(filled, quick().fit_transform(X))
    with pytest.raises(ValueError, match=r"contains NaN.*missing_values=-1; use"):
        quick(missing_values=-1).fit(X)
    with_nan = quick(missing_values=np.float32(np.nan)).fit_transform(X)
    np.testing.assert_array_equal(with_nan, filled)


@pytest.mark.parametrize("keep", [False, True])
def test_columns_without_an_entry_are_as_scikit_learns(keep):
    rows = np.column_stack([X, np.full(len(X), np.nan)])
    options = {"keep_empty_features": keep, "add_indicator": True}
    ours = quick(**options).fit(rows)
    for theirs in (KNNImputer(**options), SimpleImputer(**options)):
        theirs.fit(rows)
        assert ours.transform(rows).shape == theirs.transform(rows).shape
    # KNNImputer forgets the names of the columns that it keeps.
    assert [*ours.get_feature_names_out()] == [*theirs.get_feature_names_out()]
    if keep:
        assert (ours.transform(rows)[:, 4] == 0).all()
    assert np.isfinite(ours.transform(IRIS[:, [0, 1, 2, 3, 0]])).all()


def test_indicators():
    imputer = quick(add_indicator=True).fit(X)
    added = imputer.transform(X)[:, 4:]
    np.testing.assert_array_equal(added, MissingIndicator().fit_transform(X))


def test_no_entry_at_all():
    nothing = np.full((5, 2), np.nan)
    kept = quick(keep_empty_features=True).fit_transform(nothing)
    np.testing.assert_array_equal(kept, np.zeros((5, 2)))
    rows = X.copy()
    rows[7] = np.nan
    assert np.isfinite(quick().fit_transform(rows)).all()


def test_dtypes_and_frames():
    pandas = pytest.importorskip("pandas")
    single = quick().fit_transform(X.astype(np.float32))
    assert single.dtype == np.float32
    frame = pandas.DataFrame(X, columns=list("abcd"))
    frame["d"] = frame["d"].astype("Float64")  # whose missing entries are NA
    filled = quick().set_output(transform="pandas").fit_transform(frame)
    assert [*filled.columns] == list("abcd")
    np.testing.assert_array_equal(filled, quick().fit_transform(X))


def test_before_a_classifier():
    steps = quick(), StandardScaler(), LogisticRegression()
    assert (
        make_pipeline(*steps).fit(X[::2], SPECIES[::2]).score(X[1::2], SPECIES[1::2])
        > 0.85
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_estimators": 0}, "n_estimators"),
        ({"estimator": "sparse"}, "estimator"),
        ({"initial_fill": "mean"}, "initial_fill"),
        ({"clip": 3}, "clip"),
        ({"add_indicator": "yes"}, "add_indicator"),
        ({"missing_values": "?"}, "missing_values"),
        ({"missing_values": None}, "missing_values"),
    ],
)
def test_parameters_are_checked_in_fit(parameters, message):
    with pytest.raises(ValueError, match=f"The '{message}' parameter"):
        quick().set_params(**parameters).fit(X)


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (PCA(2), "PCA has no predict"),
        (StandardScaler(), "StandardScaler has no predict"),
        (LinearRegression(), "LinearRegression predicts targets y"),
        (LogisticRegression(), "LogisticRegression predicts targets y"),
        (make_pipeline(StandardScaler(), Ridge()), "Pipeline predicts targets y"),
        (KMeans(3), r"its predict returned shape \(1,\) for rows of shape \(1, 4\)"),
        (SparseAutoencoder, r"got the class SparseAutoencoder; use SparseAutoencoder"),
    ],
    ids=str,
)
def test_estimators_that_predict_no_rows_are_named(estimator, reason):
    with pytest.raises(TypeError, match=f"^estimator must .*{reason}"):
        quick(estimator=estimator).fit(X)


class ReconstructsByMLP(MLPRegressor):
    """A regressor that learns rows."""

    def fit(self, X, y=None):
        return super().fit(X, X)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_a_regressor_that_learns_rows_may_predict_them():
    net = ReconstructsByMLP(
        hidden_layer_sizes=3, max_iter=200, solver="lbfgs", random_state=0
    )
    for estimator in (net, make_pipeline(StandardScaler(), net)):
        filled = quick(estimator=estimator).fit_transform(X)
        assert error(filled) < error(SimpleImputer().fit_transform(X))


def test_there_are_no_more_units_than_rows():
    few = AutoencoderImputer(n_estimators=1, random_state=0).fit(X[:6])
    many = AutoencoderImputer(n_estimators=1, random_state=0).fit(X[:9])
    assert [len(i.estimators_[0].components_) for i in (few, many)] == [6, 8]


def test_a_fit_that_fails_leaves_no_trace():
    imputer = quick().fit(X)
    before = imputer.transform(X)
    with pytest.raises(ValueError, match="infinity"):
        imputer.fit(np.where(HOLES, np.inf, X))
    np.testing.assert_array_equal(imputer.transform(X), before)
