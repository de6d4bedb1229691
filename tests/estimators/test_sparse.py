"""What SparseAutoencoder learns: the stated objective, PCA's subspace, any scale."""

import numpy as np
import pytest
import textbook
from covering import every_pair
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import r2_score

from skae import SparseAutoencoder

pytestmark = pytest.mark.filterwarnings("ignore:Training stopped")

DIGITS = load_digits().data[:300]
IRIS = load_iris().data
UNIT = np.random.default_rng(0).uniform(size=(60, 6))  # in [0, 1]
WEIGHTS = np.random.default_rng(1).uniform(0.1, 3, 300)

FLAVOURS = {
    "kl": {},
    "kl-tanh": {"activation": "tanh", "sparsity_target": 0.3},
    "kl-weights-given": {"alpha": 0.01, "sparsity_weight": 2.0},
    "l1-relu": {"activation": "relu", "sparsity": "l1"},
    "l1-tied": {"sparsity": "l1", "tied_weights": True, "sparsity_weight": 0.1},
    "linear": {"activation": "identity", "sparsity": None},
    "logistic-output": {"output_activation": "logistic"},
    "log-loss": {"output_activation": "logistic", "loss": "log_loss"},
}
flavours = pytest.mark.parametrize("flavour", FLAVOURS.values(), ids=FLAVOURS)


def fitted(X, sample_weight=None, **params):
    params = {"n_components": 4, "max_iter": 50, "random_state": 0, **params}
    return SparseAutoencoder(**params).fit(X, sample_weight=sample_weight)


def textbook_terms(model, X, s=None):
    penalty = {
        "kl": {"beta": model.sparsity_weight_, "rho": model.sparsity_target_},
        "l1": {"beta": model.sparsity_weight_},
        None: {},
    }
    return textbook.terms(
        *(X, model.components_, model.intercept_hidden_),
        *(model.decoder_components_, model.intercept_visible_),
        activation=model.activation,
        output=model.output_activation,
        loss=model.loss,
        penalties=model.penalties_,
        sparsity=model.sparsity,
        s=s,
        **penalty[model.sparsity],
    )


@pytest.mark.parametrize("weighted", [False, True])
@flavours
def test_loss_is_the_textbook_formula_on_raw_data(flavour, weighted):
    X = UNIT if "output_activation" in flavour else 20 + 5 * UNIT
    s = WEIGHTS[: len(X)] if weighted else None
    model = fitted(X, s, **flavour)
    expected = textbook_terms(model, X, s)
    assert model.loss_terms_ == pytest.approx(expected, rel=1e-10)
    assert model.loss_ == pytest.approx(sum(expected.values()), rel=1e-10)


@flavours
def test_loss_curve(flavour):
    X = UNIT if "output_activation" in flavour else 20 + 5 * UNIT
    model = fitted(X, **flavour)
    curve = model.loss_curve_
    assert curve.shape == (model.n_iter_,)
    assert model.n_iter_ >= 1
    assert curve[-1] == model.loss_
    assert (np.diff(curve) <= 1e-12 * curve[:-1]).all()
    assert curve[-1] < curve[0]
    names = {"reconstruction", "decay", "sparsity"}
    assert set(model.loss_curve_terms_) == set(model.loss_terms_) == names
    np.testing.assert_allclose(sum(model.loss_curve_terms_.values()), curve, rtol=1e-12)
    for name, terms in model.loss_curve_terms_.items():
        assert terms[-1] == model.loss_terms_[name]


@flavours
def test_transform_and_back(flavour):
    X = UNIT if "output_activation" in flavour else 20 + 5 * UNIT
    model = fitted(X, **flavour)
    H = textbook.codes(X, model.components_, model.intercept_hidden_, model.activation)
    output = textbook.ACTIVATIONS[model.output_activation]
    R = output(H @ model.decoder_components_ + model.intercept_visible_)
    np.testing.assert_allclose(model.predict(X), R, rtol=1e-9)
    codes = model.transform(X)
    np.testing.assert_allclose(codes * model.code_scale_, H, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.inverse_transform(codes), R, rtol=1e-9)
    model.set_params(scale_codes=False)
    codes = model.transform(X)
    np.testing.assert_allclose(codes, H, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.inverse_transform(H), R, rtol=1e-9)
    np.testing.assert_array_equal(model.predict(X), model.inverse_transform(codes))
    errors = ((X - R) ** 2).sum(axis=1)
    np.testing.assert_allclose(model.score_samples(X), -errors, rtol=1e-7)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [5000, 30])
def test_score_is_the_variance_weighted_r2(n_rows, weighted):
    rng = np.random.default_rng(0)
    # Noise, because r2_score leaves the errors of constant columns out.
    X = np.resize(DIGITS, (n_rows, 64)) + rng.standard_normal((n_rows, 64))
    s = rng.uniform(0.1, 3, n_rows) if weighted else None
    model = fitted(DIGITS)
    expected = r2_score(
        X, model.predict(X), sample_weight=s, multioutput="variance_weighted"
    )
    assert model.score(X, sample_weight=s) == pytest.approx(expected, rel=1e-10)


def test_score_counts_the_errors_of_constant_columns():
    model = fitted(DIGITS)
    residual = ((model.predict(DIGITS) - DIGITS) ** 2).sum()
    total = ((DIGITS - DIGITS.mean(axis=0)) ** 2).sum()
    assert (DIGITS.std(axis=0) == 0).any()
    assert model.score(DIGITS) == pytest.approx(1 - residual / total, rel=1e-10)


