"""How stacks behave: same bits, warm starts, interruption, messages, company."""

import io
import pickle
import tracemalloc
import warnings
from contextlib import redirect_stdout

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import BernoulliRBM
from sklearn.preprocessing import minmax_scale

from skae import (
    SparseAutoencoder,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)
from skae.engines.threads import ThreadEngine

pytestmark = pytest.mark.filterwarnings(
    "ignore:Fine-tuning stopped", "ignore:Training stopped"
)

X, CLASSES = load_iris(return_X_y=True)
X = minmax_scale(X)
LABELS = np.stack([CLASSES == 0, X[:, 0] > 0.5, X[:, 3] < 0.3], axis=1).astype(int)
NUMBERS = X @ [1.0, 2.0, -1.0, 3.0]
TARGETS = {
    StackedAutoencoderClassifier: CLASSES,
    StackedAutoencoderRegressor: NUMBERS,
    StackedAutoencoder: None,
}
STACKS = pytest.mark.parametrize("cls", TARGETS, ids=lambda cls: cls.__name__[18:])
SOLVERS = pytest.mark.parametrize("solver", ["lbfgs", "adam"])


def stack(cls=StackedAutoencoderClassifier, sizes=(5, 3), **params):
    params = {"autoencoder": "sparse", "max_iter": 15, "random_state": 0, **params}
    return cls(sizes, **params)


def fitted(cls=StackedAutoencoderClassifier, **params):
    return stack(cls, **params).fit(X, TARGETS[cls])


def weights_of(model):
    return [a.tobytes() for a in [*model.coefs_, *model.intercepts_]]


# -- the same bits -------------------------------------------------------------------


@SOLVERS
@STACKS
@pytest.mark.parametrize("autoencoder", ["sparse", "denoising", None])
def test_same_seed_same_bits(cls, solver, autoencoder):
    params = {"solver": solver, "autoencoder": autoencoder, "max_iter": 4}
    one = fitted(cls, **params)
    assert weights_of(one) == weights_of(fitted(cls, **params))
    assert weights_of(one) != weights_of(fitted(cls, **params, random_state=1))


@SOLVERS
@STACKS
def test_float32_stays_float32(cls, solver):
    y = TARGETS[cls]
    data = X.astype(np.float32)
    model = stack(cls, solver=solver).fit(data, y)
    arrays = [*model.coefs_, *model.intercepts_, model.transform(data)]
    arrays += [layer.components_ for layer in model.layers_]
    if cls is StackedAutoencoderClassifier:
        arrays += [model.predict_proba(data), model.predict_log_proba(data)]
    else:
        arrays.append(model.predict(data))
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    # And float64 rows are answered in float64.
    assert model.transform(X).dtype == np.float64


@SOLVERS
@STACKS
def test_weight_zero_is_absence(cls, solver):
    y = TARGETS[cls]
    s = (np.arange(150) % 3 > 0).astype(float)
    there = s > 0
    one = stack(cls, solver=solver).fit(X, y, sample_weight=s)
    other = stack(cls, solver=solver).fit(X[there], None if y is None else y[there])
    np.testing.assert_allclose(one.transform(X), other.transform(X), rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"class_weight": "balanced"}], ids=str)
@pytest.mark.parametrize("multilabel", [False, True])
def test_labels_of_rows_of_weight_zero_are_absent(options, multilabel):
    """From the classes, from their balance, and from what may be a label."""
    y = TARGETS[StackedAutoencoderClassifier]
    y = np.stack([y == 1, y == 2], axis=1).astype(int) if multilabel else y.copy()
    s = np.where(np.arange(150) % 3 > 0, 1.5, 0.0)
    there = s > 0
    rows = np.where(there[:, np.newaxis], X, 9.0)
    y[~there] = 7
    model = stack(StackedAutoencoderClassifier, **options)
    one = clone(model).fit(rows, y, sample_weight=s)
    other = clone(model).fit(X[there], y[there], sample_weight=s[there])
    np.testing.assert_array_equal(one.classes_, other.classes_)
    np.testing.assert_allclose(
        one.predict_proba(X), other.predict_proba(X), rtol=1e-6, atol=1e-9
    )


