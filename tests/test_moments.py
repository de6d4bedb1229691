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


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", [source, scipy.sparse.csr_array, incomplete])
def test_the_farthest_row_takes_its_part_of_the_variance_with_it(kind, weighted):
    """Compared with the variance of the rows without it."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((70, 5)) + 3
    X[rng.uniform(size=X.shape) < 0.5] = 0
    X[41] *= 30
    s = rng.uniform(0, 2, 70) if weighted else np.ones(70)
    X[3], s[3] = 1e9, 0.0  # which does not count

    def squares(X, s):
        return (s @ (X - np.average(X, axis=0, weights=s)) ** 2).sum()

    others = np.arange(70) != 41
    expected = 1 - squares(X[others], s[others]) / squares(X, s)
    rows = source(kind(X)) if kind is scipy.sparse.csr_array else kind(X)
    row, part = rows.moments(s).farthest
    assert row == 41
    assert part == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(10))
def test_columns_far_from_zero_make_no_row_extreme(seed):
    """Of sparse rows too, whose squares are sums of those of zeros and of entries."""
    rng = np.random.default_rng(seed)
    X = 1e9 * rng.uniform(0.5, 1, 7) + rng.standard_normal((60, 7))
    expected = source(X).moments().farthest
    found = source(scipy.sparse.csr_array(X)).moments().farthest
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_row_is_extreme_if_it_alone_makes_up_the_variance():
    X = np.random.default_rng(6).standard_normal((400, 3))
    X[17] = 0
    far = (9 * np.var(X, axis=0).sum() * 400) ** 0.5  # nine times all others' squares
    for size, extreme in ((0.95, False), (1.05, True), (1e4, True)):
        X[17, 1] = size * far
        found = source(X).moments().extreme_row
        assert (found is not None and found[0] == 17) is extreme
    for n_others, extreme in ((18, False), (19, True)):
        few = source(X[17 : 18 + n_others]).moments()
        assert (few.extreme_row is not None) is extreme
    assert source(X[:200]).moments(np.eye(200)[17]).farthest is None


def test_a_row_that_stands_for_many_is_not_extreme():
    """As copies of it are not; and rows of weight zero make no others."""
    X = np.random.default_rng(8).standard_normal((101, 1))
    X[7], weights = 5, np.ones(101)
    weights[7] = 1000
    assert source(X).moments(weights).extreme_row is None
    X[7], weights[7], weights[26:] = 5000, 1, 0  # of 26 rows
    assert source(X).moments(weights).extreme_row[0] == 7
    weights[19:] = 0
    assert source(X).moments(weights).extreme_row is None


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_array, incomplete])
def test_rows_whose_squares_underflow_are_too_small_and_not_constant(kind):
    X = 1e-170 * np.random.default_rng(7).standard_normal((30, 4))
    for rows, varies in ((X, True), (X * 0, False), (np.full((30, 4), 7e-170), False)):
        rows = kind(rows) if kind is incomplete else source(kind(rows))
        moments = rows.moments()
        assert moments.no_variation(np.dtype(float)) is not varies
        if varies:
            with pytest.raises(ValueError, match=r"too small: spread .* or less"):
                moments.check_magnitude(30, np.dtype(float))
        else:
            moments.check_magnitude(30, np.dtype(float))
