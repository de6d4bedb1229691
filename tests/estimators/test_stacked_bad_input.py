"""Stacks: a clear error that names its cause, or finite results."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.neural_network import BernoulliRBM
from sklearn.preprocessing import minmax_scale

from skae import (
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
NUMBERS = X @ [1.0, 2.0, -1.0, 3.0]
LABELS = np.stack([Y == 0, Y == 1], axis=1).astype(int)


def classifier(sizes=(4, 3), **params):
    params = {"autoencoder": "sparse", "max_iter": 5, "random_state": 0, **params}
    return StackedAutoencoderClassifier(sizes, **params)


def regressor(sizes=(4, 3), **params):
    params = {"autoencoder": "sparse", "max_iter": 5, "random_state": 0, **params}
    return StackedAutoencoderRegressor(sizes, **params)


def deep(sizes=(4, 3), **params):
    params = {"autoencoder": "sparse", "max_iter": 5, "random_state": 0, **params}
    return StackedAutoencoder(sizes, **params)


class NoWeights(BaseEstimator):
    def __init__(self, n_components=2):
        self.n_components = n_components

    def fit(self, X, y=None):
        return self


class Transposed(NoWeights):
    def fit(self, X, y=None):
        self.components_ = np.ones((1, X.shape[1]))
        self.intercept_hidden_ = np.ones(1)
        return self


class Swish(Transposed):
    activation = "swish"


class Bare:
    def fit(self, X, y=None):
        return self


# -- parameters ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes", [(), [], 0, (4, 0), (4, -1), (4, 2.5), np.ones((2, 2))]
)
@pytest.mark.parametrize("make", [classifier, regressor, deep])
def test_sizes(make, sizes):
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must .* 1 or more; got"):
        make(sizes).fit(X, NUMBERS if make is regressor else Y)


@pytest.mark.parametrize(
    ("autoencoder", "message"),
    [
        ("pca", "'autoencoder' parameter of .*'pca'"),
        (["sparse"], r"a list of 1 for hidden_layer_sizes=\(4, 3\), which has 2"),
        (["sparse"] * 3, r"a list of 3 for hidden_layer_sizes=\(4, 3\), which has 2"),
        (["sparse", "pca"], "must be among .* got 'pca'"),
        (["sparse", None], "must be among .* got None"),
        (SparseAutoencoder, "must be among .* got <class"),
        (Bare(), "must be among .* got <"),
        (
            PCA(),
            r"PCA\(n_components=4, .*\) has no intercept_hidden_ after fit; .* needs",
        ),
        (NoWeights(), "has no components_ after fit; .* needs"),
        (Transposed(), r"components_ of shape \(1, 4\) after fit; .* = \(4, 4\)"),
        (Swish(), "has activation='swish', but a stack knows"),
    ],
)
def test_autoencoder(autoencoder, message):
    with pytest.raises(ValueError, match=message):
        classifier(autoencoder=autoencoder).fit(X, Y)


def test_an_autoencoder_without_n_components():
    with pytest.raises(ValueError, match="has no parameter n_components"):
        classifier(autoencoder=StackedAutoencoder()).fit(X, Y)


def test_a_machine_has_logistic_units():
    with pytest.raises(ValueError, match=r"'rbm' has logistic units, got .*'tanh'"):
        classifier(autoencoder="rbm", activation="tanh").fit(X, Y)


@pytest.mark.parametrize("autoencoder", ["rbm", BernoulliRBM()], ids=repr)
def test_a_machine_needs_rows_in_0_1(autoencoder):
    with pytest.raises(ValueError, match=r"needs rows in \[0, 1\], .* to 5; scale X"):
        classifier(autoencoder=autoencoder).fit(5 * X, Y)


def test_a_machine_above_codes_outside_0_1():
    below = SparseAutoencoder(activation="tanh", max_iter=20)
    with pytest.raises(ValueError, match=r"needs rows in \[0, 1\], got layer 2 rows"):
        classifier(autoencoder=[below, "rbm"]).fit(X, Y)


def test_nothing_to_train():
    with pytest.raises(
        ValueError, match=r"fine_tune=False with autoencoder=None .*use"
    ):
        classifier(autoencoder=None, fine_tune=False).fit(X, Y)


@pytest.mark.parametrize("name", ["input_dropout", "hidden_dropout"])
@pytest.mark.parametrize("make", [classifier, deep])
def test_dropout_needs_adam(make, name):
    with pytest.raises(ValueError, match=rf"needs solver='adam', .*{name}=0.5.*; use"):
        make(**{name: 0.5}).fit(X, Y)
    make(**{name: 0.5}, solver="adam").fit(X, Y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "log_loss"}, "loss='log_loss' needs output_activation='logistic'"),
        (
            {"autoencoder": "rbm"},
            "the stack, which got .*'identity'; set the stack's .*='logistic'",
        ),
        (
            {"autoencoder": SparseAutoencoder(), "output_activation": "logistic"},
            "SparseAutoencoder for the first .* set the stack's .*='identity'",
        ),
    ],
)
def test_outputs_of_the_deep_autoencoder(params, message):
    with pytest.raises(ValueError, match=message):
        deep(**params).fit(X)


def test_the_deep_autoencoder_needs_biases_to_decode():
    class Encoder(NoWeights):
        def fit(self, X, y=None):
            self.components_ = np.ones((self.n_components, X.shape[1]))
            self.intercept_hidden_ = np.ones(self.n_components)
            return self

    with pytest.raises(ValueError, match="has no intercept_visible_ after fit"):
        deep(autoencoder=Encoder(), output_activation="logistic").fit(X)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("alpha", -1),
        ("decay", "none"),
        ("solver", "sgd"),
        ("activation", "sigmoid"),
        ("max_iter", 0),
        ("validation_fraction", 1.0),
        ("input_dropout", 1.0),
        ("hidden_dropout", -0.1),
        ("class_weight", "equal"),
        ("fine_tune", "no"),
    ],
)
def test_other_parameters(parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter"):
        classifier(**{parameter: value}).fit(X, Y)


# -- data ----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [classifier, regressor, deep])
def test_infinity(make):
    data, y = X.copy(), NUMBERS if make is regressor else Y
    data[3, 1] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        make().fit(data, y)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        make().fit(X, y).predict(data)
    if make is not deep:
        with pytest.raises(ValueError, match="X_unlabeled contains infinity"):
            make().fit(X, y, X_unlabeled=data)


def test_unlabeled_rows_with_other_columns():
    with pytest.raises(ValueError, match="X_unlabeled has 3 features, but X has 4"):
        classifier().fit(X, Y, X_unlabeled=X[:, :3])


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_array])
def test_no_unlabeled_rows_are_as_none(kind):
    without = classifier().fit(X, Y).predict_proba(X)
    empty = classifier().fit(X, Y, X_unlabeled=kind(X[:0]))
    np.testing.assert_array_equal(empty.predict_proba(X), without)


@pytest.mark.parametrize("bad", [X[0], X[:, :0], X[np.newaxis]])
def test_unlabeled_rows_are_named(bad):
    with pytest.raises(ValueError, match="X_unlabeled"):
        classifier().fit(X, Y, X_unlabeled=bad)


def test_one_class():
    with pytest.raises(ValueError, match=r"at least two classes, but .* \[1\]"):
        classifier().fit(X, np.ones(150, int))
    only = (Y == 2).astype(float)
    with pytest.raises(ValueError, match=r"at least two classes, but .* \[2\]"):
        classifier().fit(X, Y, sample_weight=only)


def test_numbers_are_not_classes():
    with pytest.raises(ValueError, match="Unknown label type"):
        classifier().fit(X, NUMBERS)


def test_several_columns_of_classes():
    with pytest.raises(ValueError, match=r"several columns of classes; .* takes one"):
        classifier().fit(X, np.stack([Y, Y[::-1]], axis=1))


def test_labels_other_than_0_and_1():
    with pytest.raises(ValueError, match=r"0 and 1, got the values \[-1, 1\]; for"):
        classifier().fit(X, 2 * LABELS - 1)


def test_sparse_labels():
    one = classifier().fit(X, scipy.sparse.csr_array(LABELS))
    np.testing.assert_array_equal(
        one.predict_proba(X), classifier().fit(X, LABELS).predict_proba(X)
    )


def test_class_weight_of_nothing():
    with pytest.raises(ValueError, match=r"class_weight=\{.* gives every row"):
        classifier(class_weight={0: 0, 1: 0, 2: 0}).fit(X, Y)


@pytest.mark.parametrize(
    ("dtype", "factor"),
    [
        (np.float32, 1e-30),
        (np.float32, 1e30),
        (np.float32, 1e60),
        (np.float64, 1e-110),
        (np.float64, 1e110),
    ],
)
def test_targets_out_of_range(dtype, factor):
    with pytest.raises(ValueError, match=r"y is too (small|large).*; scale y, for"):
        regressor().fit(X.astype(dtype), factor * NUMBERS)


def test_one_row_held_out_is_too_few_for_r2():
    model = regressor(early_stopping=True, validation_fraction=0.006)
    with pytest.raises(ValueError, match="at least two held-out rows for R²"):
        model.fit(X, NUMBERS)


def test_no_row_held_out():
    model = classifier(early_stopping=True, validation_fraction=0.001)
    with pytest.raises(ValueError, match=r"holds out 0 of the rows, n_samples=150"):
        model.fit(X, Y)


# -- odd, but allowed ------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_equal_rows_and_constant_targets(solver):
    ones = np.ones((20, 3))
    for model, y in (
        (classifier(solver=solver), np.arange(20) % 2),
        (classifier(solver=solver), np.tile([[0, 1]], (20, 1))),
        (regressor(solver=solver), np.full(20, 7.0)),
        (deep(solver=solver), None),
    ):
        model.fit(ones, y)
        assert np.isfinite(model.predict(ones)).all() and np.isfinite(model.loss_)
    np.testing.assert_allclose(regressor().fit(X, np.full(150, 7.0)).predict(X), 7.0)


def test_a_class_without_weight():
    model = classifier(class_weight={2: 0}).fit(X, Y)
    assert np.isfinite(model.predict_proba(X)).all() and np.isfinite(model.loss_)


def test_two_rows():
    model = classifier().fit(X[[0, 149]], Y[[0, 149]])
    assert np.isfinite(model.predict_proba(X)).all()


def test_warm_start_has_nothing_to_do_without_fine_tuning():
    model = classifier(warm_start=True, autoencoder="sparse", max_iter=5).fit(X, Y)
    with pytest.raises(ValueError, match="use fine_tune=True, or warm_start=False"):
        model.set_params(fine_tune=False).fit(X, Y)


def test_classes_without_weight_are_not_held_out():
    model = classifier(
        early_stopping=True, class_weight={0: 1.0, 1: 1.0, 2: 0.0}, max_iter=5
    )
    assert np.isfinite(model.fit(X, Y).validation_scores_).all()


class Overflowing(BaseEstimator):
    """A third party's, with weights that float32 cannot hold."""

    activation, output_activation = "logistic", "identity"

    def __init__(self, n_components=1):
        self.n_components = n_components

    def fit(self, X, y=None):
        self.components_ = np.full((self.n_components, X.shape[1]), 1e300)
        self.intercept_hidden_ = np.zeros(self.n_components)
        self.intercept_visible_ = np.zeros(X.shape[1])
        return self


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_weights_of_an_autoencoder_that_overflow():
    stack = deep(3, autoencoder=Overflowing(), fine_tune=False)
    with pytest.raises(ValueError, match="weights that fit X overflow float32"):
        stack.fit(X.astype(np.float32))


