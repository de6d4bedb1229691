"""Many L-BFGS at once: each column ends where SciPy ends, whatever its neighbours."""

import numpy as np
import pytest
from problems import problems
from scipy_minima import MANY, TOL, scipy_lbfgs, scipy_minimum
from threadpoolctl import threadpool_limits

from skae.solvers import NotFiniteError, minimize_separable


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    with threadpool_limits(1, user_api="blas"):
        yield


class Columns:
    """Any functions ``fun(x) -> (value, gradient)``, one for each column."""

    def __init__(self, functions):
        self.functions = functions
        self.calls = 0

    def take(self, columns):
        return Columns([self.functions[i] for i in columns])

    def __call__(self, X, gradient, curvature):
        self.calls += 1
        curvature[:] = 1.0
        values = np.empty(X.shape[1])
        for i, function in enumerate(self.functions):
            values[i], gradient[:, i] = function(X[:, i].copy())
        return values


class Roots:
    """Convex and nearly kinked: Σ_j c_j (x_j − a_j)² + √(x_j² + ε), entry by entry."""

    def __init__(self, a, c, epsilon=1e-8):
        self.a, self.c, self.epsilon = a, c, epsilon

    def take(self, columns):
        return Roots(self.a[:, columns], self.c[:, columns], self.epsilon)

    def __call__(self, X, gradient, curvature):
        roots = np.sqrt(X * X + X.dtype.type(self.epsilon))
        gradient[:] = 2 * self.c * (X - self.a) + X / roots
        curvature[:] = 2 * self.c + 1 / roots
        return np.sum(self.c * (X - self.a) ** 2 + roots, axis=0)


def roots(k=12, n=40, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    a, c = rng.standard_normal((k, n)), rng.uniform(0.1, 10, (k, n))
    return Roots(a.astype(dtype), c.astype(dtype)), a.astype(dtype)


def by_length():
    """The problems of one number of unknowns, side by side.

    Dixon-Price has a second minimum, 2/3, where a first step of -g may lead. The
    worst of the quadratics, for which all at its side would wait, is left to L-BFGS.
    """
    groups = {}
    for problem in problems():
        left_out = problem.name.startswith("Dixon") or "1e+06" in problem.name
        if problem.one_minimum and not left_out:
            groups.setdefault(len(problem.x0), []).append(problem)
    return list(groups.values())


@pytest.mark.parametrize("group", by_length(), ids=lambda g: f"n={len(g[0].x0)}")
def test_reaches_the_minima_scipy_reaches(group):
    X0 = np.stack([problem.x0 for problem in group], axis=1)
    result = minimize_separable(
        Columns([problem.fun for problem in group]),
        X0,
        max_iter=MANY,
        tol=TOL,
        n_corrections=10,
    )
    assert result.converged.all()
    for i, problem in enumerate(group):
        oracle = scipy_minimum(problem.name)
        start = problem.fun(problem.x0)[0]
        value = problem.fun(result.X[:, i])[0]
        assert result.value[i] == value
        assert value <= oracle.fun + 1e-8 * abs(oracle.fun) + 1e-12 * start


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kinks_are_found_by_their_curvature(dtype):
    """Against SciPy on each column, and with fewer iterations than it needs."""
    fun, start = roots(dtype=dtype)
    tol = 1e-6 if dtype == np.float64 else 1e-3
    result = minimize_separable(fun, start, max_iter=500, tol=tol)
    assert result.converged.all()
    assert result.X.dtype == dtype
    exact, x0 = roots()
    needed = []
    for i in range(start.shape[1]):
        column = exact.take([i])

        def one(x, column=column):
            G, C = np.empty((2, len(x), 1))
            value = column(x[:, np.newaxis], G, C)
            return value[0], G[:, 0]

        oracle = scipy_lbfgs(one, x0[:, i])
        needed.append(oracle.nit)
        found = one(result.X[:, i].astype(np.float64))[0]
        assert found <= oracle.fun + (1e-9 if dtype == np.float64 else 1e-5)
    assert result.n_iter.mean() < np.mean(needed)


def test_a_column_does_not_see_its_neighbours():
    """But for the order in which NumPy adds; there is one minimum."""
    fun, start = roots()
    start[:, ::3] *= 1e3
    options = {"max_iter": 300, "tol": 1e-10}
    together = minimize_separable(fun, start, **options)
    assert together.converged.all()
    for columns in (np.array([0]), np.array([5, 2, 33]), np.arange(3, 40)):
        apart = minimize_separable(fun.take(columns), start[:, columns], **options)
        expected = together.X[:, columns]
        np.testing.assert_allclose(apart.X, expected, rtol=0, atol=1e-9)
        np.testing.assert_allclose(apart.value, together.value[columns], rtol=1e-14)


@pytest.mark.parametrize("max_iter", [0, 1, 3, 10])
def test_limit_of_iterations_and_never_worse_than_the_start(max_iter):
    fun, start = roots()
    before = start.copy()
    result = minimize_separable(fun, start, max_iter=max_iter, tol=0.0)
    np.testing.assert_array_equal(start, before)
    assert (result.n_iter == max_iter).all() and not result.converged.any()
    G, C = np.empty((2, *start.shape))
    assert (result.value <= fun(start, G, C)).all()
    np.testing.assert_allclose(result.value, fun(result.X, G, C), rtol=1e-14)


def test_columns_that_start_at_their_minimum_stay():
    fun, start = roots()
    solved = minimize_separable(fun, start, max_iter=500, tol=1e-8)
    start[:, ::2] = solved.X[:, ::2]
    result = minimize_separable(fun, start, max_iter=500, tol=1e-8)
    assert (result.n_iter[::2] == 0).all() and (result.n_iter[1::2] > 0).all()
    np.testing.assert_array_equal(result.X[:, ::2], solved.X[:, ::2])


def test_each_column_may_have_its_own_tolerance():
    fun, start = roots()
    tol = np.where(np.arange(40) % 2, 1e-1, 1e-7)
    result = minimize_separable(fun, start, max_iter=500, tol=tol)
    G, C = np.empty((2, *start.shape))
    fun(result.X, G, C)
    assert (np.abs(G).max(axis=0) <= tol).all()
    assert result.n_iter[::2].mean() > result.n_iter[1::2].mean()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unreachable_tolerance_ends_at_rounding(dtype):
    fun, start = roots(dtype=dtype)
    result = minimize_separable(fun, start, max_iter=5000, tol=0.0)
    assert (result.n_iter < 5000).all() and result.converged.all()


def test_a_wall_shortens_the_step():
    """-log has no value left of 0, and x = 1 is the minimum of x − log x."""

    def fun(x):
        return float(np.sum(x - np.log(x))), 1 - 1 / x

    scaled = Columns([fun, lambda x: tuple(1e3 * np.array(part) for part in fun(x))])
    result = minimize_separable(scaled, np.full((3, 2), 8.0), max_iter=100, tol=1e-6)
    np.testing.assert_allclose(result.X, 1, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_at_the_start(bad):
    with pytest.raises(NotFiniteError, match="finite at X0"):
        minimize_separable(Columns([lambda x: (bad, x)]), np.ones((2, 1)))
    with pytest.raises(NotFiniteError, match="finite at X0"):
        minimize_separable(Columns([lambda x: (1.0, bad * x)]), np.ones((2, 1)))
