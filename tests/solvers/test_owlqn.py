"""L-BFGS with an L1 penalty against scikit-learn, closed forms and the optimum's own
conditions, and at every way it can end."""

import numpy as np
import pytest
from covering import every_pair
from problems import logistic_regression, problems, quadratic, rosenbrock
from problems import sparse_autoencoder as autoencoder
from scipy.optimize import minimize
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.linear_model import Lasso, LassoLars, LogisticRegression
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from skae.solvers import minimize_lbfgs
from skae.solvers.history import History
from skae.solvers.orthant import Orthant, OrthantHistory, exact_dot

PROBLEMS = problems()[:-1]  # the largest shows no more than a smaller one of its kind
EPS32 = float(np.finfo(np.float32).eps)
MANY = 20_000
CONVERGED = ("gradient", "value", "precision")

table = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    with threadpool_limits(1, user_api="blas"):
        yield


def ours(fun, x0, c, dtype=np.float64, **options):
    """Only the gradient test and the precision of the arithmetic end it."""
    options = {"max_iter": MANY, "tol": 1e-7, "ftol": 0, **options}
    x0 = np.asarray(x0, dtype=dtype)
    return minimize_lbfgs(lambda x: (*fun(x), None), x0, l1=c, **options)


def penalised(fun, x, c):
    """F(x) as it is written, in float64 but for f's own arithmetic."""
    return fun(x)[0] + float(np.sum(c * np.abs(x.astype(np.float64))))


def pseudo_gradient(fun, x, c):
    """The subgradient of least norm, entry by entry."""
    pseudo = np.empty(x.size)
    for j, (xj, gj, cj) in enumerate(
        zip(x, fun(x)[1], np.broadcast_to(c, x.shape), strict=True)
    ):
        if xj != 0:
            pseudo[j] = gj + cj * np.sign(xj)
        else:
            pseudo[j] = np.sign(gj) * max(abs(gj) - cj, 0)
    return pseudo


def assert_optimal(fun, x, c, rtol=1e-3):
    """|g_j| <= c_j where x_j = 0, and g_j = -c_j sign(x_j) elsewhere."""
    g, c = fun(x)[1], np.broadcast_to(c, x.shape)
    zero = x == 0
    assert (np.abs(g[zero]) <= c[zero] * (1 + rtol)).all()
    slack = np.where(c > 0, c, c.max())[~zero] * rtol
    assert (np.abs(g + c * np.sign(x))[~zero] <= slack).all()


# -- against scikit-learn ----------------------------------------------------------


def load_some_digits(return_X_y):
    """A twelfth of them: SAGA, the oracle, takes long."""
    X, labels = load_digits(return_X_y=return_X_y)
    return X[::12], labels[::12]


DATA = {
    "breast cancer": load_breast_cancer,
    "digits": load_some_digits,
    "wine": load_wine,
}


def binary(name):
    """Standardised rows and labels of -1 and 1: digits above 4, wine's first class."""
    X, labels = DATA[name](return_X_y=True)
    labels = {"digits": labels > 4, "wine": labels == 0}.get(name, labels == 1)
    return scale(X), np.where(labels, 1.0, -1.0)


def log_loss(X, y):
    """Mean of log(1 + exp(-y X w)) and its gradient."""

    def fun(w):
        margin = y * (X @ w)
        slope = -y / (1 + np.exp(margin)) / len(y)
        return np.logaddexp(0, -margin).mean(), X.T @ slope

    return fun


def assert_same(fun, c, x, theirs):
    """Objectives to 1e-6, and the same support up to what the oracle's error hides."""
    value, oracle = penalised(fun, x, c), penalised(fun, theirs, c)
    assert value <= oracle * (1 + 1e-9)
    assert value >= oracle * (1 - 1e-6)
    np.testing.assert_array_equal(x != 0, np.abs(theirs) > 1e-6)