def test_targets_of_rows_of_weight_zero_may_be_anything():
    """In float32, where a square of theirs overflows, and they themselves too."""
    y = TARGETS[StackedAutoencoderRegressor].astype(np.float64)
    s = np.where(np.arange(150) % 3 > 0, 1.0, 0.0)
    there, data = s > 0, X.astype(np.float32)
    other = stack(StackedAutoencoderRegressor).fit(data[there], y[there])
    y[~there] = 1e150
    one = stack(StackedAutoencoderRegressor).fit(data, y, sample_weight=s)
    np.testing.assert_allclose(one.predict(data), other.predict(data), rtol=1e-3)


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize(
    "cls", [StackedAutoencoderClassifier, StackedAutoencoderRegressor]
)
def test_rows_of_weight_zero_may_be_anything(cls):
    """Their codes overflow in float32, and are codes of rows that are not there."""
    s = np.where(np.arange(150) % 3 > 0, 1.0, 0.0)
    there, data, y = s > 0, X.astype(np.float32), TARGETS[cls]
    layer = SparseAutoencoder(activation="relu", sparsity=None, max_iter=5)
    other = stack(cls, (4, 3), autoencoder=layer).fit(data[there], y[there])
    huge = np.where(there[:, np.newaxis], data, np.float32(3e38))
    one = stack(cls, (4, 3), autoencoder=layer).fit(huge, y, sample_weight=s)
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("autoencoder", [None, "sparse"])
@STACKS
def test_rows_of_weight_zero_cost_no_copy_of_the_others(cls, autoencoder):
    rng = np.random.default_rng(0)
    rows = rng.uniform(size=(9000, 300))  # 22 MB
    y = None if cls is StackedAutoencoder else rng.integers(3, size=len(rows))
    weights = np.where(np.arange(len(rows)) % 5, 1.0, 0.0)
    model = stack(cls, (3, 2), autoencoder=autoencoder, max_iter=2)
    tracemalloc.start()
    try:
        model.fit(rows, y, sample_weight=weights)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < rows.nbytes / 2


# -- warm starts -----------------------------------------------------------------------


@SOLVERS
@STACKS
def test_warm_start_fine_tunes_on(cls, solver):
    model = fitted(cls, solver=solver, warm_start=True, shuffle=False)
    layers, loss, curves = model.layers_, model.loss_, model.loss_curves_
    before = [layer.components_.copy() for layer in layers]
    model.fit(X, TARGETS[cls])
    assert model.layers_ is layers
    for layer, components in zip(layers, before, strict=True):
        np.testing.assert_array_equal(layer.components_, components)
    assert model.loss_ <= loss
    if solver == "lbfgs":
        assert model.loss_curve_[0] <= loss
    assert model.loss_curves_.keys() == curves.keys()
    assert model.loss_curves_["layer 1"] is curves["layer 1"]


def test_warm_start_after_no_fine_tuning():
    # Of output layers before fine-tuning 20 iterations are done.
    model = fitted(fine_tune=False, warm_start=True, max_iter=20)
    model.set_params(fine_tune=True).fit(X, CLASSES)
    # Each iteration makes more of what rounding made different.
    found, expected = model.loss_curve_, fitted(max_iter=20).loss_curve_
    np.testing.assert_allclose(found[:5], expected[:5], rtol=1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_warm_start_keeps_the_classes():
    model = fitted(warm_start=True)
    model.fit(X[:100], CLASSES[:100])
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X).shape == (150, 3)


@pytest.mark.parametrize(
    ("params", "y"),
    [
        ({"hidden_layer_sizes": (5,)}, CLASSES),
        ({"hidden_layer_sizes": (5, 3, 2)}, CLASSES),
        ({"hidden_layer_sizes": (5, 4)}, CLASSES),
        ({}, LABELS),  # as many output units, but of another kind
        ({}, LABELS[:, :2]),
    ],
)
def test_warm_start_of_another_shape(params, y):
    model = fitted(warm_start=True).set_params(**params)
    before = weights_of(model)
    with pytest.raises(ValueError, match=r"warm_start=True .*warm_start=False"):
        model.fit(X, y)
    assert weights_of(model) == before
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])


def test_warm_start_with_an_unknown_class():
    model = fitted(warm_start=True)
    with pytest.raises(ValueError, match=r"classes \[0, 1, 2\], but .* \[7\]; use"):
        model.fit(X, np.where(CLASSES == 2, 7, CLASSES))
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])


