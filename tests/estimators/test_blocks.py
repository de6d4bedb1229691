"""What is done with a fitted estimator, in blocks: the formulas, and their bits."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_limits

from skae import (
    ContractiveAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
)
from skae.engines import row_map as rows

N, D, K = 5001, 40, 12  # several blocks
X = np.random.default_rng(0).uniform(size=(N, D))
S = np.random.default_rng(1).uniform(0.5, 2, N)


def logistic(Z):
    return 1 / (1 + np.exp(-Z))


@pytest.fixture(scope="module")
def autoencoder():
    return SparseAutoencoder(K, tol=0.1, random_state=0).fit(X[:500])


@pytest.fixture
def threads_for_anything(monkeypatch):
    monkeypatch.setattr(rows, "MULTIPLICATIONS_WORTH_THREADS", 0)


def whole(model, X):
    """Codes, not scaled, and reconstruction as one writes them down."""
    H = logistic(X @ model.components_.T + model.intercept_hidden_)
    return H, H @ model.decoder_components_ + model.intercept_visible_


@pytest.mark.parametrize("n", [1, 20, 500, N])
def test_blocks_are_the_formulas(autoencoder, n):
    H, reconstruction = whole(autoencoder, X[:n])
    codes = autoencoder.transform(X[:n])
    np.testing.assert_allclose(codes, H / autoencoder.code_scale_, rtol=1e-12)
    for found in (autoencoder.predict(X[:n]), autoencoder.inverse_transform(codes)):
        np.testing.assert_allclose(found, reconstruction, rtol=1e-12)
    errors = ((reconstruction - X[:n]) ** 2).sum(axis=1)
    np.testing.assert_allclose(autoencoder.score_samples(X[:n]), -errors, rtol=1e-11)


def test_score_is_the_formula(autoencoder):
    errors = ((whole(autoencoder, X)[1] - X) ** 2).sum(axis=1)
    mean = np.average(X, axis=0, weights=S)
    spread = np.average(((X - mean) ** 2).sum(axis=1), weights=S)
    expected = 1 - np.average(errors, weights=S) / spread
    assert autoencoder.score(X, sample_weight=S) == pytest.approx(expected, rel=1e-12)


def test_jacobian_norm_is_the_formula():
    model = ContractiveAutoencoder(K, tol=0.1, random_state=0).fit(X[:500])
    H, W = whole(model, X)[0], model.components_
    J = (H * (1 - H))[:200, :, np.newaxis] * W
    found = model.jacobian_norm(X)[:200]
    np.testing.assert_allclose(found, np.linalg.norm(J, axis=(1, 2)), rtol=1e-10)


def test_a_stack_is_the_formula():
    model = StackedAutoencoder((20, 5), tol=0.3, random_state=0).fit(X[:500])
    H, codes = X, None
    for layer, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        H = H @ W + b if layer == 3 else logistic(H @ W + b)
        codes = H if layer == 1 else codes
    codes = codes / model.code_scale_
    np.testing.assert_allclose(model.transform(X), codes, rtol=1e-11)
    np.testing.assert_allclose(model.predict(X), H, rtol=1e-11, atol=1e-15)
    errors = ((H - X) ** 2).sum(axis=1)
    np.testing.assert_allclose(model.score_samples(X), -errors, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("made_of", [np.float32, np.float64])
def test_the_dtype_is_that_of_the_rows(autoencoder, dtype, made_of):
    model = SparseAutoencoder(K, max_iter=20, tol=1, random_state=0)
    model.fit(X[:500].astype(made_of))
    given = X.astype(dtype)
    codes = model.transform(given)
    assert codes.dtype == model.predict(given).dtype == dtype
    assert model.inverse_transform(codes).dtype == dtype
    assert model.score_samples(given).dtype == np.float64
    expected = whole(model, X)[0] / model.code_scale_
    np.testing.assert_allclose(codes, expected, rtol=1e-4)


MODELS = [
    SparseAutoencoder(K, tol=0.1, random_state=0),
    ContractiveAutoencoder(K, tol=0.1, random_state=0),
    StackedAutoencoder((20, 5), tol=0.3, random_state=0),
    SparseCoding(K, max_iter=2, tol=1e3, random_state=0),
    StackedAutoencoderClassifier((8,), tol=0.1, random_state=0),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_number_of_threads_changes_no_bit(model, dtype, threads_for_anything):
    given = X[: 1500 if isinstance(model, SparseCoding) else N].astype(dtype)
    model = model.fit(given[:500], y=given[:500, 0] > 0.5)
    names = ("transform", "predict", "score_samples", "jacobian_norm", "predict_proba")
    methods = [getattr(model, name) for name in names if hasattr(model, name)]

    def results(n_threads):
        with threadpool_limits(n_threads, user_api="blas"):
            return [method(given) for method in methods]

    alone = results(1)
    for n_threads in (2, 4):
        for one, several in zip(alone, results(n_threads), strict=True):
            assert_array_equal(one, several)


def test_neither_rows_nor_codes_are_changed(autoencoder):
    given = X.copy()
    codes = autoencoder.transform(given)
    kept = codes.copy()
    autoencoder.predict(given), autoencoder.score_samples(given)
    autoencoder.inverse_transform(codes)
    assert_array_equal(given, X)
    assert_array_equal(codes, kept)
