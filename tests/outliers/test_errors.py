"""The scales and errors of the detector against NumPy, SciPy and repeated rows."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import huber as scipy_huber

from skae.outliers._errors import (
    ERRORS,
    for_missing,
    quantile,
    spread,
    upper_fence,
)

RNG = np.random.RandomState(0)
Z = RNG.standard_t(2, (40, 3))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9, 1.0])
def test_quantile_is_numpys(share):
    expected = np.quantile(Z, share, axis=0, method="averaged_inverted_cdf")
    np.testing.assert_array_equal(quantile(Z, share), expected)
    assert quantile(Z[:, 0], share) == expected[0]


@pytest.mark.parametrize("function", [lambda Z, w: quantile(Z, 0.5, w), spread])
def test_weights_are_repetitions(function):
    weights = RNG.randint(0, 4, len(Z))
    repeated = function(np.repeat(Z, weights, axis=0), None)
    np.testing.assert_allclose(function(Z, weights.astype(float)), repeated, rtol=1e-13)


def test_missing_entries_are_absent():
    gaps = Z.copy()
    gaps[::3, 0] = np.nan
    expected = spread(gaps[~np.isnan(gaps[:, 0]), :1])
    np.testing.assert_allclose(spread(gaps)[:1], expected, rtol=1e-13)
    np.testing.assert_array_equal(spread(gaps)[1:], spread(Z)[1:])


def test_spread_of_normal_errors_is_their_standard_deviation():
    errors = 3 * np.random.RandomState(1).standard_normal((100_000, 1))
    np.testing.assert_allclose(spread(errors), 3, rtol=0.02)


def test_spread_resists_a_few_rows():
    errors = np.random.RandomState(1).standard_normal((1000, 1))
    tainted = errors.copy()
    tainted[:50] = 8.0
    assert tainted.std() > 1.9
    assert spread(tainted) < 1.2 * spread(errors)


def test_spread_of_what_nine_rows_of_ten_share():
    errors = np.zeros((100, 1))
    errors[:4] = 1.0
    np.testing.assert_allclose(spread(errors), 0.25 * 0.2)  # a quarter of the rms


def test_huber_is_scipys_twice_over():
    z = np.linspace(-6, 6, 101)
    given = z.copy()
    np.testing.assert_allclose(ERRORS["huber"](z), 2 * scipy_huber(1.5, z), atol=1e-14)
    np.testing.assert_array_equal(z, given)


def test_fence_of_lognormal_scores():
    """Of normal logarithms 0.35 % lie above, by the normal distribution function."""
    scores = np.exp(np.random.RandomState(0).standard_normal(200_000))
    above = quad(lambda z: np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), 2.698, 10)[0]
    np.testing.assert_allclose((scores > upper_fence(scores)).mean(), above, rtol=0.1)


@pytest.mark.parametrize("scores", [np.zeros(5), np.r_[np.zeros(9), 1e300]])
def test_fence_stays_finite(scores):
    assert np.isfinite(upper_fence(scores))


def test_what_is_there_stands_for_what_is_not():
    found = for_missing(np.array([[1.0, 2.0, 3.0], [1.0, np.nan, 3.0], [np.nan] * 3]))
    np.testing.assert_array_equal(found, [[1, 2, 3], [1.5, 0, 4.5], [0, 0, 0]])
