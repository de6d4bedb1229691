"""SparseAutoencoder among scikit-learn's other parts."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skae import SparseAutoencoder

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")

X, Y = load_iris(return_X_y=True)
SHUFFLED = KFold(3, shuffle=True, random_state=0)


def autoencoder(**params):
    return SparseAutoencoder(
        **{"n_components": 2, "max_iter": 20, "random_state": 0, **params}
    )


def codes_of(data, **params):
    return autoencoder(**params).fit(data).transform(data)


def test_grid_search_beside_pca():
    search = GridSearchCV(
        Pipeline(
            [
                ("scale", MinMaxScaler()),
                ("reduce", PCA()),
                ("clf", LogisticRegression(max_iter=1000)),
            ]
        ),
        [
            {"reduce": [PCA()], "reduce__n_components": [1, 2]},
            {
                "reduce": [autoencoder()],
                "reduce__n_components": [1, 2],
                "reduce__sparsity_target": [0.1, 0.3],
            },
        ],
        cv=3,
    ).fit(X, Y)
    assert len(search.cv_results_["params"]) == 6
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.9


def test_grid_search_without_labels_prefers_what_explains_more():
    search = GridSearchCV(autoencoder(sparsity=None), {"n_components": [1, 3]}, cv=3)
    search.fit(X)
    assert search.best_params_ == {"n_components": 3}
    one, three = search.cv_results_["mean_test_score"]
    assert one < three < 1
    assert search.predict(X).shape == X.shape


def test_cross_validate_scores_are_those_of_the_folds():
    scores = cross_validate(autoencoder(), X, cv=SHUFFLED)["test_score"]
    expected = [
        autoencoder().fit(X[train]).score(X[test]) for train, test in SHUFFLED.split(X)
    ]
    np.testing.assert_array_equal(scores, expected)


def test_pipeline_there_and_back():
    pipeline = make_pipeline(StandardScaler(), autoencoder()).fit(X)
    Z = StandardScaler().fit_transform(X)
    np.testing.assert_array_equal(pipeline.transform(X), codes_of(Z))
    back = pipeline.inverse_transform(pipeline.transform(X))
    assert back.shape == X.shape
    # In the units of X, so better than its means.
    assert ((back - X) ** 2).sum() < ((X - X.mean(axis=0)) ** 2).sum()


def test_column_transformer():
    transformer = ColumnTransformer(
        [("left", autoencoder(), [0, 1]), ("right", autoencoder(), [2, 3])],
        remainder="passthrough",
    )
    expected = np.hstack([codes_of(X[:, :2]), codes_of(X[:, 2:])])
    np.testing.assert_array_equal(transformer.fit_transform(X), expected)
    assert list(transformer.get_feature_names_out()) == [
        "left__sparseautoencoder0",
        "left__sparseautoencoder1",
        "right__sparseautoencoder0",
        "right__sparseautoencoder1",
    ]


def test_feature_union():
    union = FeatureUnion([("pca", PCA(2)), ("codes", autoencoder())])
    result = union.fit_transform(X)
    np.testing.assert_array_equal(result[:, 2:], codes_of(X))


@pytest.mark.parametrize(
    ("library", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)]
)
def test_set_output(library, frame):
    data = frame(dict(zip("abcd", X.T, strict=True)))
    model = autoencoder().set_output(transform=library)
    result = model.fit_transform(data)
    assert isinstance(result, frame)
    assert list(result.columns) == [f"sparseautoencoder{i}" for i in range(2)]
    assert list(result.columns) == list(model.get_feature_names_out())
    np.testing.assert_array_equal(np.asarray(result), codes_of(X))
    assert list(model.feature_names_in_) == list("abcd")


def test_clone_keeps_parameters_and_forgets_the_rest():
    model = autoencoder(sparsity="l1", alpha=0.5).fit(X)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "components_")


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_sample_weight_is_routed_through_a_pipeline(routing):
    s = np.linspace(0, 2, len(X))
    asking = autoencoder().set_fit_request(sample_weight=True)
    asking.set_score_request(sample_weight=True)
    pipeline = make_pipeline(asking).fit(X, sample_weight=s)
    direct = autoencoder().fit(X, sample_weight=s)
    np.testing.assert_array_equal(pipeline[-1].components_, direct.components_)
    routed = pipeline.score(X, sample_weight=s)
    assert routed == direct.score(X, sample_weight=s) != direct.score(X)


def test_sample_weight_is_routed_through_cross_validation(routing):
    s = np.linspace(0.1, 2, len(X))
    asking = autoencoder().set_fit_request(sample_weight=True)
    asking.set_score_request(sample_weight=True)
    scores = cross_validate(asking, X, cv=SHUFFLED, params={"sample_weight": s})
    expected = [
        autoencoder()
        .fit(X[train], sample_weight=s[train])
        .score(X[test], sample_weight=s[test])
        for train, test in SHUFFLED.split(X)
    ]
    np.testing.assert_array_equal(scores["test_score"], expected)


def test_unrequested_weights_are_refused(routing):
    with pytest.raises(ValueError, match="sample_weight"):
        make_pipeline(autoencoder()).fit(X, sample_weight=np.ones(len(X)))
