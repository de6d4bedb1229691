"""Pre-training: layer by layer, by hand, and with rows that have no target."""

from copy import copy

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler, minmax_scale

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Fine-tuning stopped", "ignore:Training stopped"
)

X, Y = load_iris(return_X_y=True)
X = minmax_scale(X)
TARGETS = X @ [[1.0, 2], [0, 1], [-1, 0], [3, 0]]


def classifier(sizes=(5, 3), **params):
    params = {"autoencoder": "sparse", "max_iter": 20, "random_state": 0, **params}
    return StackedAutoencoderClassifier(sizes, **params)


def regressor(sizes=(5, 3), **params):
    params = {"autoencoder": "sparse", "max_iter": 20, "random_state": 0, **params}
    return StackedAutoencoderRegressor(sizes, **params)


def deep(sizes=(5, 3), **params):
    params = {"autoencoder": "sparse", "max_iter": 20, "random_state": 0, **params}
    return StackedAutoencoder(sizes, **params)


def unscaled(model, data=X):
    """The codes of the formulas, which the next layer learns."""
    if hasattr(model, "scale_codes"):  # BernoulliRBM does not scale
        model = copy(model).set_params(scale_codes=False)
    return model.transform(data)


def by_hand(layers, data, **fit_params):
    """Each layer fitted afresh to the codes of the one below."""
    fitted = []
    for layer in layers:
        fitted.append(clone(layer).fit(data, **fit_params))
        data = unscaled(fitted[-1], data)
    return fitted, data


def assert_same_layers(layers, expected, rtol=0.0):
    for layer, other in zip(layers, expected, strict=True):
        for name in ("components_", "intercept_hidden_"):
            one, two = getattr(layer, name), getattr(other, name)
            np.testing.assert_allclose(one, two, rtol=rtol, err_msg=name)


# -- greedy ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sparse", "denoising", "contractive"])
@pytest.mark.parametrize("sizes", [(4,), (5, 3), (5, 4, 3), (6, 5, 4, 3)], ids=len)
def test_layers_are_autoencoders_of_the_codes_below(name, sizes):
    stack = classifier(sizes, autoencoder=name, fine_tune=False).fit(X, Y)
    layers, codes = by_hand(stack.layers_, X)
    assert_same_layers(stack.layers_, layers)
    assert [layer.n_components for layer in layers] == list(sizes)
    for W, b, layer in zip(stack.coefs_, stack.intercepts_, layers, strict=False):
        np.testing.assert_array_equal(W, layer.components_.T)
        np.testing.assert_array_equal(b, layer.intercept_hidden_)
    np.testing.assert_allclose(unscaled(stack), codes, rtol=1e-12)


def test_layers_draw_from_different_seeds_that_random_state_sets():
    seeds = [layer.random_state for layer in classifier().fit(X, Y).layers_]
    assert len(set(seeds)) == 2
    assert seeds == [layer.random_state for layer in classifier().fit(X, Y).layers_]
    given = classifier(autoencoder=SparseAutoencoder(random_state=7, max_iter=5))
    assert {layer.random_state for layer in given.fit(X, Y).layers_} == {7}


def test_names_stand_for_their_classes_with_the_stacks_limits():
    stack = classifier(
        (4, 3, 2), autoencoder=["sparse", "denoising", "contractive"], tol=1e-3
    ).fit(X, Y)
    classes = [type(layer) for layer in stack.layers_]
    assert classes == [SparseAutoencoder, DenoisingAutoencoder, ContractiveAutoencoder]
    for layer in stack.layers_:
        assert (layer.max_iter, layer.tol, layer.solver) == (20, 1e-2, "lbfgs")
    losses = [(layer.output_activation, layer.loss) for layer in stack.layers_]
    assert losses == [("identity", "squared_error"), *[("logistic", "log_loss")] * 2]


@pytest.mark.parametrize(
    ("tol", "expected"), [(0, 0), (1e-3, 1e-2), (0.05, 0.1), (0.1, 0.1), (0.5, 0.5)]
)
def test_what_is_fine_tuned_later_is_trained_roughly(tol, expected):
    stack = classifier((4,), tol=tol).fit(X, Y)
    assert stack.layers_[0].tol == expected