def test_warm_start_with_other_columns():
    with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 4"):
        fitted(warm_start=True).fit(X[:, :3], CLASSES)


# -- interruption ----------------------------------------------------------------------


class InterruptAt:
    """Presses Ctrl-C in the given evaluation of all rows."""

    def __init__(self, monkeypatch, evaluation):
        self.count = 0
        evaluate = ThreadEngine.__call__

        def interrupting(engine, theta):
            self.count += 1
            if self.count == evaluation:
                raise KeyboardInterrupt
            return evaluate(engine, theta)

        monkeypatch.setattr(ThreadEngine, "__call__", interrupting)


@pytest.mark.parametrize("at", [1, 8, 25])
def test_ctrl_c_while_pretraining_ends_the_fit(monkeypatch, at):
    InterruptAt(monkeypatch, at)
    model = stack(autoencoder=SparseAutoencoder(max_iter=12))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "Training stopped")
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, CLASSES)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert not [
        name for name in ("classes_", "coefs_", "layers_") if hasattr(model, name)
    ]


def test_ctrl_c_in_the_output_layer_ends_the_fit(monkeypatch):
    model = stack(autoencoder=BernoulliRBM(n_iter=2))
    InterruptAt(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, CLASSES)
    assert not hasattr(model, "coefs_")


def test_ctrl_c_in_a_machine_ends_the_fit(monkeypatch):
    def interrupted(self, X, y=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(BernoulliRBM, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stack(autoencoder="rbm").fit(X, CLASSES)


def test_ctrl_c_while_refitting_leaves_the_fit_of_before(monkeypatch):
    model = fitted()
    before, answers = weights_of(model), model.predict(X)
    InterruptAt(monkeypatch, 8)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS)
    assert weights_of(model) == before
    np.testing.assert_array_equal(model.predict(X), answers)


@pytest.mark.filterwarnings("always:Training interrupted")
def test_ctrl_c_while_fine_tuning_keeps_the_best(monkeypatch):
    InterruptAt(monkeypatch, 8)
    with pytest.warns(UserWarning, match="weights found so far are kept"):
        model = stack(autoencoder=None).fit(X, CLASSES)
    monkeypatch.undo()
    assert 0 < model.n_iter_ < 8
    assert model.loss_ == model.loss_curve_.min()
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X).argmax(1))


@pytest.mark.parametrize(("sizes", "n_iter"), [((4,), 10), ((4, 3), 25)])
def test_fine_tuning_of_more_layers_looks_back_further(sizes, n_iter):
    """Where any progress is too little, it ends as soon as there is enough to see."""
    assert fitted(sizes=sizes, max_iter=50, tol=1e3).n_iter_ == n_iter


# -- what is said ------------------------------------------------------------------


def test_verbose_names_the_stages_in_order():
    with redirect_stdout(io.StringIO()) as said:
        fitted(verbose=1)
    lines = said.getvalue().splitlines()
    stages = [
        "layer 1 of 2: SparseAutoencoder, 4 -> 5",
        "layer 2 of 2: SparseAutoencoder, 5 -> 3",
        "output layer",
        "fine-tuning",
    ]
    assert [line for line in lines if line in stages] == stages
    assert sum("iteration    10" in line for line in lines) == 3


def test_silent_by_default(capsys):
    fitted()
    assert capsys.readouterr() == ("", "")


@pytest.mark.filterwarnings("always:Fine-tuning stopped")
@STACKS
def test_only_fine_tuning_warns_of_its_limit(cls):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted(cls)
    assert [str(w.message)[:35] for w in caught] == [
        "Fine-tuning stopped at max_iter=15 "
    ]
    assert f"before {cls.__name__} converged" in str(caught[0].message)
    assert caught[0].filename == __file__  # where fit was called


@pytest.mark.parametrize(
    "cls", [StackedAutoencoderClassifier, StackedAutoencoderRegressor]
)
def test_the_output_layer_warns_of_its_limit_where_it_comes_last(cls):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted(cls, fine_tune=False, max_iter=2, tol=1e-8)
    assert [str(w.message)[:34] for w in caught] == [
        "The output layer stopped at max_it"
    ]
    assert caught[0].filename == __file__