@pytest.mark.parametrize("c", [0.1, 0.01, 0.001])
@pytest.mark.parametrize("name", DATA)
@pytest.mark.filterwarnings("ignore:.*penalty.*")
def test_logistic_regression_without_intercept_is_liblinear(name, c):
    X, y = binary(name)
    fun = log_loss(X, y)
    oracle = LogisticRegression(
        penalty="l1",
        solver="liblinear",
        C=1 / (c * len(y)),
        fit_intercept=False,
        tol=1e-10,
        max_iter=MANY,
        random_state=0,
    ).fit(X, y)
    result = ours(fun, np.zeros(X.shape[1]), c, tol=1e-8)
    assert result.status in CONVERGED
    assert_optimal(fun, result.x, c)
    assert_same(fun, c, result.x, oracle.coef_.ravel())


@pytest.mark.parametrize("c", [0.1, 0.03])
@pytest.mark.parametrize("name", DATA)
@pytest.mark.filterwarnings("ignore:.*penalty.*")
def test_multinomial_regression_with_free_intercepts_is_saga(name, c):
    X, labels = DATA[name](return_X_y=True)
    k, problem = labels.max() + 1, logistic_regression(name, DATA[name], 0.0)
    if k == 2:
        X, y = binary(name)
        X = np.column_stack([X, np.ones(len(X))])
        fun, k, x0 = log_loss(X, y), 1, np.zeros(X.shape[1])
        X, labels = X[:, :-1], y
    else:
        X, fun, x0 = scale(X), problem.fun, problem.x0
    c = np.full(x0.size, c)
    c[-k:] = 0
    oracle = LogisticRegression(
        penalty="l1", solver="saga", C=1 / (c[0] * len(X)), tol=1e-7, max_iter=MANY
    ).fit(X, labels)
    result = ours(fun, x0, c)
    assert result.status in CONVERGED
    assert_optimal(fun, result.x, c)
    theirs = np.concatenate([oracle.coef_.T.ravel(), oracle.intercept_])
    assert penalised(fun, result.x, c) <= penalised(fun, theirs, c) * (1 + 1e-9)
    assert penalised(fun, result.x, c) >= penalised(fun, theirs, c) * (1 - 1e-6)
    np.testing.assert_array_equal(result.x[:-k] != 0, np.abs(theirs[:-k]) > 1e-5)


def least_squares():
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X), scale(y)

    def fun(w):
        r = X.astype(w.dtype) @ w - y.astype(w.dtype)
        return r @ r / (2 * len(y)), X.astype(w.dtype).T @ r / w.dtype.type(len(y))

    return X, y, fun


@pytest.mark.parametrize("c", [0.5, 0.1, 0.03, 0.003])
def test_least_squares_is_lasso(c):
    X, y, fun = least_squares()
    x = ours(fun, np.zeros(10), c).x
    assert_optimal(fun, x, c)
    for oracle in (
        Lasso(alpha=c, fit_intercept=False, tol=1e-14, max_iter=10**6),
        LassoLars(alpha=c, fit_intercept=False),
    ):
        theirs = oracle.fit(X, y).coef_
        np.testing.assert_allclose(x, theirs, atol=1e-5)
        np.testing.assert_array_equal(x != 0, theirs != 0)


# -- closed forms ------------------------------------------------------------------


def separable(n=200, condition=1e3):
    """½ Σ a_j (x_j - b_j)²: its minimum with the penalty is b, shrunk by c / a."""
    rng = np.random.default_rng(0)
    a, b = np.logspace(0, np.log10(condition), n), rng.laplace(size=n)
    c = a * rng.uniform(0, 1, n) * (rng.random(n) < 0.7)
    minimum = np.sign(b) * np.maximum(np.abs(b) - c / a, 0)

    def fun(x):
        A, B = a.astype(x.dtype), b.astype(x.dtype)
        return np.sum(A * (x - B) ** 2) / 2, A * (x - B)

    return fun, c, minimum, rng.standard_normal(n)


