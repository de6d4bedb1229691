"""Fine-tuning minimises what the docstrings say, against a textbook transcription."""

from copy import copy

import numpy as np
import pytest
import textbook
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler, minmax_scale
from sklearn.utils import compute_sample_weight

from skae import (
    SparseAutoencoder,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Fine-tuning stopped", "ignore:Training stopped"
)

X, CLASSES = load_iris(return_X_y=True)
X = minmax_scale(X)
LABELS = np.stack([CLASSES == 0, X[:, 0] > 0.5, X[:, 3] < 0.3], axis=1).astype(int)
NUMBERS = X @ [[1.0, 2], [0, 1], [-1, 0], [3, 0]] + np.sin(5 * X[:, :2])
WEIGHTS = np.linspace(0.2, 3, len(X))
ALPHA = 1e-3
SHORT = {"autoencoder": "sparse", "max_iter": 25, "random_state": 0, "alpha": ALPHA}


def one_hot(y):
    return np.eye(y.max() + 1)[y]


# y, what the output units aim at, activation of the outputs, loss.
CLASSIFICATION = {
    "binary": (LABELS[:, 1], one_hot(LABELS[:, 1]), "softmax", "cross_entropy"),
    "multiclass": (CLASSES, one_hot(CLASSES), "softmax", "cross_entropy"),
    "multilabel": (LABELS, LABELS, "logistic", "log_loss"),
}
REGRESSION = {
    "one output": (NUMBERS[:, 0], NUMBERS[:, :1], "identity", "squared_error"),
    "two outputs": (NUMBERS, NUMBERS, "identity", "squared_error"),
}
SUPERVISED = {
    **{
        name: (StackedAutoencoderClassifier, *it) for name, it in CLASSIFICATION.items()
    },
    **{name: (StackedAutoencoderRegressor, *it) for name, it in REGRESSION.items()},
}


def textbook_loss(stack, targets, output, loss, *, hidden="logistic", s=None):
    depth = len(stack.coefs_)
    last_only = getattr(stack, "decay", "all") == "output"
    return textbook.network_loss(
        X,
        targets,
        stack.coefs_,
        stack.intercepts_,
        [*[hidden] * (depth - 1), output],
        loss=loss,
        alphas=[0 if last_only else stack.alpha] * (depth - 1) + [stack.alpha],
        s=s,
    )


def clone_with_decay(stack, decay):
    """The fitted stack under another reach of alpha."""
    return copy(stack).set_params(decay=decay)


# -- the objective -------------------------------------------------------------------