@pytest.mark.parametrize("given", ["denoising", None, ["sparse", "sparse"]], ids=str)
def test_a_name_has_no_parameters_to_set(given):
    model = classifier(autoencoder=given)
    with pytest.raises(ValueError, match="sets a parameter of an estimator"):
        model.set_params(autoencoder__alpha=1.0)
    model.set_params(autoencoder=SparseAutoencoder(), autoencoder__alpha=1.0)
    assert model.autoencoder.alpha == 1.0


def test_regression_on_words():
    with pytest.raises(ValueError, match="y must be numbers"):
        regressor().fit(X, np.array(["a", "b", "c"])[Y])


@pytest.mark.parametrize("make", [classifier, regressor, deep])
def test_early_stopping_without_fine_tuning_is_refused(make):
    model = make(early_stopping=True, fine_tune=False)
    with pytest.raises(ValueError, match="use fine_tune=True, or early_stopping=False"):
        model.fit(X, Y)


def test_code_activation_beside_an_autoencoder_of_another_is_refused():
    tanh = SparseAutoencoder(activation="tanh", max_iter=2)
    sentence = r"code_activation='identity' is for .* activation='tanh'; give it"
    for given in (tanh, ["sparse", tanh]):
        model = deep((3, 2), autoencoder=given, code_activation="identity")
        with pytest.raises(ValueError, match=sentence):
            model.fit(X)
    for given in (tanh, [tanh, "sparse"], "sparse", None):
        wanted = "tanh" if given is tanh else "identity"
        model = deep((3, 2), autoencoder=given, code_activation=wanted)
        model.set_params(max_iter=2).fit(X)
        assert model._names[1] == wanted


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_targets_in_unequal_units_are_warned_of(unit):
    y = np.c_[X[:, 0], unit * X[:, 1], np.ones(len(X))]
    model = StackedAutoencoderRegressor(2, autoencoder=None, max_iter=2)
    with pytest.warns(UserWarning, match="Columns of y have ranges from"):
        model.fit(X, y)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Columns of y")
        model.fit(X, y * [unit, 1, 1e6])
        model.fit(X, 1e6 * y[:, 0])