@pytest.mark.parametrize("start", ["random", "zero", "wrong orthant"])
@dtypes
def test_a_separable_quadratic_is_soft_thresholded(dtype, start):
    fun, c, minimum, x0 = separable()
    x0 = {"random": x0, "zero": 0 * x0, "wrong orthant": -10 * minimum}[start]
    result = ours(fun, x0, c, dtype, tol=1e-4 if dtype == np.float32 else 1e-7)
    assert (
        result.status in CONVERGED and result.x.dtype == result.gradient.dtype == dtype
    )
    least = penalised(fun, minimum, c)
    value = penalised(fun, result.x.astype(np.float64), c)
    assert value <= least * (1 + float(np.finfo(dtype).eps))
    # F grows by a_j / 2 >= 1/2 times the square of an entry's error at least.
    atol = 1e-2 if dtype == np.float32 else 1e-5
    np.testing.assert_allclose(result.x, minimum, atol=atol)
    np.testing.assert_array_equal(result.x == 0, minimum == 0)
    assert not np.signbit(result.x[result.x == 0]).any()
    assert (c == 0).any() and (minimum == 0).any() and (minimum != 0).any()


@dtypes
def test_a_number_is_that_weight_for_every_entry(dtype):
    problem = quadratic(1e2)
    one = ours(problem.fun, problem.x0 + 1, 0.3, dtype, max_iter=30)
    each = ours(problem.fun, problem.x0 + 1, np.full(60, 0.3), dtype, max_iter=30)
    np.testing.assert_array_equal(one.x, each.x)
    assert one.value == each.value


@pytest.mark.parametrize("c", [0, 0.0, np.zeros(60)])
@dtypes
def test_weights_of_zero_give_the_bits_of_the_smooth_solver(dtype, c):
    problem = quadratic(1e3)
    smooth = ours(problem.fun, problem.x0, None, dtype)
    result = ours(problem.fun, problem.x0, c, dtype)
    np.testing.assert_array_equal(result.x, smooth.x)
    np.testing.assert_array_equal(result.gradient, smooth.gradient)
    assert result.value == smooth.value and result.n_fun == smooth.n_fun


@dtypes
@table
def test_a_very_large_weight_gives_exactly_zero_at_once(problem, dtype):
    zero = np.zeros_like(problem.x0, dtype=dtype)
    c = 10 * np.abs(problem.fun(zero)[1]).max() + 1
    result = ours(problem.fun, zero, c, dtype)
    assert (result.status, result.n_fun) == ("gradient", 1)
    assert not result.x.any() and not result.gradient.any()


@dtypes
def test_a_very_large_weight_brings_any_start_to_zero_soon(dtype):
    problem = quadratic(1e2)
    x0 = np.random.default_rng(0).standard_normal(60)
    result = ours(problem.fun, x0, 1e6, dtype)
    assert not result.x.any() and result.n_iter <= 20
    assert result.status == "gradient"


@table
def test_a_start_at_the_minimum_takes_no_iteration(problem):
    minimum = ours(problem.fun, problem.x0, 1.0, max_iter=2000)
    if minimum.status != "gradient":
        pytest.skip("not there within the iterations")
    result = ours(problem.fun, minimum.x, 1.0)
    assert (result.n_iter, result.n_fun) == (0, 1)
    np.testing.assert_array_equal(result.x, minimum.x)


# -- the state it ends in ----------------------------------------------------------


@dtypes
@table
def test_values_and_gradients_are_those_of_the_penalised_function(problem, dtype):
    rng = np.random.default_rng(0)
    c = rng.uniform(0, 0.1, problem.x0.size).astype(dtype)
    c[::3] = 0
    for max_iter in (0, 1, 2, 5, 40):
        assert_penalised(problem, c, max_iter)