@pytest.mark.parametrize("decay", ["all", "output"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("name", SUPERVISED)
def test_loss_is_the_textbooks(name, weights, decay):
    cls, y, targets, output, loss = SUPERVISED[name]
    stack = cls((5, 3), decay=decay, **SHORT).fit(X, y, sample_weight=weights)
    expected = textbook_loss(stack, targets, output, loss, s=weights)
    np.testing.assert_allclose(stack.loss_, expected, rtol=1e-10)
    assert stack.loss_curve_[-1] == stack.loss_
    assert len(stack.loss_curve_) == stack.n_iter_ > 15


@pytest.mark.parametrize("name", SUPERVISED)
def test_decay_towards_the_start(name):
    cls, y, targets, output, loss = SUPERVISED[name]
    stack = cls((5, 3), decay="start", **SHORT).fit(X, y)
    moved = [
        W - layer.components_.T
        for W, layer in zip(stack.coefs_[:-1], stack.layers_, strict=True)
    ]
    expected = textbook_loss(clone_with_decay(stack, "output"), targets, output, loss)
    expected += ALPHA / 2 * sum((D**2).sum() for D in moved)
    np.testing.assert_allclose(stack.loss_, expected, rtol=1e-10)
    everywhere = cls((5, 3), **SHORT).fit(X, y)
    again = cls((5, 3), decay="start", **SHORT | {"autoencoder": None}).fit(X, y)
    plain = cls((5, 3), **SHORT | {"autoencoder": None}).fit(X, y)
    assert everywhere.loss_ != stack.loss_
    assert again.loss_ == plain.loss_  # nothing to stay near but 0


@pytest.mark.parametrize("hidden", ["logistic", "tanh", "relu", "identity"])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_loss_is_the_textbooks_at_every_depth(depth, hidden):
    params = SHORT | {"autoencoder": None}
    stack = StackedAutoencoderClassifier(
        (6, 5, 4, 3)[:depth], activation=hidden, **params
    )
    stack.fit(X, CLASSES)
    expected = textbook_loss(
        stack, one_hot(CLASSES), "softmax", "cross_entropy", hidden=hidden
    )
    np.testing.assert_allclose(stack.loss_, expected, rtol=1e-10)
    assert stack.n_layers_ == depth + 2


@pytest.mark.parametrize(
    "class_weight", ["balanced", {0: 1.0, 1: 5.0, 2: 0.5}], ids=["balanced", "dict"]
)
def test_class_weight_multiplies_sample_weight(class_weight):
    y = np.minimum(CLASSES, np.arange(150) // 10)  # of unequal frequency
    stack = StackedAutoencoderClassifier(4, class_weight=class_weight, **SHORT)
    stack.fit(X, y, sample_weight=WEIGHTS)
    s = WEIGHTS * compute_sample_weight(class_weight, y)
    expected = textbook_loss(stack, one_hot(y), "softmax", "cross_entropy", s=s)
    np.testing.assert_allclose(stack.loss_, expected, rtol=1e-10)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("identity", "squared_error"),
        ("logistic", "squared_error"),
        ("logistic", "log_loss"),
    ],
)
def test_deep_autoencoders_loss_is_the_textbooks(output, loss, weights):
    data = {"output_activation": output, "loss": loss}
    stack = StackedAutoencoder((5, 3), **data, **SHORT).fit(X, sample_weight=weights)
    expected = textbook_loss(stack, X, output, loss, s=weights)
    np.testing.assert_allclose(stack.loss_, expected, rtol=1e-10)
    assert [W.shape for W in stack.coefs_] == [(4, 5), (5, 3), (3, 5), (5, 4)]


@pytest.mark.parametrize("name", SUPERVISED)
def test_fine_tuning_lowers_the_objective(name):
    cls, y, targets, output, loss = SUPERVISED[name]
    before = cls((5, 3), fine_tune=False, **SHORT).fit(X, y)
    after = cls((5, 3), **SHORT).fit(X, y)
    start = textbook_loss(before, targets, output, loss)
    assert after.loss_ < start
    assert (np.diff(after.loss_curve_) <= 0).all() and after.loss_curve_[0] < start
    for layer, other in zip(before.layers_, after.layers_, strict=True):
        np.testing.assert_array_equal(layer.components_, other.components_)


def test_fine_tuning_lowers_the_deep_autoencoders_objective():
    before = StackedAutoencoder((5, 3), fine_tune=False, **SHORT).fit(X)
    after = StackedAutoencoder((5, 3), **SHORT).fit(X)
    assert after.loss_ < textbook_loss(before, X, "identity", "squared_error")


# -- rivals --------------------------------------------------------------------------


def test_as_low_a_loss_as_scikit_learns_classifier():
    data = StandardScaler().fit_transform(X)
    ours, theirs = [], []
    for seed in range(6):
        stack = StackedAutoencoderClassifier(
            (5, 4),
            autoencoder=None,
            activation="tanh",
            alpha=1e-2,
            tol=1e-6,
            random_state=seed,
        ).fit(data, CLASSES)
        rival = MLPClassifier(
            (5, 4),
            activation="tanh",
            solver="lbfgs",
            alpha=1e-2 * len(X),  # α/2n there
            tol=1e-7,
            max_iter=2000,
            random_state=seed,
        ).fit(data, CLASSES)
        expected = textbook.network_loss(
            data,
            one_hot(CLASSES),
            rival.coefs_,
            rival.intercepts_,
            ["tanh", "tanh", "softmax"],
            loss="cross_entropy",
            alphas=[1e-2] * 3,
        )
        np.testing.assert_allclose(rival.loss_, expected, rtol=1e-6)
        ours.append(stack.loss_)
        theirs.append(rival.loss_)
    # There are several minima; most starts lead both to the same one.
    np.testing.assert_allclose(np.median(ours), np.median(theirs), rtol=1e-4)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")  # to the last digit
def test_as_low_a_loss_as_scikit_learns_regressor():
    data = StandardScaler().fit_transform(X)
    stack = StackedAutoencoderRegressor(
        4, autoencoder=None, activation="identity", alpha=1e-2, random_state=0, tol=1e-6
    ).fit(data, NUMBERS)
    rival = MLPRegressor(
        hidden_layer_sizes=4,
        activation="identity",
        solver="lbfgs",
        alpha=1e-2 * len(X),
        tol=1e-9,
        max_iter=5000,
        random_state=0,
    ).fit(data, NUMBERS)
    # Its loss_ is another mean over the outputs than ours.
    expected = textbook.network_loss(
        data,
        NUMBERS,
        rival.coefs_,
        rival.intercepts_,
        ["identity"] * 2,
        loss="squared_error",
        alphas=[1e-2] * 2,
    )
    assert stack.loss_ <= expected * (1 + 1e-6)


# -- what a unit of measurement changes ------------------------------------------------


@pytest.mark.parametrize(("shift", "scale"), [(0, 1e3), (100, 1), (-3, 1e-4)])
@pytest.mark.parametrize("autoencoder", [None, "sparse"])
def test_shifted_and_scaled_data_train_alike(autoencoder, shift, scale):
    params = {"autoencoder": autoencoder, "alpha": 0, "max_iter": 6, "random_state": 0}
    if autoencoder == "sparse":
        params["autoencoder"] = SparseAutoencoder(max_iter=6)
    raw = StackedAutoencoderClassifier((5, 3), **params).fit(X, CLASSES)
    other = StackedAutoencoderClassifier((5, 3), **params)
    moved = scale * (X + shift)
    other.fit(moved, CLASSES)
    np.testing.assert_allclose(
        other.predict_proba(moved), raw.predict_proba(X), rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(other.loss_curve_, raw.loss_curve_, rtol=1e-5)


def test_shifted_and_scaled_targets_train_alike():
    params = {"autoencoder": None, "alpha": 0, "max_iter": 10, "random_state": 0}
    raw = StackedAutoencoderRegressor((5, 3), **params).fit(X, NUMBERS)
    other = StackedAutoencoderRegressor((5, 3), **params).fit(X, 1e4 * NUMBERS + 1e6)
    np.testing.assert_allclose(other.predict(X), 1e4 * raw.predict(X) + 1e6, rtol=1e-6)


# -- rows held out ---------------------------------------------------------------------


class _Recorded:
    """Keeps what was held out, by standing in for ``hold_out``."""

    def __init__(self, monkeypatch):
        from skae.estimators import _stack

        hold_out = _stack.hold_out

        def recording(*args):
            self.training, self.held_out = hold_out(*args)
            return self.training, self.held_out

        monkeypatch.setattr(_stack, "hold_out", recording)

    @property
    def out(self):
        """Which rows."""
        return self.held_out.weights > 0


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("name", SUPERVISED)
def test_early_stopping_keeps_what_did_best(name, solver, monkeypatch):
    recorded = _Recorded(monkeypatch)
    cls, y, *_ = SUPERVISED[name]
    stack = cls(
        (5, 3),
        solver=solver,
        early_stopping=True,
        validation_fraction=0.3,
        learning_rate_init=0.05,
        n_iter_no_change=4,
        **SHORT,
    ).fit(X, y)
    rows, targets = X[recorded.out], recorded.held_out.targets[recorded.out]
    assert len(rows) == 45
    if cls is StackedAutoencoderRegressor:
        score = r2_score(targets, stack.predict(rows).reshape(targets.shape))
    elif name == "multilabel":
        score = accuracy_score(targets, stack.predict(rows))
    else:
        np.testing.assert_allclose(targets.mean(0), one_hot(y).mean(0), atol=1 / 45)
        score = accuracy_score(targets.argmax(axis=1), stack.predict(rows))
    np.testing.assert_allclose(score, stack.validation_scores_.max(), rtol=1e-12)
    # No layer has seen them.
    seen = X[recorded.training.weights > 0]
    first = clone(stack.layers_[0]).fit(seen)
    # To rounding: the stack has given them as rows of weight zero.
    np.testing.assert_allclose(
        stack.layers_[0].components_, first.components_, rtol=1e-7
    )


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_early_stopping_of_the_deep_autoencoder(dropout, monkeypatch):
    recorded = _Recorded(monkeypatch)
    stack = StackedAutoencoder(
        (5, 3),
        solver="adam",
        early_stopping=True,
        input_dropout=dropout,
        hidden_dropout=dropout,
        learning_rate_init=0.01,
        **SHORT,
    ).fit(X)
    rows = X[recorded.out]
    error = ((stack.predict(rows) - rows) ** 2).sum(axis=1).mean()
    seen = X[recorded.training.weights > 0]
    unit = ((seen - seen.mean(axis=0)) ** 2).sum(axis=1).mean()
    # Nothing is dropped where the score is taken.
    np.testing.assert_allclose(stack.validation_scores_.max(), 1 - error / unit)
