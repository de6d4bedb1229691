"""The scales and errors of the detector against NumPy, SciPy and repeated rows."""

import numpy as np
import pytest
from scipy.special import huber as scipy_huber
from scipy.stats import chi2

from skae.outliers._errors import (
    ERRORS,
    for_missing,
    quantile,
    spread,
    upper_fence,
)

RNG = np.random.RandomState(0)
Z = RNG.standard_t(2, (40, 3))


@pytest.fixture(autouse=True)
def same_numbers():
    """Whatever the order of the tests, and alone."""
    RNG.seed(1)


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
    expected = 2 * scipy_huber(1.5, z)
    np.testing.assert_allclose(ERRORS["huber"](z), expected, atol=1e-14)


def test_fence_of_sums_of_squares():
    """Of normal numbers 0.35 % lie above 2.698; of roots of χ² hardly more."""
    scores = chi2.rvs(30, size=200_000, random_state=0)
    roots = np.sqrt(chi2.ppf([0.25, 0.75], 30))
    fence = (roots[1] + 1.5 * (roots[1] - roots[0])) ** 2
    np.testing.assert_allclose(upper_fence(scores), fence, rtol=1e-2)
    assert 0.003 < (scores > upper_fence(scores)).mean() < 0.006


def test_fence_of_weights_and_of_nothing():
    scores, weights = np.arange(9.0), np.array([1, 2, 0, 3, 1, 1, 0, 2, 1])
    repeated = upper_fence(np.repeat(scores, weights))
    np.testing.assert_allclose(upper_fence(scores, weights.astype(float)), repeated)
    assert upper_fence(np.zeros(5)) == 0


def test_what_is_there_stands_for_what_is_not():
    found = for_missing(np.array([[1.0, 2.0, 3.0], [1.0, np.nan, 3.0], [np.nan] * 3]))
    np.testing.assert_array_equal(found, [[1, 2, 3], [1.5, 0, 4.5], [0, 0, 0]])