def assert_penalised(problem, c, max_iter):
    """What the callback and the result say of each iterate."""
    dtype = c.dtype
    values = []
    result = ours(
        problem.fun,
        problem.x0,
        c,
        dtype,
        tol=0,
        max_iter=max_iter,
        callback=lambda it: values.append((it.value, it.gradient_norm, it.x.copy())),
    )
    x0 = problem.x0.astype(dtype)
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    start, largest = (
        penalised(problem.fun, x0, c),
        float(np.abs(problem.fun(x0)[1]).max()),
    )
    assert result.value <= start * (1 + rtol)
    assert result.n_iter <= max_iter
    values.append((result.value, np.abs(result.gradient).max(), result.x))
    for value, norm, x in values:
        assert value == pytest.approx(penalised(problem.fun, x, c), rel=rtol)
        expected = pseudo_gradient(problem.fun, x, c)
        norms = np.abs(expected).max()
        assert norm == pytest.approx(norms, rel=1e-5, abs=rtol * largest)
    atol = rtol * largest
    np.testing.assert_allclose(result.gradient, expected, rtol=rtol, atol=atol)


@table
def test_the_value_never_rises_but_by_rounding(problem):
    c, values = 0.01, []
    result = ours(
        problem.fun,
        problem.x0,
        c,
        max_iter=300,
        callback=lambda it: values.append(it.value),
    )
    values = np.array(values)
    eps = float(np.finfo(np.float64).eps)
    assert (np.diff(values) <= 8 * eps * np.abs(values[:-1])).all()
    assert result.value <= min(values) + 8 * eps * abs(min(values))


def split(fun, x0, c):
    """The oracle: x = u - v with u, v >= 0 makes the penalty linear."""

    def both(z):
        u, v = np.split(z, 2)
        value, g = fun(u - v)
        return value + c * z.sum(), np.concatenate([g + c, c - g])

    z = np.concatenate([np.maximum(x0, 0), np.maximum(-x0, 0)])
    options = {"gtol": 1e-7, "ftol": 0, "maxiter": MANY, "maxfun": MANY}
    bounds = [(0, None)] * z.size
    with np.errstate(all="ignore"):
        return minimize(
            both, z, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )


@pytest.mark.parametrize("c", [0.01, 1.0, 30.0])
@pytest.mark.parametrize(
    "problem",
    # SciPy needs 16,000 evaluations for the penalised Rosenbrock 50; Brown's x is 1e6.
    [
        p
        for p in PROBLEMS
        if p.x0.size <= 60 and p.one_minimum
        if p.name not in ("Brown badly scaled", "Rosenbrock 50")
    ],
    ids=lambda p: p.name,
)
def test_reaches_the_minimum_of_the_split_problem(problem, c):
    """Of a convex function SciPy finds nothing lower even if it starts there."""
    result = ours(problem.fun, problem.x0, c)
    convex = "quadratic" in problem.name or "regression" in problem.name
    oracle = split(problem.fun, result.x if convex else problem.x0, c)
    assert result.status in CONVERGED
    assert result.value <= oracle.fun + 1e-6 * abs(oracle.fun)


@pytest.mark.parametrize("c", [1e-2, 1e-3])
@dtypes
def test_an_autoencoder_gets_zero_weights_at_a_stationary_point(dtype, c):
    problem = autoencoder("iris", load_iris, 3, alpha=1e-4)
    weights = np.full(problem.x0.size, c)
    weights[-7:] = 0  # the biases
    tol = 1e-4 if dtype == np.float32 else 1e-6
    result = ours(problem.fun, problem.x0, weights, dtype, tol=tol)
    assert (
        result.status in CONVERGED
        and (result.x[:-7] == 0).any()
        and result.x[-7:].all()
    )
    x = result.x.astype(np.float64)
    assert np.abs(pseudo_gradient(problem.fun, x, weights)).max() <= 2 * tol


# -- the ways it can end -----------------------------------------------------------


@table
def test_max_fun_is_never_exceeded(problem):
    calls = []

    def fun(x):
        calls.append(1)
        return problem.fun(x)

    for max_fun in (1, 2, 3, 4, 10, 31):
        calls.clear()
        result = ours(fun, problem.x0, 0.1, max_fun=max_fun)
        assert len(calls) == result.n_fun <= max_fun
        assert result.value <= penalised(problem.fun, problem.x0, 0.1) * (1 + 1e-12)


