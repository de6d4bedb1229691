"""On an NVIDIA GPU, where there is one: arrays of CuPy, of PyTorch and of JAX.

What these tests check of real libraries, those of ``test_device_fits.py`` and
``test_array_api.py`` check everywhere on a stand-in.
"""

import os
import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import check_array_api_input

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)

# Otherwise JAX takes three quarters of the memory, and leaves CuPy the rest.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
cupy = pytest.importorskip("cupy")
try:
    N_DEVICES = cupy.cuda.runtime.getDeviceCount()
except cupy.cuda.runtime.CUDARuntimeError:
    N_DEVICES = 0

X, Y = load_digits(return_X_y=True)
X, Y = X[:300] / 16, Y[:300]
WEIGHTS = np.linspace(0.5, 2, len(X))
SHORT = {"n_components": 8, "max_iter": 15, "random_state": 0}
AUTOENCODERS = {
    "sparse": SparseAutoencoder(**SHORT),
    "l1": SparseAutoencoder(**SHORT, sparsity="l1", activation="relu"),
    "tied, log loss": SparseAutoencoder(
        **SHORT, tied_weights=True, output_activation="logistic", loss="log_loss"
    ),
    "logistic output": SparseAutoencoder(**SHORT, output_activation="logistic"),
    "l1_ratio": SparseAutoencoder(**SHORT, l1_ratio=0.5),
    "contractive": ContractiveAutoencoder(**SHORT),
    "early stopping": SparseAutoencoder(**SHORT, early_stopping=True),
    "adam": SparseAutoencoder(**SHORT | {"max_iter": 3}, solver="adam"),
}
pytestmark = [
    pytest.mark.skipif(not N_DEVICES, reason="there is no GPU"),
    pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) (stopped|of)"),
]


class Cupy:
    name, device = "cupy", None

    def __init__(self):
        self.there, self.host = cupy.asarray, cupy.asnumpy
        self.kind = cupy.ndarray


class Torch:
    name, device = "torch", "cuda"

    def __init__(self):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("torch has no GPU")
        self.kind = torch.Tensor
        self.there = lambda array: torch.asarray(array, device="cuda")
        self.host = lambda array: array.cpu().numpy()


class Jax:
    name, device = "jax.numpy", None

    def __init__(self):
        jax = pytest.importorskip("jax")
        if jax.default_backend() != "gpu":
            pytest.skip("JAX has no GPU")
        jax.config.update("jax_enable_x64", True)
        self.there, self.host, self.kind = jax.numpy.asarray, np.asarray, jax.Array


@pytest.fixture(params=[Cupy, Torch, Jax], ids=lambda kind: kind.name)
def library(request):
    return request.param()


