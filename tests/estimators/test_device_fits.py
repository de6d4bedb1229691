"""Estimators on arrays that lie on a device: results follow X, and X stays there."""

import copy
import pickle

import numpy as np
import pytest
from device_array import TRANSFERS, DeviceArray, on_test_device
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import (
    AutoencoderCV,
    AutoencoderImputer,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    HeldOutEntriesScorer,
    ReconstructionOutlierDetector,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
    TopKAutoencoder,
    autoencoder_path,
    compare,
)
from skae.rows.device import DeviceRows
from skae.training.stages import GROWTH

X, LABELS = load_digits(return_X_y=True)
X, LABELS = X[:200, 8:40] / 16, LABELS[:200]
WEIGHTS = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
ARRAYS = {
    *("components_", "intercept_hidden_", "decoder_components_", "mean_activation_"),
    *("intercept_visible_", "code_scale_", "loss_curve_"),
}
pytestmark = pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) (stopped|of)")


@pytest.fixture(autouse=True)
def dispatch(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    try:
        context = config_context(array_api_dispatch=True)
        context.__enter__()
    except ImportError as error:
        pytest.skip(f"scikit-learn: {error}")
    yield
    context.__exit__(None, None, None)


FITTED = SparseAutoencoder(2)  # whose predict is not called
SHORT = {"n_components": 6, "max_iter": 25, "random_state": 0}
ESTIMATORS = {
    "sparse": SparseAutoencoder(**SHORT),
    "l1 of codes": SparseAutoencoder(**SHORT, sparsity="l1", activation="relu"),
    "log loss, tied": SparseAutoencoder(
        **SHORT, output_activation="logistic", loss="log_loss", tied_weights=True
    ),
    "contractive": ContractiveAutoencoder(**SHORT),
    "early stopping": SparseAutoencoder(**SHORT, early_stopping=True),
    "several starts": SparseAutoencoder(**SHORT, n_init=2, n_jobs=2),
    "kinked": SparseAutoencoder(**SHORT, l1_ratio=0.5, alpha=3e-3),
    "adam": SparseAutoencoder(**SHORT | {"max_iter": 4}, solver="adam"),
    "adam, kinked": ContractiveAutoencoder(
        **SHORT | {"max_iter": 4}, solver="adam", l1_ratio=0.5
    ),
}


def host(value):
    return value.get() if isinstance(value, DeviceArray) else value


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_all_follows_x_and_equals_what_numpy_gives(name, weights):
    there = on_test_device(X)
    here = clone(ESTIMATORS[name]).set_params(n_jobs=None)
    here.fit(X, sample_weight=weights)
    device = clone(ESTIMATORS[name])
    s = None if weights is None else on_test_device(weights)
    assert device.fit(there, sample_weight=s) is device
    assert {k for k, v in vars(device).items() if isinstance(v, DeviceArray)} >= ARRAYS
    assert not any(isinstance(v, np.ndarray) for v in vars(device).values())
    assert device.loss_ == pytest.approx(here.loss_, rel=1e-8)
    for attribute in ARRAYS:
        a, b = host(getattr(device, attribute)), getattr(here, attribute)
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8, err_msg=attribute)
    for method in ("transform", "predict", "score_samples"):
        result = getattr(device, method)(there)
        assert isinstance(result, DeviceArray)
        expected = getattr(here, method)(X)
        np.testing.assert_allclose(host(result), expected, rtol=1e-6, atol=1e-7)
    codes = device.transform(there)
    np.testing.assert_allclose(
        host(device.inverse_transform(codes)), here.predict(X), rtol=1e-6, atol=1e-7
    )
    assert device.score(there, sample_weight=s) == pytest.approx(
        here.score(X, sample_weight=weights), abs=1e-8
    )


