"""Linear predictions of missing entries, against textbook formulas."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from skae.impute import _gaussian
from skae.impute._gaussian import Gaussian, error, fill, learn, shrinkage, slope

RNG = np.random.default_rng(0)
D = 6
ROOT = RNG.standard_normal((D, D))
SIGMA, MU = ROOT @ ROOT.T + 0.1 * np.eye(D), RNG.standard_normal(D)


def incomplete(n, share, seed=1):
    rng = np.random.default_rng(seed)
    rows = rng.multivariate_normal(MU, SIGMA, n)
    rows[rng.uniform(size=rows.shape) < share] = np.nan
    rows = (rows - np.nanmean(rows, axis=0)) / np.nanstd(rows, axis=0)
    return rows


def log_likelihood(X, mean, covariance):
    total = 0.0
    for x in X:
        o = np.flatnonzero(~np.isnan(x))
        if len(o):
            known = covariance[np.ix_(o, o)]
            total += multivariate_normal.logpdf(x[o], mean[o], known)
    return total


def test_what_is_filled_in_is_the_conditional_mean():
    X = RNG.standard_normal((50, D))
    X[RNG.uniform(size=X.shape) < 0.4] = np.nan
    X[7], X[8] = np.nan, MU
    filled = fill(X, Gaussian(MU, SIGMA))
    for x, got in zip(X, filled, strict=True):
        o, m = np.flatnonzero(~np.isnan(x)), np.flatnonzero(np.isnan(x))
        weights = np.linalg.solve(SIGMA[np.ix_(o, o)], SIGMA[np.ix_(o, m)])
        np.testing.assert_allclose(got[m], MU[m] + (x[o] - MU[o]) @ weights, rtol=1e-8)
        np.testing.assert_array_equal(got[o], x[o])


@pytest.mark.parametrize("share", [0, 0.3])
def test_the_error_is_that_of_rows_drawn_from_the_gaussian(share):
    rng = np.random.default_rng(4)
    complete = rng.multivariate_normal(MU, SIGMA, 20_000)
    missing = rng.uniform(size=complete.shape) < share
    if not share:  # one of each row
        missing[np.arange(20_000), rng.integers(D, size=20_000)] = True
    X = np.where(missing, np.nan, complete)
    gaussian = Gaussian(MU, SIGMA)
    found = np.sqrt(np.mean((fill(X, gaussian) - complete)[missing] ** 2))
    assert error(X if share else complete, gaussian) == pytest.approx(found, rel=0.03)


def test_the_likelihood_of_observed_entries_has_its_maximum_there(monkeypatch):
    """Without shrinkage, and to convergence: it is stationary, and falls elsewhere."""
    monkeypatch.setattr(_gaussian, "shrinkage", lambda X: 0.0)
    monkeypatch.setattr(_gaussian, "_TOL", 1e-8)
    monkeypatch.setattr(_gaussian, "_MAX_ITER", 2000)
    X = incomplete(60, 0.2)
    mean, covariance, _ = learn(X)
    rng = np.random.default_rng(2)
    for _ in range(4):
        v, R = rng.standard_normal(D), rng.standard_normal((D, D))
        R = covariance @ (R + R.T) @ covariance

        def along(step, v=v, R=R):
            return log_likelihood(X, mean + step * v, covariance + step * R)

        slope = (along(1e-5) - along(-1e-5)) / 2e-5
        slope_beside = (along(0.02 + 1e-5) - along(0.02 - 1e-5)) / 2e-5
        assert abs(slope) < 1e-4 * abs(slope_beside)
        assert max(along(-0.02), along(0.02)) < along(0)


@pytest.mark.parametrize("share", [0, 0.3])
def test_the_factor_of_shrinkage_is_that_of_the_paper(share):
    X = incomplete(40, share)
    variances = squares = 0.0
    for i in range(D):
        for j in range(D):
            both = ~np.isnan(X[:, i] * X[:, j])
            if i != j:
                x, y = X[both, i], X[both, j]
                r = x @ y / np.sqrt((x @ x) * (y @ y))
                variances += (1 - r**2) ** 2 / both.sum()
                squares += r**2
    assert shrinkage(X) == pytest.approx(variances / squares, rel=1e-10)


def test_independent_columns_stay_so():
    """As many rows as columns: of a sample's correlations little is left."""
    X = np.random.default_rng(3).standard_normal((20, 20))
    assert shrinkage(X) > 0.5
    correlations = learn(X).covariance - np.diag(np.diag(learn(X).covariance))
    sample = np.corrcoef(X.T) - np.eye(20)
    assert np.linalg.norm(correlations) < 0.5 * np.linalg.norm(sample)


def test_columns_that_do_not_vary_or_are_the_same():
    X = incomplete(500, 0.2)
    X[0, 0] = 2.0
    known = np.column_stack([X, np.zeros(500), X[:, 0]])
    known[0, -1], known[3, -2] = np.nan, np.nan
    filled = fill(known, learn(known))
    assert np.isfinite(filled).all()
    assert abs(filled[3, -2]) < 1e-6
    assert filled[0, -1] == pytest.approx(2, abs=0.2)


def test_so_many_rows_that_some_are_enough(monkeypatch):
    X = incomplete(4000, 0.2)
    every = learn(X).covariance
    monkeypatch.setattr(_gaussian, "_MULTIPLICATIONS", 5e5)
    some = learn(X).covariance
    assert 0 < np.abs(some - every).max() < 0.3


def test_the_slope_is_small_where_columns_only_seem_to_depend_on_each_other():
    """Of Gaussian rows it is one; not of those with a few far out in all columns."""
    random_state = np.random.RandomState(0)
    assert slope(incomplete(300, 0.2), random_state) > 0.95
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((100, 30))
    rows *= rng.standard_t(1.2, size=(100, 1))
    rows[rng.uniform(size=rows.shape) < 0.2] = np.nan
    rows = (rows - np.nanmean(rows, axis=0)) / np.nanstd(rows, axis=0)
    assert slope(rows, random_state) < 0.7
    assert slope(np.nan_to_num(rows), random_state) == 1  # nothing was missing


@pytest.mark.parametrize("many", [1, 5000])
def test_the_slope_of_many_hidden_entries_needs_no_second_look(monkeypatch, many):
    n_fits = []
    monkeypatch.setattr(_gaussian, "_MANY_HIDDEN", many)
    monkeypatch.setattr(_gaussian, "learn", lambda X: n_fits.append(X) or learn(X))
    slope(incomplete(60, 0.2), np.random.RandomState(0))
    assert len(n_fits) == (1 if many == 1 else 2)


def test_predictions_are_multiplied_by_the_slope():
    X = RNG.standard_normal((20, D))
    X[RNG.uniform(size=X.shape) < 0.4] = np.nan
    whole, half = (fill(X, Gaussian(MU, SIGMA, b)) for b in (1.0, 0.5))
    there = ~np.isnan(X)
    means = np.broadcast_to(MU, X.shape)
    np.testing.assert_allclose((half + half - whole)[~there], means[~there])
    np.testing.assert_array_equal(half[there], X[there])