@pytest.fixture(autouse=True)
def dispatch(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with config_context(array_api_dispatch=True):
        yield


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_fits_are_those_of_the_processor_and_follow_x(library, name):
    there, host = library.there, library.host
    here = clone(AUTOENCODERS[name]).fit(X, sample_weight=WEIGHTS)
    device = clone(AUTOENCODERS[name]).fit(there(X), sample_weight=there(WEIGHTS))
    assert device.loss_ == pytest.approx(here.loss_, rel=1e-8)
    for attribute in ("components_", "mean_activation_", "loss_curve_"):
        value = getattr(device, attribute)
        assert isinstance(value, library.kind)
        np.testing.assert_allclose(
            host(value), getattr(here, attribute), rtol=1e-5, atol=1e-7
        )
    for method in ("transform", "predict", "score_samples"):
        result = getattr(device, method)(there(X))
        assert isinstance(result, library.kind)
        expected = getattr(here, method)(X)
        np.testing.assert_allclose(host(result), expected, rtol=1e-5, atol=1e-6)
    back = device.inverse_transform(device.transform(there(X)))
    np.testing.assert_allclose(host(back), here.predict(X), rtol=1e-5, atol=1e-6)
    assert device.score(there(X)) == pytest.approx(here.score(X), abs=1e-6)


def test_stacks_learn_from_labels_of_any_kind(library):
    there, host = library.there, library.host
    # Denoising autoencoders, the default, meet other noise on a device.
    options = {"hidden_layer_sizes": (8, 4), "autoencoder": "sparse", "max_iter": 8}
    options["random_state"] = 0
    here = StackedAutoencoderClassifier(**options).fit(X, Y, sample_weight=WEIGHTS)
    device = StackedAutoencoderClassifier(**options)
    device.fit(there(X), there(Y), sample_weight=there(WEIGHTS))
    proba = device.predict_proba(there(X))
    assert isinstance(proba, library.kind)
    np.testing.assert_allclose(host(proba), here.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(host(device.predict(there(X))), here.predict(X))
    here = StackedAutoencoderRegressor(**options).fit(X, WEIGHTS)
    device = StackedAutoencoderRegressor(**options).fit(there(X), there(WEIGHTS))
    np.testing.assert_allclose(host(device.predict(there(X))), here.predict(X), 1e-5)


@pytest.mark.parametrize("corruption", ["masking", "gaussian", "salt_and_pepper"])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_noise_repeats(library, corruption, solver):
    model = DenoisingAutoencoder(8, corruption=corruption, solver=solver)
    model.set_params(max_iter=20, random_state=0)
    first, again = (clone(model).fit(library.there(X)) for _ in range(2))
    assert again.loss_ == pytest.approx(first.loss_, rel=1e-10)
    here = clone(model).fit(X)
    # With other noise than on the processor.
    assert first.score(library.there(X)) == pytest.approx(here.score(X), abs=0.05)
    noisy = first.corrupt(library.there(X))
    assert isinstance(noisy, library.kind)
    assert np.mean(library.host(noisy) != X) > 0.02


def test_fits_go_on(library):
    there = library.there(X)
    here = SparseAutoencoder(**SHORT | {"max_iter": 2}, solver="adam", warm_start=True)
    device = clone(here)
    for model, data in ((here, X), (device, there)):
        model.partial_fit(data).partial_fit(data)
        model.fit(data).fit(data)
    np.testing.assert_allclose(
        library.host(device.components_), here.components_, rtol=1e-5, atol=1e-8
    )


def test_saved_and_moved(library):
    move = pytest.importorskip("sklearn.utils._array_api")
    there = library.there(X)
    model = SparseAutoencoder(**SHORT).fit(there)
    codes = library.host(model.transform(there))
    saved = pickle.loads(pickle.dumps(model))
    on_host = move.move_estimator_to(model, np, "cpu")
    np.testing.assert_allclose(on_host.transform(X), codes, atol=1e-12)
    xp, _, device = move.get_namespace_and_device(there)
    back = move.move_estimator_to(on_host, xp, device)
    np.testing.assert_allclose(library.host(back.transform(there)), codes, atol=1e-12)
    if library.name == "cupy":
        assert isinstance(saved.components_, np.ndarray)
    if library.name == "torch":
        assert saved.components_.device.type == "cpu"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "estimator",
    [
        SparseAutoencoder(2),
        DenoisingAutoencoder(2, corruption_level=0),
        ContractiveAutoencoder(2),
        StackedAutoencoderClassifier((2,), autoencoder="sparse"),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_checks_of_scikit_learn(library, estimator, dtype):
    if library.name == "jax.numpy":
        pytest.skip("scikit-learn has no checks for JAX")
    if library.name == "cupy":
        if dtype == "float32":
            pytest.skip("scikit-learn checks CuPy in float64")
        dtype = None
    check_array_api_input(
        type(estimator).__name__,
        clone(estimator).set_params(max_iter=5),
        library.name,
        device_name=library.device,
        dtype_name=dtype,
        check_values=True,
    )


def test_another_kind_is_refused(library):
    model = SparseAutoencoder(**SHORT).fit(library.there(X))
    with pytest.raises(ValueError, match="same namespace"):
        model.transform(X)
    with pytest.raises(ValueError, match="NaN or infinity"):
        SparseAutoencoder(**SHORT).fit(library.there(np.where(X > 0.9, np.nan, X)))


def test_rows_on_the_device_are_not_copied():
    rows = cupy.random.default_rng(0).random((400_000, 500), dtype=np.float32)
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()  # where a copy would lie unseen
    before = pool.total_bytes()
    model = SparseAutoencoder(4, max_iter=2, random_state=0)
    with pytest.MonkeyPatch.context() as patch:
        # Blocks, and what is computed of them, are small beside the rows.
        patch.setattr("skae.rows.device._BLOCK_NUMBERS", 2**22)
        model.fit(rows)
    assert pool.total_bytes() - before < rows.nbytes / 2
