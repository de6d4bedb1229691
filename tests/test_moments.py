"""Means and variance of data in pieces, and when they are no variance at all."""

import numpy as np
import pytest
import scipy.sparse

from skae.rows.incomplete import incomplete
from skae.rows.moments import Moments
from skae.rows.source import source


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_pieces_are_those_of_all_rows(weighted):
    rng = np.random.default_rng(0)
    X = rng.normal(3, 2, (30, 4)) + np.arange(30)[:, np.newaxis]
    s = rng.uniform(0.5, 2, 30) if weighted else np.ones(30)
    pieces = [slice(0, 3), slice(3, 20), slice(20, 30)]
    each = [source(X[p]).moments(s[p]) for p in pieces]
    whole = Moments.combined(each, [s[p].sum() for p in pieces])
    mean = np.average(X, axis=0, weights=s)
    np.testing.assert_allclose(whole.mean, mean, rtol=1e-12)
    variance = np.average((X - mean) ** 2, axis=0, weights=s).sum()
    assert whole.variance == pytest.approx(variance, rel=1e-12)
    assert whole.spread == pytest.approx((variance / 4) ** 0.5, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("place", [1.0, 30.0])
def test_rows_vary_if_by_more_than_rounding(dtype, place):
    """In units of the last digit: one is rounding, a hundred are data."""
    digit = np.finfo(dtype).eps * place
    for digits, constant in ((0, True), (1, True), (100, False), (1e4, False)):
        X = place + digits * digit * np.array([[-1.0], [1.0]])
        moments = source(X).moments()
        assert moments.no_variation(dtype) == constant


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_too_small_is_what_has_no_cube(dtype):
    """A product of three such numbers is to be far from the subnormal ones."""
    tiny = float(np.finfo(dtype).tiny)
    for cube, small in ((tiny, True), (1000 * tiny, False)):
        moments = source(cube ** (1 / 3) * np.array([[-1.0], [1.0]])).moments()
        if small:
            with pytest.raises(ValueError, match=r"X is too small: spread .* scale X"):
                moments.check_magnitude(2, np.dtype(dtype))
        else:
            moments.check_magnitude(2, np.dtype(dtype))


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_incomplete_rows(weighted):
    """Per column over its observed entries; and the same from parts of the rows."""
    rng = np.random.default_rng(4)
    X = 1e4 + rng.standard_normal((50, 6)) * np.arange(1, 7)
    X[rng.uniform(size=X.shape) < 0.3] = np.nan
    X[:20, 3] = np.nan  # of the first part, a column without an entry
    s = rng.integers(0, 3, 50).astype(float) if weighted else None
    w = np.ones(50) if s is None else s
    seen = ~np.isnan(X)
    means = np.array(
        [np.average(x[t], weights=w[t]) for x, t in zip(X.T, seen.T, strict=True)]
    )
    squares = np.where(seen, (X - means) ** 2, 0).sum(axis=1)
    for rows in (incomplete(X), incomplete(scipy.sparse.csr_array(X))):
        parts = [slice(0, 20), slice(20, 33), slice(33, 50)]
        each = [
            incomplete(rows.given[p]).moments(None if s is None else s[p])
            for p in parts
        ]
        whole = Moments.combined(each, [w[p].sum() for p in parts])
        for moments in (rows.moments(s), whole):
            np.testing.assert_allclose(moments.mean, means, rtol=1e-12)
            np.testing.assert_allclose(moments.observed, w @ seen / w.sum())
            assert moments.variance == pytest.approx(np.average(squares, weights=w))
            entries = (w @ seen).sum() / w.sum()
            assert moments.spread == pytest.approx((moments.variance / entries) ** 0.5)
