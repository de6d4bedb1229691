"""Noise is a pure function of seed, draw and row, and of the law it is named for."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from skae.core.corruptions import (
    CORRUPTIONS,
    Custom,
    Gaussian,
    Masking,
    Noise,
    SaltAndPepper,
    uniform_integers,
)

LOW, HIGH = np.full(37, -1.0), np.full(37, 2.0)


def corrupt(corruption, X, *, seed=5, draw=0, start=0):
    out = np.empty_like(X)
    corrupted = Noise(corruption, seed)(X, start, draw, out)
    return out, corrupted


@pytest.fixture
def X():
    return np.random.default_rng(0).uniform(0.1, 0.9, (2000, 37))


@pytest.mark.parametrize("d", [1, 15, 16, 17, 64, 784])
def test_any_cut_into_blocks_sees_the_same_bits(d):
    whole = uniform_integers(1, 2, 0, (50, d))
    for cut in ([0, 50], [0, 1, 50], [0, 7, 8, 33, 50]):
        pieces = [
            uniform_integers(1, 2, start, (stop - start, d))
            for start, stop in pairwise(cut)
        ]
        np.testing.assert_array_equal(np.vstack(pieces), whole)


def test_seed_draw_and_row_each_matter():
    shape = (3, 100)
    base = uniform_integers(1, 2, 0, shape)
    others = [
        uniform_integers(2, 2, 0, shape),
        uniform_integers(1, 3, 0, shape),
        uniform_integers(1, 2, 3, shape),
    ]
    for other in others:
        # Independent 16-bit numbers agree in 1 of 65536 entries.
        assert (base == other).mean() < 0.02


def test_bits_are_uniform_and_uncorrelated():
    u = uniform_integers(0, 0, 0, (3000, 40))
    assert stats.kstest((u.ravel() + 0.5) / 2**16, "uniform").pvalue > 1e-3
    correlation = np.corrcoef(u.T) - np.eye(40)
    assert np.abs(correlation).max() < 5 / np.sqrt(3000)


@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 1.0])
def test_masking(X, level):
    out, corrupted = corrupt(Masking(level), X)
    np.testing.assert_array_equal(out, np.where(corrupted, 0, X))
    assert corrupted.mean() == pytest.approx(level, abs=5 * 0.5 / np.sqrt(X.size))


@pytest.mark.parametrize("level", [0.0, 0.2, 1.0])
def test_salt_and_pepper(X, level):
    out, corrupted = corrupt(SaltAndPepper(level, LOW, HIGH), X)
    salt, pepper = out == 2.0, out == -1.0
    np.testing.assert_array_equal(salt | pepper, corrupted)
    np.testing.assert_array_equal(out[~corrupted], X[~corrupted])
    tolerance = 5 * 0.5 / np.sqrt(X.size)
    assert salt.mean() == pytest.approx(level / 2, abs=tolerance)
    assert pepper.mean() == pytest.approx(level / 2, abs=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaussian(X, dtype):
    X = X.astype(dtype)
    out, corrupted = corrupt(Gaussian(0.7), X)
    assert out.dtype == dtype
    assert corrupted is None or corrupted.all()
    noise = (out - X).ravel() / 0.7
    assert stats.kstest(noise, "norm").pvalue > 1e-3
    assert noise.std() == pytest.approx(1, abs=5 / np.sqrt(2 * X.size))


def test_callable_meets_rows_and_uniform_numbers(X):
    met = {}

    def function(X, U):
        met["U"] = U.copy()
        X[:, 0] = -7  # it may write into what it is given
        return X

    clean = X.copy()
    out, corrupted = corrupt(Custom(function), X)
    np.testing.assert_array_equal(X, clean)
    assert (out[:, 0] == -7).all() and corrupted[:, 0].all()
    assert not corrupted[:, 1:].any()
    assert met["U"].shape == X.shape and 0 < met["U"].min() < met["U"].max() < 1
    assert stats.kstest(met["U"].ravel(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_rows_keep_their_noise_in_any_block(X, name):
    corruption = CORRUPTIONS[name](0.3, LOW, HIGH)
    whole, _ = corrupt(corruption, X)
    part, _ = corrupt(corruption, X[100:130], start=100)
    np.testing.assert_array_equal(part, whole[100:130])
    other, _ = corrupt(corruption, X, draw=1)
    assert (other != whole).any()