@every_pair(
    outside=[np.nan, np.inf, -np.inf],
    what=["value", "gradient", "one entry"],
    dtype=[np.float32, np.float64],
)
def test_backtracks_from_where_the_function_is_not_finite(dtype, what, outside):
    """-Σ log(1 - x) - Σ log(x) + Σ x: its domain is the unit cube."""

    def fun(x):
        if ((x > 0) & (x < 1)).all():
            value = -np.sum(np.log(1 - x) + np.log(x))
            return value, (1 / (1 - x) - 1 / x).astype(dtype)
        value, gradient = -1e3, np.zeros_like(x)
        if what == "value":
            value = outside
        elif what == "gradient":
            gradient[:] = outside
        else:
            gradient[2] = outside
        return value, gradient

    result = ours(fun, [1e-3, 0.999, 0.9, 0.2], 1.0, dtype, tol=1e-4)
    assert result.status == "gradient"
    # 1 / (1 - x) - 1 / x + 1 = 0
    np.testing.assert_allclose(result.x, (3 - 5**0.5) / 2, atol=1e-4)


@pytest.mark.filterwarnings("error")
def test_overflow_makes_no_warning():
    def fun(x):
        return np.sum(np.exp(x) - x), np.exp(x) - 1

    values = []

    def recorded(x):
        values.append(fun(x))
        return values[-1]

    result = ours(recorded, np.full(3, -200), 0.5, np.float32, tol=1e-4)
    assert result.status in CONVERGED
    np.testing.assert_allclose(result.x, 0, atol=1e-3)


@pytest.mark.parametrize("value, slope", [(np.nan, 1), (np.inf, 1), (1, np.nan)])
def test_a_start_that_is_not_finite_is_an_error(value, slope):
    with pytest.raises(ValueError, match="finite at x0"):
        ours(lambda x: (value, slope * x), np.ones(2), 1.0)


@pytest.mark.parametrize(
    "l1", [-1.0, np.nan, np.inf, [1.0, -1.0], np.ones(3), np.ones((2, 1))]
)
def test_weights_out_of_range_are_errors(l1):
    with pytest.raises(ValueError, match="l1 must be"):
        ours(rosenbrock(2).fun, np.ones(2), l1)


def test_a_weight_that_overflows_float32_is_an_error():
    with pytest.raises(ValueError, match="finite in float32"):
        ours(rosenbrock(2).fun, np.ones(2), 1e39, np.float32)


@dtypes
def test_an_interrupt_anywhere_returns_the_best_accepted_point(dtype):
    problem, c = rosenbrock(10), np.linspace(0, 1, 10)
    accepted, trials = [], []

    def record(iteration):
        accepted.append((iteration.value, iteration.x.copy()))
        trials.append(iteration.n_fun)

    whole = ours(problem.fun, problem.x0, c, dtype, callback=record, max_iter=60)
    assert whole.n_fun > whole.n_iter + 1
    for k in range(2, whole.n_fun + 1):
        calls = []

        def fun(x, k=k, calls=calls):
            calls.append(1)
            if len(calls) == k:
                raise KeyboardInterrupt
            return problem.fun(x)

        result = ours(fun, problem.x0, c, dtype, max_iter=60)
        assert result.status == "interrupted"
        n_iter = sum(n_fun < k for n_fun in trials)
        assert result.n_iter == n_iter
        if n_iter:
            least = min(value for value, _ in accepted[:n_iter])
            assert result.value == least
            # Several points may have that value, as far as float32 shows.
            best = [x for value, x in accepted[:n_iter] if value == least]
            assert any(np.array_equal(result.x, x) for x in best)
        expected = pseudo_gradient(problem.fun, result.x, c.astype(dtype))
        np.testing.assert_allclose(result.gradient, expected, rtol=1e-5, atol=1e-4)


