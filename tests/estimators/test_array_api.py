"""Arrays of other libraries in the host's memory: they go through NumPy, and back.

scikit-learn's own checks of this are run by tests/test_common.py.
"""

import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from device_array import on_test_device
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoencoderCV,
    AutoencoderImputer,
    DenoisingAutoencoder,
    HeldOutEntriesScorer,
    ReconstructionOutlierDetector,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
    TopKAutoencoder,
    autoencoder_path,
    compare,
)
from skae.rows.array_api import Kind, in_host_memory, inward, is_foreign, outward

X, Y = load_digits(return_X_y=True)
X, Y = X[:150, 8:40] / 16, Y[:150]
pytestmark = pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) (stopped|of)")
SHORT = {"n_components": 4, "max_iter": 8, "random_state": 0}
STACK = {"hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0}


@pytest.fixture
def dispatch(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    try:
        context = config_context(array_api_dispatch=True)
        context.__enter__()
    except ImportError as error:
        pytest.skip(f"scikit-learn: {error}")
    yield
    context.__exit__(None, None, None)


@pytest.fixture(params=["array_api_strict", "torch", "jax.numpy"])
def xp(request):
    library = pytest.importorskip(request.param)
    if request.param != "jax.numpy":
        yield library
        return
    jax = sys.modules["jax"]
    jax.config.update("jax_enable_x64", True)  # for the bits of NumPy's
    yield library
    jax.config.update("jax_enable_x64", False)


def host(array):
    return inward(array)


def test_fit_and_results_follow_x(dispatch, xp):
    here = SparseAutoencoder(**SHORT).fit(X)
    there = SparseAutoencoder(**SHORT).fit(xp.asarray(X))
    kind = type(xp.asarray(X))
    assert isinstance(there.components_, kind)
    assert isinstance(there.loss_curve_, kind)
    np.testing.assert_array_equal(host(there.components_), here.components_)
    for method in ("transform", "predict", "score_samples"):
        result = getattr(there, method)(xp.asarray(X))
        assert isinstance(result, kind)
        np.testing.assert_array_equal(host(result), getattr(here, method)(X))
    back = there.inverse_transform(there.transform(xp.asarray(X)))
    np.testing.assert_allclose(host(back), here.predict(X), atol=1e-12)
    assert there.score(xp.asarray(X)) == here.score(X)
    again = there.fit_transform(xp.asarray(X))
    np.testing.assert_array_equal(host(again), here.transform(X))


def test_partial_fit_goes_on(dispatch, xp):
    here = SparseAutoencoder(4, solver="adam", random_state=0)
    there = clone(here)
    for _ in range(2):
        here.partial_fit(X)
        there.partial_fit(xp.asarray(X))
    np.testing.assert_array_equal(host(there.components_), here.components_)


def test_targets_and_weights_may_be_of_any_kind(dispatch, xp):
    weights = np.linspace(0.5, 2, len(X))
    classifier = StackedAutoencoderClassifier(**STACK)
    here = clone(classifier).fit(X, Y, sample_weight=weights)
    there = clone(classifier).fit(
        xp.asarray(X), xp.asarray(Y), sample_weight=xp.asarray(weights)
    )
    assert isinstance(there.coefs_[0], type(xp.asarray(X)))
    np.testing.assert_array_equal(host(there.predict(xp.asarray(X))), here.predict(X))
    np.testing.assert_array_equal(
        host(there.predict_proba(xp.asarray(X))), here.predict_proba(X)
    )
    assert there.score(xp.asarray(X), Y) == here.score(X, Y)
    # X alone says what comes out.
    mixed = clone(classifier).fit(X, xp.asarray(Y), sample_weight=xp.asarray(weights))
    assert isinstance(mixed.coefs_[0], np.ndarray)
    words = np.array(["even", "odd"])[Y % 2]
    labels = clone(classifier).fit(xp.asarray(X), words).predict(xp.asarray(X))
    assert set(labels) <= {"even", "odd"}
    regressor = StackedAutoencoderRegressor(**STACK, autoencoder="sparse")
    regressor.fit(xp.asarray(X), xp.asarray(Y.astype(float)))
    assert isinstance(regressor.predict(xp.asarray(X)), type(xp.asarray(X)))
    # The autoencoders that it has been pre-trained by are of X's kind, too.
    assert isinstance(regressor.layers_[0].components_, type(xp.asarray(X)))


def test_a_fit_that_fails_leaves_all_as_it_was(dispatch, xp):
    there = SparseAutoencoder(**SHORT).fit(xp.asarray(X))
    before = vars(there).copy()
    with pytest.raises(ValueError, match="Expected 2D"):
        there.fit(xp.asarray(X[0]))
    assert vars(there) == before


def test_codes_in_csr_stay_csr(dispatch, xp):
    there = TopKAutoencoder(**SHORT, n_nonzero_coefs=1).fit(xp.asarray(X))
    assert issparse(there.transform(xp.asarray(X)))
    assert isinstance(there.components_, type(xp.asarray(X)))
    assert isinstance(there.predict(xp.asarray(X)), type(xp.asarray(X)))
    coding = SparseCoding(**SHORT).fit(xp.asarray(X))
    assert isinstance(coding.transform(xp.asarray(X)), type(xp.asarray(X)))


def test_another_kind_is_refused(dispatch, xp):
    there = SparseAutoencoder(**SHORT).fit(xp.asarray(X))
    for given in (X, X.tolist()):
        with pytest.raises(ValueError, match=r"transform\(\) must use the same names"):
            there.transform(given)
    with pytest.raises(ValueError, match="same namespace"):
        SparseAutoencoder(**SHORT).fit(X).predict(xp.asarray(X))
    with pytest.raises(ValueError, match="same namespace"):
        there.set_params(warm_start=True).fit(X)


def test_outliers_follow_x(dispatch, xp):
    kind = type(xp.asarray(X))
    weights = np.linspace(0.5, 2, len(X))
    here = ReconstructionOutlierDetector(random_state=0)
    there = clone(here)
    here.fit(X, sample_weight=weights)
    assert there.fit(xp.asarray(X), sample_weight=xp.asarray(weights)) is there
    assert isinstance(there.scale_, kind)
    assert isinstance(there.estimator_[-1].components_, kind)
    assert there.offset_ == here.offset_
    for method in ("score_samples", "feature_scores", "decision_function", "predict"):
        result = getattr(there, method)(xp.asarray(X))
        assert isinstance(result, kind)
        np.testing.assert_array_equal(host(result), getattr(here, method)(X))
    np.testing.assert_array_equal(
        host(there.fit_predict(xp.asarray(X))), here.fit_predict(X)
    )
    online = SparseAutoencoder(4, solver="adam", random_state=0)
    here, there = (ReconstructionOutlierDetector(clone(online)) for _ in range(2))
    for _ in range(2):
        here.partial_fit(X)
        there.partial_fit(xp.asarray(X))
    assert isinstance(there.center_, kind)
    assert there.offset_ == here.offset_
    with pytest.raises(ValueError, match="same namespace"):
        there.predict(X)


def test_imputation_follows_x(dispatch, xp):
    missing = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    options = {"add_indicator": True, "random_state": 0}
    here = AutoencoderImputer(SparseAutoencoder(**SHORT), **options)
    there = clone(here)
    filled = there.fit_transform(xp.asarray(missing))
    assert isinstance(filled, type(xp.asarray(X)))
    assert isinstance(there.estimators_[0].components_, type(xp.asarray(X)))
    np.testing.assert_array_equal(host(filled), here.fit_transform(missing))
    with pytest.raises(ValueError, match="same namespace"):
        there.transform(missing)


def test_tables_and_searches_are_those_of_numpy(dispatch, xp):
    model, there, y = SparseAutoencoder(**SHORT), xp.asarray(X), xp.asarray(Y)
    for of_numpy, of_kind in ((None, None), (Y, y)):
        a = compare(model, X, of_numpy, cv=2, scaler=StandardScaler())
        b = compare(model, there, of_kind, cv=2, scaler=StandardScaler())
        for row, expected in zip(b.rows, a.rows, strict=True):
            assert row["score"] == expected["score"]
            assert row["sparsity"] == expected["sparsity"]
    values = {"param_name": "alpha", "param_range": [1e-3, 1e-1]}
    a, b = (autoencoder_path(model, data, **values) for data in (X, there))
    np.testing.assert_array_equal(b.losses, a.losses)
    np.testing.assert_array_equal(b.mean_codes, a.mean_codes)
    for scoring in (None, HeldOutEntriesScorer()):
        a = AutoencoderCV(model, **values, cv=2, scoring=scoring).fit(X)
        b = AutoencoderCV(model, **values, cv=2, scoring=scoring).fit(there)
        np.testing.assert_array_equal(b.score_path_, a.score_path_)
        assert isinstance(b.transform(there), type(there))


def test_scikit_learn_moves_an_estimator(dispatch, xp):
    try:
        from sklearn.utils._array_api import get_namespace_and_device, move_estimator_to
    except ImportError:
        pytest.skip("scikit-learn has move_estimator_to from 1.9 on")
    here = DenoisingAutoencoder(**SHORT).fit(X)
    namespace, _, device = get_namespace_and_device(xp.asarray(X))
    there = move_estimator_to(here, namespace, device)
    np.testing.assert_array_equal(
        host(there.transform(xp.asarray(X))), here.transform(X)
    )
    back = move_estimator_to(there, np, "cpu")
    np.testing.assert_array_equal(back.transform(X), here.transform(X))


def test_pickles(dispatch, xp):
    there = SparseAutoencoder(**SHORT).fit(xp.asarray(X))
    loaded = pickle.loads(pickle.dumps(there))
    np.testing.assert_array_equal(
        host(loaded.transform(xp.asarray(X))), host(there.transform(xp.asarray(X)))
    )


def test_tensors_are_not_copied(dispatch):
    torch = pytest.importorskip("torch")
    tensor = torch.asarray(X).clone()
    assert inward(tensor).ctypes.data == tensor.data_ptr()
    assert inward(tensor.requires_grad_()).ctypes.data == tensor.data_ptr()


def test_arrays_of_jax_never_change(dispatch):
    jnp = pytest.importorskip("jax.numpy")
    array = np.ones(1000)
    there = outward(jnp.zeros(1))(array)
    array[:] = 2
    assert (there == 1).all()
    given = jnp.asarray(X)
    model = SparseAutoencoder(**SHORT, solver="adam").fit(given)
    held = {k: v for k, v in vars(model).items() if isinstance(v, type(given))}
    before = {k: np.array(v) for k, v in held.items()}
    model.partial_fit(given)
    model.set_params(warm_start=True).fit(given)
    assert {*held} >= {"components_", "loss_curve_"}
    for name, value in held.items():
        np.testing.assert_array_equal(value, before[name])
    np.testing.assert_array_equal(given, X.astype(given.dtype))


def test_jax_without_float64_is_float32(dispatch):
    jnp = pytest.importorskip("jax.numpy")
    here = SparseAutoencoder(**SHORT).fit(X.astype(np.float32))
    there = SparseAutoencoder(**SHORT).fit(jnp.asarray(X))
    assert there.components_.dtype == there.loss_curve_.dtype == np.float32
    np.testing.assert_array_equal(there.components_, here.components_)


class Tensor:
    """As far as we look: a tensor of torch on a GPU, around an array of the device."""

    __module__ = "torch"
    device = SimpleNamespace(type="cuda")

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    @classmethod
    def asarray(cls, array, device):
        assert device is cls.device
        return cls(on_test_device(array))


class JaxArray(Tensor):
    """The same of JAX, whose memory is only to be read."""

    __module__ = "jaxlib._jax"
    device = SimpleNamespace(platform="gpu")

    def __init__(self, array):
        super().__init__(array)
        array._array.flags.writeable = False

    @classmethod
    def asarray(cls, array, device, copy):
        assert device is cls.device and copy
        there = isinstance(array, Tensor)  # from_dlpack's
        return cls(array.array.copy() if there else on_test_device(array))

    def block_until_ready(self):
        return self


@pytest.fixture(params=[Tensor, JaxArray])
def on_gpu(request, monkeypatch):
    """The class of arrays on a GPU of torch or of JAX, which need not be installed."""
    kind = request.param
    for name, library in (("torch", Tensor), ("jax.numpy", JaxArray)):
        namespace = SimpleNamespace(asarray=library.asarray, from_dlpack=Tensor)
        monkeypatch.setitem(sys.modules, name, namespace)
    # What CuPy shares with an array of JAX stays as writeable as that.
    monkeypatch.setattr(
        "skae.rows.array_api._shared_with_cupy", lambda array: array.array
    )
    return kind


def test_arrays_on_a_gpu_are_computed_with_as_cupys(dispatch, on_gpu):
    given = on_gpu(on_test_device(X))
    here = SparseAutoencoder(**SHORT).fit(X)
    there = SparseAutoencoder(**SHORT).fit(given)
    for attribute in ("components_", "mean_activation_", "code_scale_", "loss_curve_"):
        value = getattr(there, attribute)
        assert isinstance(value, on_gpu)
        np.testing.assert_allclose(
            value.array.get(), getattr(here, attribute), rtol=1e-8
        )
    for method in ("transform", "predict", "score_samples", "fit_transform"):
        result = getattr(there, method)(given)
        assert isinstance(result, on_gpu)
        expected = getattr(here, method)(X)
        np.testing.assert_allclose(result.array.get(), expected, rtol=1e-8)
    assert there.score(given) == pytest.approx(here.score(X))
    with pytest.raises(ValueError, match="same namespace"):
        there.transform(X)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_fits_on_a_gpu_go_on(dispatch, on_gpu, solver):
    given = on_gpu(on_test_device(X))
    here = SparseAutoencoder(**SHORT, solver=solver, warm_start=True)
    there = clone(here)
    for data, model in ((X, here), (given, there)):
        model.fit(data).fit(data)
        if solver == "adam":
            model.partial_fit(data)
    np.testing.assert_allclose(
        there.components_.array.get(), here.components_, rtol=1e-6
    )


def test_tensors_on_a_gpu_are_saved_as_those_of_the_cpu(dispatch, on_gpu, monkeypatch):
    there = SparseAutoencoder(**SHORT).fit(Tensor(on_test_device(X)))
    monkeypatch.setattr(Tensor, "cpu", lambda self: "of the CPU", raising=False)
    saved = there.__getstate__()
    assert saved["components_"] == saved["loss_curve_"] == "of the CPU"


def test_arrays_elsewhere_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # not installed
    tensor = Tensor(X)
    with pytest.raises(ValueError, match=r"pip install cupy.*X\.cpu\(\)"):
        inward(tensor)
    tensor.device = SimpleNamespace(type="mps")
    with pytest.raises(ValueError, match=r"X\.cpu\(\)"):
        inward(tensor)
    array = JaxArray(on_test_device(X))
    with pytest.raises(ValueError, match=r"pip install cupy.*jax\.device_put\(X, "):
        inward(array)
    array.device = SimpleNamespace(platform="tpu")
    with pytest.raises(ValueError, match=r"on the CPU, jax\.device_put\(X, "):
        inward(array)
    for refused in (tensor, array):
        with pytest.raises(ValueError, match="compare does not compute on a device"):
            in_host_memory("compare", refused)
    array.device = SimpleNamespace(device_set={0, 1})
    with pytest.raises(ValueError, match=r"sharding.*single device; use jax\.dev"):
        inward(array)


def test_kinds():
    assert not any(map(is_foreign, [X, X.tolist(), None, 1.0]))
    assert Kind.of(X) == Kind.of(X.tolist()) == Kind("numpy", "")


def test_without_dispatch_all_becomes_numpys(xp):
    try:
        given = xp.asarray(X)
        np.asarray(given)
    except (RuntimeError, TypeError, ValueError):
        pytest.skip("it does not become one of NumPy's")
    model = SparseAutoencoder(**SHORT).fit(given)
    assert isinstance(model.components_, np.ndarray)
    assert isinstance(model.transform(given), np.ndarray)
