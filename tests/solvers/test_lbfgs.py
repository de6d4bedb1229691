"""L-BFGS against SciPy's on a table of problems, and at every way it can end."""

from functools import cache

import numpy as np
import pytest
from covering import every_pair
from problems import problems, quadratic, rosenbrock, sparse_autoencoder
from scipy_minima import MANY, TOL, scipy_lbfgs, scipy_minimum
from sklearn.datasets import load_iris
from threadpoolctl import threadpool_limits

from skae.solvers import minimize_lbfgs
from skae.solvers.history import History
from skae.solvers.line_search import C1, C2, Ray, strong_wolfe
from skae.solvers.stopping import still_to_be_had

PROBLEMS = problems()[:-1]  # the largest shows no more than a smaller one of its kind
CONVERGED = ("gradient", "value", "precision")
BY_NAME = {problem.name: problem for problem in PROBLEMS}
EPS32 = float(np.finfo(np.float32).eps)

table = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """NumPy's and SciPy's BLAS threads wait for each other on problems this small."""
    with threadpool_limits(1, user_api="blas"):
        yield


def with_aux(fun):
    return lambda x: (*fun(x), None)


def ours(problem, dtype=np.float64, **options):
    """Only the gradient test and the precision of the arithmetic end it."""
    options = {"max_iter": MANY, "tol": TOL, "ftol": 0, **options}
    return minimize_lbfgs(with_aux(problem.fun), problem.x0.astype(dtype), **options)


@cache
def minimum(name):
    """Ours of the problem of that name; nothing writes to it."""
    return ours(BY_NAME[name])


@table
def test_reaches_the_minimum_scipy_reaches(problem):
    result, oracle = minimum(problem.name), scipy_minimum(problem.name)
    assert result.status == "gradient"
    value, gradient = problem.fun(result.x)
    assert result.value == value
    np.testing.assert_array_equal(result.gradient, gradient)
    assert np.abs(gradient).max() <= TOL
    if problem.one_minimum:
        scale = problem.fun(problem.x0)[0]
        assert value <= oracle.fun + 1e-8 * abs(oracle.fun) + 1e-12 * scale
    else:
        # Either solver may end in the better of two local minima.
        assert value <= 1.01 * oracle.fun


def test_needs_no_more_evaluations_than_scipy():
    ratios = [minimum(name).n_fun / scipy_minimum(name).nfev for name in BY_NAME]
    assert np.median(ratios) <= 1.2


@table
def test_float32_reaches_what_float32_can(problem):
    """The oracle minimises the same float32 function, its own vectors in float64."""

    def fun32(x):
        value, gradient = problem.fun(x.astype(np.float32))
        return float(value), gradient.astype(np.float64)

    result = ours(problem, np.float32)
    assert result.x.dtype == result.gradient.dtype == np.float32
    assert result.status in CONVERGED
    oracle = scipy_lbfgs(fun32, problem.x0)
    value = problem.fun(result.x.astype(np.float64))[0]
    reached = problem.fun(oracle.x.astype(np.float32).astype(np.float64))[0]
    least = scipy_minimum(problem.name).fun
    if problem.one_minimum:
        start = problem.fun(problem.x0)[0]
        assert value - least <= 10 * max(reached - least, EPS32 * start)
    else:
        assert value <= 1.01 * least


@dtypes
@table
def test_never_worse_than_the_start_and_within_max_iter(problem, dtype):
    x0 = problem.x0.astype(dtype)
    for max_iter in (0, 1, 2, 5, 13):
        with np.errstate(all="ignore"):
            result = ours(problem, dtype, max_iter=max_iter, tol=0)
        assert result.value <= problem.fun(x0)[0]
        assert result.n_iter <= max_iter
        np.testing.assert_array_equal(x0, problem.x0.astype(dtype))


@table
def test_max_fun_is_never_exceeded(problem):
    calls = []

    def fun(x):
        calls.append(1)
        return problem.fun(x)

    for max_fun in (1, 2, 3, 4, 10, 31):
        calls.clear()
        result = ours(problem._replace(fun=fun), max_fun=max_fun)
        assert len(calls) == result.n_fun <= max_fun
        assert result.value == problem.fun(result.x)[0] <= problem.fun(problem.x0)[0]
        if result.n_fun == max_fun:
            assert result.status in ("max_fun", "gradient")