def test_an_interrupt_before_the_first_value_is_raised():
    def fun(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ours(fun, np.ones(2), 1.0)


def test_the_callback_may_stop():
    def callback(iteration):
        assert not iteration.x.flags.writeable
        if iteration.n_iter == 3:
            raise StopIteration

    result = ours(rosenbrock(10).fun, rosenbrock(10).x0, 0.1, callback=callback)
    assert (result.status, result.n_iter) == ("stopped", 3)


@table
def test_a_gradient_of_the_wrong_sign_goes_nowhere(problem):
    def fun(x):
        value, gradient = problem.fun(x)
        return value, -gradient

    with np.errstate(all="ignore"):
        result = ours(fun, problem.x0, 0.1, max_iter=50)
    assert result.value <= penalised(problem.fun, problem.x0, 0.1) * (1 + 1e-12)


def test_a_long_sum_in_float32_keeps_its_digits():
    a, b = np.random.default_rng(0).uniform(0, 1, (2, 300_001)).astype(np.float32)
    exact = a.astype(np.float64) @ b
    assert abs(exact_dot(a, b) - exact) <= 2 * EPS32 * exact


@dtypes
@pytest.mark.parametrize("problem", PROBLEMS[-3:], ids=lambda p: p.name)
def test_equal_bits_on_two_runs_and_with_a_gradient_array_used_again(problem, dtype):
    buffer = np.empty(problem.x0.size, dtype=dtype)

    def fun(x):
        value, buffer[:] = problem.fun(x)
        return value, buffer

    first = ours(problem.fun, problem.x0, 1e-3, dtype, max_iter=100)
    for f in (problem.fun, fun):
        result = ours(f, problem.x0, 1e-3, dtype, max_iter=100)
        np.testing.assert_array_equal(result.x, first.x)
        np.testing.assert_array_equal(result.gradient, first.gradient)
        assert (result.value, result.n_fun) == (first.value, first.n_fun)


# -- parts -------------------------------------------------------------------------


@np.errstate(over="ignore")
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_history_holds_what_its_pairs_imply(share):
    """A plain history of the pairs without the held entries gives the same H ∇̃F."""
    rng = np.random.default_rng(0)
    n, m = 120, 4
    A = np.cov(rng.standard_normal((n, 5 * n)))
    c = rng.uniform(0, 1, n) * (rng.random(n) < 0.9)
    x, pairs = rng.standard_normal(n) * (rng.random(n) < 0.6), []
    orthant = Orthant(c, x)
    history, d = OrthantHistory(x, A @ x, orthant, m), np.empty(n)
    for _ in range(11):
        before, free = x, orthant.free.copy()
        # Some entries leave the orthant and are set to zero; held ones stay.
        x = x + free * rng.standard_normal(n) * (rng.random(n) < share)
        orthant.project(x)
        y = A @ (x - before) * free
        history.update(x, before, A @ x)
        pseudo = pseudo_gradient(lambda x: (0.0, A @ x), x, c)
        np.testing.assert_allclose(history.g, pseudo, atol=1e-12)
        np.testing.assert_allclose(history.gradient, A @ x)
        pairs = [*pairs, (x - before, y)][-m:]
        H = dense_bfgs(pairs)
        np.testing.assert_allclose(history.direction(d), -H @ pseudo, rtol=1e-8)


def dense_bfgs(pairs):
    """The inverse Hessian from sᵀy/yᵀy I by the BFGS formula, Nocedal & Wright 6.17."""
    s, y = pairs[-1]
    H = s @ y / (y @ y) * np.eye(s.size)
    for s, y in pairs:
        V = np.eye(s.size) - np.outer(y, s) / (s @ y)
        H = V.T @ H @ V + np.outer(s, s) / (s @ y)
    return H


def test_a_plain_history_has_one_gradient():
    history = History(np.ones(3), 2)
    assert history.gradient is history.g