def test_the_activation_below_decides_what_a_named_autoencoder_rebuilds():
    below = SparseAutoencoder(activation="tanh", max_iter=20)
    stack = classifier(autoencoder=[below, "sparse"]).fit(X, Y)
    assert stack.layers_[1].output_activation == "identity"
    assert stack.layers_[1].loss == "squared_error"


@pytest.mark.parametrize("autoencoder", ["rbm", BernoulliRBM(n_iter=3)], ids=repr)
def test_a_restricted_boltzmann_machine(autoencoder):
    stack = classifier(autoencoder=autoencoder, fine_tune=False).fit(X, Y)
    layers, codes = by_hand(stack.layers_, X)
    # Its transform computes the logistic function by another formula than ours.
    assert_same_layers(stack.layers_, layers, rtol=1e-10)
    np.testing.assert_allclose(unscaled(stack), codes, rtol=1e-10)


class PrincipalDirections(BaseEstimator):
    """What a stack asks of an autoencoder, and nothing else."""

    def __init__(self, n_components=2, activation="tanh"):
        self.n_components = n_components
        self.activation = activation

    def fit(self, X, y=None):
        pca = PCA(self.n_components).fit(X)
        self.components_ = pca.components_
        self.intercept_hidden_ = -pca.components_ @ pca.mean_
        return self


def test_a_third_partys_estimator():
    stack = classifier((3, 2), autoencoder=PrincipalDirections(), fine_tune=False)
    stack.fit(X, Y)
    codes = np.tanh(PCA(3).fit_transform(X))
    codes = np.tanh(PCA(2).fit_transform(codes))
    np.testing.assert_allclose(unscaled(stack), codes, atol=1e-12)


class Doubled(SparseAutoencoder):
    """A subclass with a ``fit`` of its own."""

    def fit(self, X, y=None, sample_weight=None):
        return super().fit(2 * X, y, sample_weight)


def test_a_subclass_is_fitted_by_its_own_fit():
    layer = Doubled(4, max_iter=5, random_state=0)
    stack = deep(4, autoencoder=layer, fine_tune=False).fit(X)
    assert_same_layers(stack.layers_, [clone(layer).fit(X)])


def test_an_int_is_one_layer():
    one, other = classifier(4).fit(X, Y), classifier((4,)).fit(X, Y)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


# -- the output layer alone ----------------------------------------------------------


def test_without_fine_tuning_it_is_logistic_regression_on_the_codes():
    alpha = 1e-2
    stack = classifier(alpha=alpha, fine_tune=False, max_iter=500, tol=1e-7).fit(X, Y)
    codes = unscaled(stack)
    rival = LogisticRegression(C=1 / (len(X) * alpha), tol=1e-9, max_iter=5000)
    rival.fit(codes, Y)
    np.testing.assert_allclose(
        stack.predict_proba(X), rival.predict_proba(codes), atol=1e-5
    )


def test_without_fine_tuning_it_is_ridge_regression_on_the_codes():
    alpha = 1e-3
    stack = regressor(alpha=alpha, fine_tune=False, max_iter=500, tol=1e-8)
    stack.fit(X, TARGETS)
    codes = unscaled(stack)
    rival = Ridge(alpha=len(X) * alpha).fit(codes, TARGETS)
    np.testing.assert_allclose(stack.predict(X), rival.predict(codes), atol=1e-6)


@pytest.mark.filterwarnings("always:The output layer stopped")
def test_an_output_layer_cut_short_says_so():
    with pytest.warns(UserWarning, match="output layer stopped at max_iter=2"):
        classifier(fine_tune=False, max_iter=2).fit(X, Y)


def test_the_deep_autoencoder_without_fine_tuning_composes_its_layers():
    stack = deep((5, 4, 3), fine_tune=False).fit(X)
    layers, codes = by_hand(stack.layers_, X)
    np.testing.assert_allclose(unscaled(stack), codes, rtol=1e-10)
    rows = codes
    for layer in reversed(layers):
        rows = layer.set_params(scale_codes=False).inverse_transform(rows)
    np.testing.assert_allclose(stack.predict(X), rows, rtol=1e-10, atol=1e-12)
    scaled = codes / stack.code_scale_
    np.testing.assert_allclose(stack.inverse_transform(scaled), rows, atol=1e-12)