@pytest.mark.parametrize(
    ("estimator", "l1_ratio", "an_evaluation"),
    [
        (SparseAutoencoder, 0, 2),
        (ContractiveAutoencoder, 0, 2),
        (SparseAutoencoder, 0.5, 3),
    ],
)
def test_few_transfers_an_evaluation(estimator, l1_ratio, an_evaluation):
    there = on_test_device(X)
    kinked = {"l1_ratio": l1_ratio, "n_components": 20, "tol": 0, "random_state": 0}

    def transfers(max_iter):
        model = estimator(**kinked, max_iter=max_iter)
        del TRANSFERS[:]
        model.fit(there)
        return model, [*TRANSFERS]

    # Up to here both do the same, and at the end, too.
    shorter, few = transfers(40)
    longer, many = transfers(90)
    assert (shorter.n_iter_, longer.n_iter_) == (40, 90)
    evaluations = _evaluations(longer) - _evaluations(shorter)
    assert evaluations >= 50
    assert len(many) - len(few) <= an_evaluation * evaluations
    common = few[:-20]  # of the set-up: the rows' sample, means, weights at a stage
    assert many[: len(common)] == common
    numbers = 20 + 20 if an_evaluation == 2 else 2 * (2 * 10 + 1) + 4
    assert max(many[len(common) : -20]) <= numbers


def _evaluations(model):
    """Evaluations of the same fit, counted by the engine."""
    from skae.engines.threads import ThreadEngine

    count, original = 0, ThreadEngine.__call__

    def counted(self, theta):
        nonlocal count
        count += 1
        return original(self, theta)

    ThreadEngine.__call__ = counted
    try:
        clone(model).fit(on_test_device(X))
    finally:
        ThreadEngine.__call__ = original
    return count


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize(
    "corruption", ["auto", "masking", "gaussian", "salt_and_pepper"]
)
def test_denoising_draws_noise_on_the_device(corruption, solver):
    model = DenoisingAutoencoder(
        **SHORT | {"max_iter": 40},
        corruption=corruption,
        corruption_level=0.2,
        solver=solver,
        emphasis=None if corruption in ("auto", "gaussian") else (1, 0.5),
        output_activation="logistic",
    )
    there = on_test_device(X)
    device, again = clone(model).fit(there), clone(model).fit(there)
    here = clone(model).fit(X)
    np.testing.assert_array_equal(host(device.components_), host(again.components_))
    assert device.score(there) == pytest.approx(here.score(X), abs=0.05)
    noisy = device.corrupt(there, random_state=3)
    assert isinstance(noisy, DeviceArray)
    assert 0.01 < np.mean((host(noisy) - X) ** 2) < 0.2


STACK = {"hidden_layer_sizes": (8, 5), "max_iter": 10, "random_state": 0}
STACKS = {
    "autoencoder": StackedAutoencoder(**STACK, autoencoder="sparse"),
    "from random weights, adam": StackedAutoencoder(
        **STACK | {"max_iter": 3}, autoencoder=None, solver="adam"
    ),
    "classifier": StackedAutoencoderClassifier(
        **STACK, autoencoder="contractive", decay="start"
    ),
    "early stopping": StackedAutoencoderClassifier(
        **STACK, autoencoder="sparse", early_stopping=True
    ),
    "many labels": StackedAutoencoderClassifier(**STACK, autoencoder="sparse"),
    "regressor": StackedAutoencoderRegressor(**STACK, autoencoder="sparse"),
}
Y = {
    "classifier": LABELS,
    "early stopping": LABELS,
    "many labels": np.stack([LABELS % 2, LABELS > 4], axis=1).astype(int),
    "regressor": X[:, :2] + LABELS[:, np.newaxis] / 9,
}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", STACKS)
def test_stacks_follow_x(name, weights):
    there, y = on_test_device(X), Y.get(name)
    here, device = clone(STACKS[name]), clone(STACKS[name])
    here.fit(X, y, sample_weight=weights)
    device.fit(there, None if y is None else on_test_device(y), sample_weight=weights)
    kept = {k for k, v in vars(device).items() if isinstance(v, np.ndarray)}
    assert kept <= {"classes_"}
    assert all(isinstance(W, DeviceArray) for W in device.coefs_)
    for layer in device.layers_ or ():
        assert isinstance(layer.components_, DeviceArray)
        assert isinstance(layer.code_scale_, DeviceArray)
    assert device.loss_ == pytest.approx(here.loss_, rel=1e-7)
    for method in ("transform", "predict", "predict_proba", "predict_log_proba"):
        if hasattr(device, method):
            result = getattr(device, method)(there)
            assert isinstance(result, DeviceArray)
            expected = getattr(here, method)(X)
            np.testing.assert_allclose(host(result), expected, rtol=1e-5, atol=1e-6)
    assert device.score(there, y) == pytest.approx(here.score(X, y), abs=1e-6)