def test_a_search_cut_short_keeps_what_it_gained():
    """The minimum is at x = 1000; the first steps go down and are too short."""

    def fun(x):
        return (x[0] / 1000 - 1) ** 2, (x / 1000 - 1) / 500, None

    result = minimize_lbfgs(fun, np.zeros(1), max_fun=3)
    assert (result.status, result.n_iter, result.n_fun) == ("max_fun", 1, 3)
    assert result.value == fun(result.x)[0] < 1
    np.testing.assert_array_equal(result.gradient, fun(result.x)[1])


@every_pair(
    outside=[np.nan, np.inf, -np.inf],
    what=["value", "gradient", "one entry"],
    dtype=[np.float32, np.float64],
)
def test_backtracks_from_where_the_function_is_not_finite(dtype, what, outside):
    """-Σ log(1 - x) - Σ log(x): its minimum is at ½, its domain the unit cube."""

    def fun(x):
        if ((x > 0) & (x < 1)).all():
            value = -np.sum(np.log(1 - x) + np.log(x))
            return value, (1 / (1 - x) - 1 / x).astype(dtype), None
        value, gradient = -1e3, np.zeros_like(x)
        if what == "value":
            value = outside
        elif what == "gradient":
            gradient[:] = outside
        else:
            gradient[2] = outside
        return value, gradient, None

    x0 = np.array([1e-3, 0.999, 0.9, 0.2], dtype=dtype)
    result = minimize_lbfgs(fun, x0, tol=1e-4)
    assert result.status == "gradient"
    np.testing.assert_allclose(result.x, 0.5, atol=1e-4)


@pytest.mark.filterwarnings("error")
def test_overflow_makes_no_warning():
    def fun(x):
        return np.sum(np.exp(x) - x), np.exp(x) - 1, None

    # The first search reaches out from x = -200 until exp(x) overflows.
    x0 = np.full(3, -200, dtype=np.float32)
    values = []

    def recorded(x):
        values.append(fun(x))
        return values[-1]

    result = minimize_lbfgs(recorded, x0)
    assert any(np.isinf(value) for value, _, _ in values)
    assert result.status in CONVERGED
    np.testing.assert_allclose(result.x, 0, atol=1e-3)


@pytest.mark.parametrize("value, slope", [(np.nan, 1), (np.inf, 1), (1, np.nan)])
def test_a_start_that_is_not_finite_is_an_error(value, slope):
    with pytest.raises(ValueError, match="finite at x0"):
        minimize_lbfgs(lambda x: (value, slope * x, None), np.ones(2))


@pytest.mark.parametrize(
    "options, name",
    [
        ({"max_iter": -1}, "max_iter"),
        ({"max_fun": 0}, "max_fun"),
        ({"n_corrections": 0}, "n_corrections"),
        ({"window": 0}, "window"),
    ],
)
def test_options_out_of_range_are_errors(options, name):
    with pytest.raises(ValueError, match=name):
        ours(rosenbrock(2), **options)


@pytest.mark.parametrize("x0", [np.ones((2, 2)), np.ones(0)])
def test_x0_is_a_vector(x0):
    with pytest.raises(ValueError, match="x0"):
        minimize_lbfgs(lambda x: (0.0, x, None), x0)


def test_integer_start_becomes_float64():
    result = minimize_lbfgs(lambda x: (x @ x / 2, x, None), [3, 4])
    assert result.x.dtype == np.float64


@table
def test_a_start_at_the_minimum_takes_no_iteration(problem):
    x = minimum(problem.name).x
    result = ours(problem._replace(x0=x))
    assert (result.status, result.n_iter, result.n_fun) == ("gradient", 0, 1)
    np.testing.assert_array_equal(result.x, x)


@dtypes
def test_an_interrupt_anywhere_returns_the_best_accepted_point(dtype):
    problem = rosenbrock(10)
    accepted, trials = [problem.fun(problem.x0.astype(dtype))[0]], []

    def record(iteration):
        accepted.append(iteration.value)
        trials.append(iteration.n_fun)

    whole = ours(problem, dtype, callback=record)
    # Some of the interrupts fall inside a line search.
    assert whole.n_fun > whole.n_iter + 1
    for k in range(2, whole.n_fun + 1):
        calls = []

        def fun(x, k=k, calls=calls):
            calls.append(1)
            if len(calls) == k:
                raise KeyboardInterrupt
            return problem.fun(x)

        result = ours(problem._replace(fun=fun), dtype)
        assert result.status == "interrupted"
        n_iter = sum(n_fun < k for n_fun in trials)
        assert result.n_iter == n_iter
        assert result.value == min(accepted[: n_iter + 1])
        value, gradient = problem.fun(result.x)
        assert result.value == value
        np.testing.assert_array_equal(result.gradient, gradient)