def test_a_machine_decodes_by_the_weights_it_encodes_by():
    stack = deep(
        autoencoder="rbm",
        output_activation="logistic",
        loss="log_loss",
        fine_tune=False,
    ).fit(X)
    for layer, (up, down) in enumerate(
        zip(stack.coefs_[:2], stack.coefs_[:1:-1], strict=True)
    ):
        np.testing.assert_array_equal(up, down.T)
        visible = stack.layers_[layer].intercept_visible_
        np.testing.assert_array_equal(stack.intercepts_[3 - layer], visible)


# -- rows without a target -----------------------------------------------------------


@pytest.mark.parametrize("make", [classifier, regressor])
def test_unlabeled_rows_are_pretrained_on(make):
    y = Y if make is classifier else TARGETS
    few, rest = slice(None, None, 5), X[1::5]
    stack = make().fit(X[few], y[few], X_unlabeled=rest)
    layers, _ = by_hand(stack.layers_, np.concatenate([X[few], rest]))
    assert_same_layers(stack.layers_, layers)


def test_unlabeled_rows_are_not_fine_tuned_on():
    few, rest = slice(None, None, 5), X[1::5]
    start = classifier(fine_tune=False).fit(X[few], Y[few], X_unlabeled=rest)
    stack = classifier().fit(X[few], Y[few], X_unlabeled=rest)
    start.set_params(fine_tune=True, warm_start=True).fit(X[few], Y[few])
    np.testing.assert_allclose(
        start.predict_proba(X), stack.predict_proba(X), rtol=1e-6, atol=1e-9
    )


def test_unlabeled_rows_weigh_one_beside_weighted_ones():
    s = np.linspace(0.5, 2, 30)
    stack = classifier().fit(X[::5], Y[::5], X_unlabeled=X[1::5], sample_weight=s)
    both = np.concatenate([X[::5], X[1::5]])
    weights = np.concatenate([s, np.ones(30)])
    first = clone(stack.layers_[0]).fit(both, sample_weight=weights)
    assert_same_layers(stack.layers_[:1], [first])


def test_unlabeled_rows_in_a_pipeline_arrive_scaled():
    few, rest = slice(None, None, 5), X[1::5]
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = Pipeline(
            [
                ("scale", StandardScaler()),
                ("stack", classifier().set_fit_request(X_unlabeled=True)),
            ],
            transform_input=["X_unlabeled"],
        ).fit(X[few], Y[few], X_unlabeled=rest)
    scaler = StandardScaler().fit(X[few])
    scaled = [scaler.transform(rows) for rows in (X[few], rest)]
    expected = classifier().fit(scaled[0], Y[few], X_unlabeled=scaled[1])
    assert_same_layers(pipeline[-1].layers_, expected.layers_)
    np.testing.assert_array_equal(
        pipeline.predict_proba(X), expected.predict_proba(scaler.transform(X))
    )


def test_columns_of_unlabeled_frames_must_be_in_the_same_order():
    frame = pd.DataFrame(X, columns=list("abcd"))
    same = classifier().fit(frame, Y, X_unlabeled=frame)
    np.testing.assert_array_equal(
        same.predict_proba(frame),
        classifier().fit(X, Y, X_unlabeled=X).predict_proba(X),
    )
    with pytest.raises(ValueError, match=r"[Ff]eature names"):
        classifier().fit(frame, Y, X_unlabeled=frame[list("dcba")])


# -- searched ------------------------------------------------------------------------


def test_grid_over_the_autoencoders_parameters():
    search = GridSearchCV(
        classifier(autoencoder=SparseAutoencoder(max_iter=10), fine_tune=False),
        {"autoencoder__sparsity_target": [0.05, 0.3]},
        scoring="neg_log_loss",  # of which no two are alike by chance
        cv=2,
    ).fit(X, Y)
    best = search.best_params_["autoencoder__sparsity_target"]
    assert [layer.sparsity_target for layer in search.best_estimator_.layers_] == [
        best
    ] * 2
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 2