def test_stacks_with_dropout_rows_without_labels_and_words():
    there, words = on_test_device(X), np.array(["even", "odd"])[LABELS % 2]
    options = {**STACK, "autoencoder": "sparse"}
    dropout = StackedAutoencoderClassifier(
        **options | {"max_iter": 60}, solver="adam", hidden_dropout=0.2
    ).fit(there, words)
    assert dropout.score(there, words) > 0.65
    assert dropout.predict(there).dtype.kind == "U"
    here = StackedAutoencoderClassifier(**options)
    device = clone(here)
    here.fit(X[:100], LABELS[:100], X_unlabeled=X[100:])
    device.fit(there[:100], LABELS[:100], X_unlabeled=there[100:])
    assert device.loss_ == pytest.approx(here.loss_, rel=1e-7)
    device.set_params(warm_start=True).fit(there[:100], LABELS[:100])
    with pytest.raises(ValueError, match="X and X_unlabeled must be arrays of the sam"):
        clone(here).fit(there[:100], LABELS[:100], X_unlabeled=X[100:])
    with pytest.raises(ValueError, match="X and X_unlabeled must be arrays of the sam"):
        clone(here).fit(X[:100], LABELS[:100], X_unlabeled=there[100:])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(here).fit(there, LABELS[:100])


def test_growing_samples_stay_on_the_device(monkeypatch):
    monkeypatch.setattr(
        "skae.training.stages.GROWTH", type(GROWTH)(150, 40, 2, 0.5, 10)
    )
    model = SparseAutoencoder(6, max_iter=60, random_state=0)
    here, device = clone(model).fit(X), clone(model).fit(on_test_device(X))
    np.testing.assert_allclose(
        host(device.loss_curve_)[:20], here.loss_curve_[:20], rtol=1e-7
    )


def test_partial_fit_and_warm_start_go_on():
    there = on_test_device(X)
    online = SparseAutoencoder(6, solver="adam", random_state=0)
    here = clone(online)
    for _ in range(3):
        online.partial_fit(there)
        here.partial_fit(X)
    assert isinstance(online.components_, DeviceArray)
    np.testing.assert_allclose(host(online.components_), here.components_, atol=1e-9)
    warm = SparseAutoencoder(6, max_iter=5, warm_start=True, random_state=0)
    first = warm.fit(there).loss_
    assert warm.fit(there).loss_ < first
    with pytest.raises(ValueError, match="same namespace"):
        warm.fit(X)


def test_float32_integers_and_order():
    single = SparseAutoencoder(**SHORT).fit(on_test_device(X.astype(np.float32)))
    assert single.components_.dtype == np.float32
    assert single.transform(on_test_device(X.astype(np.float32))).dtype == np.float32
    whole = np.round(16 * X).astype(np.int64)
    integers = SparseAutoencoder(**SHORT).fit(on_test_device(whole))
    floats = SparseAutoencoder(**SHORT).fit(on_test_device(whole.astype(float)))
    assert integers.loss_ == floats.loss_
    columns = DeviceArray(np.asfortranarray(X))
    assert not columns.flags.c_contiguous
    assert SparseAutoencoder(**SHORT).fit(columns).loss_ == pytest.approx(
        SparseAutoencoder(**SHORT).fit(X).loss_, rel=1e-8
    )