def test_an_interrupt_before_the_first_value_is_raised():
    def fun(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize_lbfgs(fun, np.ones(2))


def test_an_interrupt_in_the_callback():
    def callback(iteration):
        if iteration.n_iter == 3:
            raise KeyboardInterrupt

    result = ours(rosenbrock(10), callback=callback)
    assert (result.status, result.n_iter) == ("interrupted", 3)


def test_the_callback_sees_each_iteration_and_may_stop():
    problem = rosenbrock(10)
    seen = []

    def callback(iteration):
        value, gradient = problem.fun(iteration.x)
        assert iteration.value == value
        assert iteration.gradient_norm == np.abs(gradient).max()
        assert iteration.aux == ("parts of", value)
        assert not iteration.x.flags.writeable
        seen.append(iteration.n_iter)
        if iteration.n_iter == 7:
            raise StopIteration

    def fun(x):
        value, gradient = problem.fun(x)
        return value, gradient, ("parts of", value)

    result = minimize_lbfgs(fun, problem.x0, callback=callback)
    assert seen == list(range(1, 8))
    assert (result.status, result.n_iter) == ("stopped", 7)
    assert result.aux == ("parts of", result.value)


@pytest.mark.parametrize("factor", [1e-30, 1, 1e30])
def test_ftol_is_relative_at_any_scale(factor):
    """A minimum value of 1 in units of the factor, so that the test decides."""
    problem = quadratic(1e2)

    def fun(x):
        value, gradient = problem.fun(x)
        return factor * (1 + value), factor * gradient, None

    values = [1 + problem.fun(problem.x0)[0]]

    def callback(iteration):
        values.append(iteration.value / factor)

    result = minimize_lbfgs(fun, problem.x0, tol=0, ftol=1e-6, callback=callback)
    assert result.status == "value"
    n = result.n_iter
    windows = [max(10, i // 4) for i in range(n + 1)]
    left = [3 * (values[i - windows[i]] - values[i]) for i in range(10, n + 1)]
    relative = np.array(left) / values[10:]
    assert relative[-1] <= 1e-6 < relative[:-1].min()


def test_what_is_still_to_be_had_is_exact_where_values_fall_as_one_over_n():
    values = [7.0, *(2 + 5 / np.arange(1, 401))]
    assert still_to_be_had(values) == pytest.approx(5 / 400)
    assert still_to_be_had(values[:10]) == np.inf
    halved = 2 + 0.5 ** np.arange(30)
    assert still_to_be_had(halved) > halved[-1] - 2  # less is left where they fall fast


@pytest.mark.parametrize("window", [1, 25])
def test_so_many_iterations_tell_what_is_still_to_be_had(window):
    """However little is asked for, there are as many."""
    problem = rosenbrock(50)
    assert ours(problem, ftol=1e9).n_iter == 10
    found = ours(problem, ftol=1e9, window=window)
    assert (found.status, found.n_iter) == ("value", window)


@pytest.mark.parametrize("size", [1e-8, 1e-7, 1e-6])
def test_noise_in_float32_ends_in_precision(size):
    """A float32 autoencoder whose value has also noise, the same at the same x."""
    problem = sparse_autoencoder("iris", load_iris, 3, alpha=1e-2)

    def fun(x):
        value, gradient = problem.fun(x)
        noise = np.random.default_rng(x.view(np.uint32)).uniform(-size, size)
        return value * (1 + noise), gradient

    result = ours(problem._replace(fun=fun), np.float32, tol=0)
    assert result.status == "precision"
    assert result.value <= 1.001 * ours(problem).value


@dtypes
def test_the_value_is_the_least_accepted_even_in_noise(dtype):
    problem = sparse_autoencoder("iris", load_iris, 3, alpha=1e-2)
    values = [problem.fun(problem.x0.astype(dtype))[0]]
    result = ours(problem, dtype, tol=0, callback=lambda it: values.append(it.value))
    rises = np.sum(np.diff(values) > 0)
    assert rises > 0, "this run should rise within rounding, or it tests nothing"
    assert result.status == "precision"
    assert result.value == min(values) == problem.fun(result.x)[0]


@table
def test_a_gradient_of_the_wrong_sign_goes_nowhere(problem):
    def fun(x):
        value, gradient = problem.fun(x)
        return value, -gradient

    with np.errstate(all="ignore"):
        result = ours(problem._replace(fun=fun), max_iter=50)
    assert result.value <= problem.fun(problem.x0)[0]
    if "quadratic" in problem.name or "regression" in problem.name:
        assert (result.status, result.n_iter) == ("precision", 0)


@dtypes
@pytest.mark.parametrize("problem", PROBLEMS[-3:], ids=lambda p: p.name)
def test_equal_bits_on_two_runs_and_with_a_gradient_array_used_again(problem, dtype):
    buffer = np.empty(problem.x0.size, dtype=dtype)

    def fun(x):
        x_before = x.copy()
        value, buffer[:] = problem.fun(x)
        x[:] = np.nan  # the solver must not rely on x after the call
        x[:] = x_before
        return value, buffer

    first = ours(problem, dtype, max_iter=150)
    for result in (
        ours(problem, dtype, max_iter=150),
        ours(problem._replace(fun=fun), dtype, max_iter=150),
    ):
        np.testing.assert_array_equal(result.x, first.x)
        np.testing.assert_array_equal(result.gradient, first.gradient)
        assert (result.value, result.n_fun) == (first.value, first.n_fun)
    buffer[:] = np.nan
    assert np.isfinite(result.gradient).all()


def dense_bfgs(pairs):
    """The inverse Hessian from sᵀy/yᵀy I by the BFGS formula, Nocedal & Wright 6.17."""
    s, y = pairs[-1]
    H = s @ y / (y @ y) * np.eye(s.size)
    for s, y in pairs:
        V = np.eye(s.size) - np.outer(y, s) / (s @ y)
        H = V.T @ H @ V + np.outer(s, s) / (s @ y)
    return H


@pytest.mark.parametrize("m", [1, 2, 5])
def test_the_history_is_bfgs_of_the_last_pairs(m):
    rng = np.random.default_rng(0)
    n = 12
    A = np.cov(rng.standard_normal((n, 5 * n)))
    x, pairs = rng.standard_normal(n), []
    history = History(A @ x, m)
    d = np.empty(n)
    for k in range(17):
        np.testing.assert_allclose(history.g, A @ x)
        s = rng.standard_normal(n)
        if k % 6 == 4:
            # A step along which the gradient seems to fall: not to be stored, though
            # the oldest pair may have made room for it.
            assert not history.update(x + s, x, history.g - A @ s)
            assert history.update(x, x + s, A @ x) is False
            pairs = pairs[-(m - 1) :] if m > 1 else []
        assert history.update(x + s, x, A @ (x + s))
        x = x + s
        pairs = [*pairs, (s, A @ s)][-m:]
        expected = -dense_bfgs(pairs) @ (A @ x)
        np.testing.assert_allclose(history.direction(d), expected, rtol=1e-9)
    gamma = history.gamma
    history.clear()
    assert history.empty
    np.testing.assert_allclose(history.direction(d), -gamma * (A @ x))


def test_an_accepted_step_meets_the_strong_wolfe_conditions():
    for seed in range(40):
        assert_strong_wolfe(np.random.default_rng(seed))


def assert_strong_wolfe(rng):
    """Of a quartic with waves, and a first trial step of any size."""
    a, b, c = rng.uniform(0.1, 3, 3)

    def fun(x):
        t = x[0]
        value = a * t**4 / 4 + b * np.sin(3 * t) - c * t if t < 20 else np.inf
        return value, np.array([a * t**3 + 3 * b * np.cos(3 * t) - c]), None

    x, d = np.zeros(1), np.ones(1)
    value, slope, _ = fun(x)
    d = -np.sign(slope) * d
    slope = -abs(float(slope[0]))
    ray = Ray(fun, np.empty(1), np.inf)
    ray.aim(x, d)
    assert strong_wolfe(ray, value, slope, 10.0 ** rng.uniform(-4, 2))
    t = float(ray.x[0] / d[0])
    assert t > 0
    assert ray.value <= value + C1 * t * slope
    assert abs(ray.gradient[0]) <= C2 * abs(slope)


def test_one_poor_step_is_no_convergence():
    """f = 1 + a quadratic of curvatures 1 … 1e6: the minimum, 1 at 0, is known."""
    curvatures = 10.0 ** np.arange(7)

    def fun(x):
        return 1 + x @ (curvatures * x) / 2, curvatures * x, None

    # Relatively to 1, all that is left at the start is a hundredth of ftol.
    start = 1e-3 / curvatures**0.5
    kwargs = {"tol": 0, "n_corrections": 3}
    assert minimize_lbfgs(fun, start, ftol=1e-3, **kwargs).n_iter == 10
    assert minimize_lbfgs(fun, start, ftol=0, atol=1e-3, **kwargs).n_iter == 10
    assert minimize_lbfgs(fun, start, ftol=0, max_iter=15, **kwargs).n_iter == 15