def test_loss_curves_of_every_stage():
    model = fitted()
    assert list(model.loss_curves_) == ["layer 1", "layer 2", "output", "fine-tuning"]
    for curve in model.loss_curves_.values():
        assert (np.diff(curve) <= 0).all()
    # Fine-tuning begins with what the output layer ended on, in another J: the
    # decay of the encoder is counted as well.
    decay = 1e-4 / 2 * sum((W.components_**2).sum() for W in model.layers_)
    start = model.loss_curves_["output"][-1] + decay
    assert model.loss_curves_["fine-tuning"][0] < start * (1 + 1e-9)
    assert list(fitted(autoencoder=None).loss_curves_) == ["fine-tuning"]
    assert "output" not in fitted(StackedAutoencoder).loss_curves_
    without = fitted(fine_tune=False)
    assert list(without.loss_curves_) == ["layer 1", "layer 2", "output"]
    assert (without.loss_, without.loss_curve_, without.n_iter_) == (None, None, 0)


# -- answers -----------------------------------------------------------------------


def test_probabilities():
    model = fitted()
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(np.log(p), model.predict_log_proba(X), rtol=1e-8)
    names = np.array(["b", "a", "c"])
    named = stack().fit(X, names[CLASSES])
    assert list(named.classes_) == ["a", "b", "c"]
    assert named.score(X, names[CLASSES]) == (named.predict(X) == names[CLASSES]).mean()


@pytest.mark.parametrize("y", [CLASSES, LABELS], ids=["classes", "labels"])
def test_logarithms_are_finite_where_probabilities_underflow(y):
    model = stack(autoencoder=None, activation="identity", max_iter=50).fit(X, y)
    far = 1e5 * (X - 0.5)
    assert (model.predict_proba(far) == 0).any()
    logarithms = model.predict_log_proba(far)
    assert np.isfinite(logarithms).all() and (logarithms < -800).any()


def test_labels():
    model = stack(autoencoder=None, max_iter=100).fit(X, LABELS)
    assert model.predict(X).shape == model.predict_proba(X).shape == LABELS.shape
    assert set(np.unique(model.predict(X))) == {0, 1}
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X) > 0.5)
    assert model.score(X, LABELS) > 0.8
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])


@pytest.mark.parametrize("shape", [(150,), (150, 1), (150, 2)])
def test_numbers_in_the_shape_they_came(shape):
    y = np.resize(NUMBERS, shape)
    model = stack(StackedAutoencoderRegressor).fit(X, y)
    assert model.predict(X).shape == shape


@STACKS
def test_columns_of_the_codes(cls):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = stack(cls).set_output(transform="pandas").fit(frame, TARGETS[cls])
    codes = model.transform(frame)
    names = [f"{cls.__name__.lower()}{i}" for i in range(3)]
    assert list(codes.columns) == list(model.get_feature_names_out()) == names
    np.testing.assert_array_equal(codes, fitted(cls).transform(X))
    assert list(model.feature_names_in_) == list("abcd")


@STACKS
@pytest.mark.parametrize(
    "autoencoder", ["sparse", "rbm", BernoulliRBM(), None], ids=repr
)
def test_pickles_and_clones(cls, autoencoder):
    params = {"autoencoder": autoencoder}
    if cls is StackedAutoencoder:
        params["output_activation"] = "logistic"
    model = fitted(cls, **params)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.transform(X), model.transform(X))
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    again = clone(model).fit(X, TARGETS[cls])
    assert weights_of(again) == weights_of(model)


def test_nested_parameters():
    model = stack(autoencoder=SparseAutoencoder())
    assert model.get_params()["autoencoder__sparsity_target"] == "auto"
    model.set_params(autoencoder__sparsity_target=0.2)
    model.fit(X, CLASSES)
    assert {layer.sparsity_target for layer in model.layers_} == {0.2}
    assert not hasattr(model.autoencoder, "components_")  # it was cloned


@STACKS
def test_displays_with_a_link_to_its_documentation(cls):
    shown = cls(autoencoder=SparseAutoencoder())._repr_html_()
    for name in (cls.__name__, "SparseAutoencoder"):
        assert f"skae.readthedocs.io/en/stable/generated/skae.{name}.html" in shown