def test_a_file_loads_without_a_device_and_copies_stay_there():
    there = on_test_device(X)
    model = SparseAutoencoder(**SHORT).fit(there)
    codes = host(model.transform(there))
    for copied in (copy.copy(model), copy.deepcopy(model)):
        np.testing.assert_array_equal(host(copied.transform(there)), codes)
    loaded = pickle.loads(pickle.dumps(model))
    assert isinstance(loaded.components_, np.ndarray)
    np.testing.assert_allclose(loaded.transform(X), codes, rtol=1e-12)


def test_another_kind_is_refused_as_scikit_learn_does():
    model = SparseAutoencoder(**SHORT).fit(on_test_device(X))
    here = SparseAutoencoder(**SHORT).fit(X)
    for method in ("transform", "predict", "score", "score_samples"):
        with pytest.raises(ValueError, match=rf"\.{method}\(\) must use the same name"):
            getattr(model, method)(X)
        with pytest.raises(ValueError, match="same namespace"):
            getattr(here, method)(on_test_device(X))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (DenoisingAutoencoder(corruption=lambda X, U: X), "corruption=callable needs"),
        (SparseCoding(3), "SparseCoding does not compute on a device"),
        (
            StackedAutoencoder(3, autoencoder="rbm", output_activation="logistic"),
            r"BernoulliRBM\(.*\) cannot learn from arrays on a device",
        ),
        (TopKAutoencoder(3), "TopKAutoencoder does not compute on a device"),
    ],
)
def test_what_does_not_go_there_says_so(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(on_test_device(X))


@pytest.mark.parametrize("dispatches", [False, True])
@pytest.mark.parametrize(
    ("name", "compute"),
    [
        ("AutoencoderCV", AutoencoderCV(param_name="alpha").fit),
        ("autoencoder_path", lambda X: autoencoder_path(SparseAutoencoder(3), X)),
        ("compare", lambda X: compare(SparseAutoencoder(3), X)),
        ("HeldOutEntriesScorer", lambda X: HeldOutEntriesScorer()(FITTED, X)),
        ("AutoencoderImputer", AutoencoderImputer().fit),
        ("ReconstructionOutlierDetector", ReconstructionOutlierDetector().fit),
        ("SparseCoding", SparseCoding(3).fit_transform),
    ],
)
def test_what_computes_on_the_host_alone_says_so(name, compute, dispatches):
    del TRANSFERS[:]
    with config_context(array_api_dispatch=dispatches):
        with pytest.raises(
            ValueError, match=rf"{name} does not compute on a device, .* X\.get\(\)"
        ):
            compute(on_test_device(X))
    assert not TRANSFERS


def test_bad_input_is_refused():
    bad = X.copy()
    bad[3, 4] = np.nan
    model = SparseAutoencoder(**SHORT)
    with pytest.raises(ValueError, match="NaN or infinity"):
        model.fit(on_test_device(bad))
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        model.fit(on_test_device(X[0]))
    with pytest.raises(ValueError, match="0 sample"):
        model.fit(on_test_device(X[:0]))
    with pytest.raises(ValueError, match="real numbers"):
        model.fit(on_test_device(X.astype(complex)))
    model.fit(on_test_device(X))
    with pytest.raises(ValueError, match="31 features"):
        model.transform(on_test_device(X[:, 1:]))
    with pytest.raises(ValueError, match="columns, but inverse_transform"):
        model.inverse_transform(on_test_device(X))
    with config_context(array_api_dispatch=False):
        with pytest.raises(ValueError, match=r"set_config\(array_api_dispatch=True\)"):
            model.fit(on_test_device(X))


def test_rows_come_to_the_host_as_a_sample_only():
    rows = DeviceRows(on_test_device(np.tile(X, (100, 1))))
    del TRANSFERS[:]
    sample = rows.sample(500).local_rows.on_host()
    assert TRANSFERS == [500 * X.shape[1]]
    assert isinstance(sample.given, np.ndarray)
