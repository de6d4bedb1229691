"""``scale_codes``: codes of unit spread, against NumPy's standard deviation."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)
from skae.engines.code_moments import CodeMoments

pytestmark = pytest.mark.filterwarnings(
    "ignore:(Training|Fine-tuning|The output layer) stopped"
)

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(300, 3)) @ RNG.normal(size=(3, 8)) + 5
X[X < 4] = 0
Y = (X[:, 0] > np.median(X[:, 0])).astype(int)
S = RNG.integers(0, 3, 300).astype(float)
SHORT = {"max_iter": 15, "random_state": 0}
ALONE = {
    "sparse": SparseAutoencoder(5, **SHORT),
    "relu": SparseAutoencoder(5, activation="relu", sparsity="l1", **SHORT),
    "adam": SparseAutoencoder(5, solver="adam", **SHORT),
    "denoising": DenoisingAutoencoder(5, **SHORT),
    "contractive": ContractiveAutoencoder(5, **SHORT),
    "deep": StackedAutoencoder((6, 3), **SHORT),
    "classifier": StackedAutoencoderClassifier((6, 3), **SHORT),
    "regressor": StackedAutoencoderRegressor((6, 3), **SHORT),
}
every = pytest.mark.parametrize("name", ALONE)


def fitted(name, X=X, **fit_params):
    return ALONE[name].fit(X, Y, **fit_params)


def unscaled(model, X=X):
    codes = model.set_params(scale_codes=False).transform(X)
    model.set_params(scale_codes=True)
    return codes


def weighted_std(codes, weights):
    mean = np.average(codes, axis=0, weights=weights)
    return np.average((codes - mean) ** 2, axis=0, weights=weights) ** 0.5


@every
def test_codes_have_unit_spread_over_the_rows_that_count(name):
    model = fitted(name, sample_weight=S)
    codes = model.transform(X)
    spread = weighted_std(codes, S)
    alive = codes.any(axis=0)  # rectified units may be silent
    assert alive.sum() > 2
    np.testing.assert_allclose(spread[alive], 1, rtol=1e-10)
    np.testing.assert_allclose(codes, unscaled(model) / model.code_scale_, rtol=1e-12)


@every
def test_sparse_rows_have_codes_on_the_same_scale(name):
    model = fitted(name, csr_array(X))
    spread = unscaled(model).std(axis=0)
    expected = np.where(spread > 0, spread, 1)  # rectified units may be silent
    np.testing.assert_allclose(model.code_scale_, expected, rtol=1e-10)


@every
def test_predictions_do_not_depend_on_it(name):
    model = fitted(name)
    expected = model.predict(X)
    np.testing.assert_array_equal(
        model.set_params(scale_codes=False).predict(X), expected
    )
    model.set_params(scale_codes=True)
    if hasattr(model, "inverse_transform"):
        codes = model.transform(X)
        before = codes.copy()
        np.testing.assert_allclose(model.inverse_transform(codes), expected)
        np.testing.assert_array_equal(codes, before)


def test_blocks_and_threads_change_nothing(monkeypatch):
    from skae.engines import code_moments
    from skae.rows import data

    whole = fitted("sparse").code_scale_
    monkeypatch.setattr(data, "block_rows", lambda *shape: 7)
    monkeypatch.setattr(code_moments, "MULTIPLICATIONS_WORTH_THREADS", 0)
    np.testing.assert_allclose(fitted("sparse").code_scale_, whole, rtol=1e-12)


def test_rows_held_out_have_no_part_in_it():
    model = SparseAutoencoder(5, early_stopping=True, **SHORT).fit(X)
    spread = weighted_std(unscaled(model), None)
    assert (np.abs(model.code_scale_ / spread - 1) > 1e-6).any()
    np.testing.assert_allclose(model.code_scale_, spread, rtol=0.2)


def test_rows_of_weight_zero_may_hold_anything():
    wild = np.where(S[:, np.newaxis] > 0, X, 1e200)
    model = fitted("sparse", wild, sample_weight=S)
    plain = fitted("sparse", sample_weight=S).code_scale_
    np.testing.assert_array_equal(model.code_scale_, plain)


def test_rows_without_a_target_have_a_part_in_it():
    model = ALONE["classifier"].fit(X[:40], Y[:40], X_unlabeled=X[40:])
    expected = unscaled(model).std(axis=0)
    np.testing.assert_allclose(model.code_scale_, expected, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_unit_without_spread_keeps_its_codes(dtype):
    codes = np.full((50, 3), 0.3, dtype)
    codes[:, 1] = np.linspace(0, 1, 50)
    codes[::2, 0] = np.nextafter(dtype(0.3), dtype(1))  # rounding
    codes[0, 2] += 1e-4  # far less than the others
    scale = CodeMoments.of(codes, None).scale(np.dtype(dtype))
    assert scale.dtype == dtype
    np.testing.assert_allclose(scale, [1, codes[:, 1].std(), 1], rtol=1e-5)
    np.testing.assert_array_equal(
        CodeMoments.of(codes[:1], None).scale(np.dtype(dtype)), 1
    )


def test_zeros_stay_zeros():
    model = fitted("relu")
    codes = unscaled(model)
    assert (codes == 0).any()
    np.testing.assert_array_equal(model.transform(X) == 0, codes == 0)


def test_pieces():
    """A piece of many rows counts alone, small ones with up to 1000 rows before."""
    model = SparseAutoencoder(5, solver="adam", random_state=0).partial_fit(X)
    first = unscaled(model)
    np.testing.assert_allclose(model.code_scale_, first.std(axis=0), rtol=1e-10)
    model.partial_fit(X[:100] + 1)
    both = np.concatenate([first, unscaled(model, X[:100] + 1)])
    np.testing.assert_allclose(model.code_scale_, both.std(axis=0), rtol=1e-10)

    many = np.tile(X, (20, 1))
    model = SparseAutoencoder(5, solver="adam", max_iter=1, random_state=0).fit(many)
    first = unscaled(model, many)
    model.partial_fit(X)
    codes, weights = np.concatenate([first, unscaled(model)]), np.ones(6300)
    weights[:6000] = 1000 / 6000
    expected = weighted_std(codes, weights)
    np.testing.assert_allclose(model.code_scale_, expected, rtol=1e-10)


def test_what_comes_after_meets_features_of_its_own_scale():
    """A penalty on coefficients meets no codes of a tenth of a unit."""
    params = {"sparsity_target": 0.05, "sparsity_weight": 1.0, "random_state": 0}
    scores = [
        make_pipeline(
            SparseAutoencoder(5, scale_codes=scale_codes, max_iter=40, **params),
            LogisticRegression(C=0.01),
        )
        .fit(X, Y)
        .score(X, Y)
        for scale_codes in (True, False)
    ]
    assert scores[0] > scores[1]