@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu", "identity"])
def test_mean_activation_is_the_weighted_mean_code(activation):
    s = WEIGHTS[: len(IRIS)]
    model = fitted(IRIS, s, activation=activation, sparsity=None)
    model.set_params(scale_codes=False)
    expected = np.average(model.transform(IRIS), axis=0, weights=s)
    np.testing.assert_allclose(model.mean_activation_, expected, rtol=1e-10)


@pytest.mark.parametrize("activation", ["logistic", "tanh"])
def test_strong_kl_brings_every_unit_to_its_target(activation):
    model = fitted(
        DIGITS,
        activation=activation,
        sparsity_target=0.1,
        sparsity_weight=1e5,
        max_iter=400,
    )
    rho_hat = model.mean_activation_
    if activation == "tanh":
        rho_hat = (rho_hat + 1) / 2
    np.testing.assert_allclose(rho_hat, 0.1, rtol=0.02)


def test_stronger_l1_means_smaller_codes():
    sizes = [
        np.abs(
            fitted(DIGITS, activation="relu", sparsity="l1", sparsity_weight=beta)
            .set_params(scale_codes=False)
            .transform(DIGITS)
        ).mean()
        for beta in (0.0, 1.0, 100.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("tied_weights", [False, True])
def test_linear_autoencoder_spans_the_space_of_pca(tied_weights, weighted):
    rng = np.random.default_rng(0)
    spectrum = np.array([5, 4, 3, 0.5, 0.3, 0.2, 0.1])
    X = rng.standard_normal((200, 7)) * spectrum @ rng.standard_normal((7, 7)) + 10
    s = rng.integers(1, 4, len(X)) if weighted else np.ones(len(X), int)
    model = fitted(
        X,
        s,
        n_components=3,
        activation="identity",
        sparsity=None,
        alpha=0,
        tied_weights=tied_weights,
        tol=1e-9,
        max_iter=5000,
    )
    rows = np.repeat(X, s, axis=0)
    pca = PCA(3).fit(rows)
    assert subspace_angles(model.decoder_components_.T, pca.components_.T)[0] < 1e-3
    explained = pca.explained_variance_ratio_.sum()
    assert model.score(X, sample_weight=s) == pytest.approx(explained, abs=1e-6)
    np.testing.assert_allclose(
        model.predict(X), pca.inverse_transform(pca.transform(X)), atol=0.01
    )


SCALES = [
    (2.0**10, 0),
    (2.0**-10, 0),
    (1e8, 0),
    (1e-8, 0),
    (1, 30),
    (1, -1000),
    (1e8, 1e9),
    (1e-8, -1e-7),
]


@every_pair(
    flavour=[{}, {"activation": "tanh", "sparsity": None}, FLAVOURS["l1-relu"]],
    data=[DIGITS[:150], IRIS],
    dtype=[np.float64, np.float32],
)
def test_defaults_train_on_any_scale(data, flavour, dtype):
    X = data - data.mean(axis=0)
    X /= np.sqrt((X**2).mean())
    params = {"n_components": 8, "random_state": 0, "max_iter": 250, **flavour}
    at_unit_scale = fitted(X, **params).score(X)
    assert at_unit_scale > 0.65
    for scale, shift in SCALES:
        moved = (scale * X + shift).astype(dtype)
        model = fitted(moved, **params)
        assert model.components_.dtype == dtype
        assert model.score(moved) == pytest.approx(at_unit_scale, abs=0.05), scale


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@flavours
def test_dtype_is_kept_end_to_end(flavour, dtype):
    X = UNIT.astype(dtype)
    model = fitted(X, WEIGHTS[: len(X)], **flavour)
    arrays = [
        model.components_,
        model.intercept_hidden_,
        model.decoder_components_,
        model.intercept_visible_,
        model.mean_activation_,
        model.transform(X),
        model.predict(X),
        model.inverse_transform(model.transform(X)),
    ]
    assert {a.dtype for a in arrays} == {np.dtype(dtype)}
    assert isinstance(model.loss_, float)
    # What was learnt in one dtype can be used in the other, in its own.
    other = np.float32 if dtype == np.float64 else np.float64
    assert model.transform(X.astype(other)).dtype == other
    assert model.predict(X.astype(other)).dtype == other


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_equal_rows_that_are_not_exact_in_binary_score_zero_or_one():
    model = fitted(UNIT, n_components=2, max_iter=5)
    X = np.full((7, UNIT.shape[1]), 0.1)
    assert model.score(X) in (0.0, 1.0)


@pytest.mark.parametrize("weights", [None, [0, 1, 0]])
def test_a_single_row_has_no_score(weights):
    """As of scikit-learn's regressors; rows of weight zero are as good as absent."""
    model = fitted(IRIS)
    rows = IRIS[:1] if weights is None else IRIS[:3]
    with pytest.warns(UndefinedMetricWarning, match="less than two samples"):
        assert np.isnan(model.score(rows, sample_weight=weights))
    two = IRIS[:2]
    errors = ((model.predict(two) - two) ** 2).sum()
    explained = 1 - errors / ((two - two.mean(axis=0)) ** 2).sum()
    assert model.score(two) == pytest.approx(explained)


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_numpy_scalars_as_parameters_give_the_same_bits():
    X = UNIT.astype(np.float32)
    weights = np.linspace(1, 2, len(X))
    python, numpy_ = (
        fitted(
            X,
            weights,
            n_components=3,
            max_iter=20,
            random_state=0,
            alpha=kind(1e-3),
            sparsity="l1",
            sparsity_weight=kind(0.01),
        )
        for kind in (float, np.float64)
    )
    assert python.components_.tobytes() == numpy_.components_.tobytes()
    assert type(numpy_.loss_) is float
