"""What runs of L-BFGS hand on to each other."""

import numpy as np
import pytest
from problems import problems

from skae.solvers import Memory, minimize_lbfgs

PROBLEMS = {problem.name: problem for problem in problems()}
CHOSEN = ("Rosenbrock 100", "Wood 40", "sparse autoencoder, iris 4-3")


def with_aux(fun):
    return lambda x: (*fun(x), None)


def in_pieces(fun, x, pieces, **options):
    memory = Memory()
    for n in pieces:
        x = minimize_lbfgs(fun, x, max_iter=n, memory=memory, **options).x
    return x


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("l1", [None, 1e-3])
def test_pieces_are_one_run(name, dtype, l1):
    problem = PROBLEMS[name]
    fun, x0 = with_aux(problem.fun), problem.x0.astype(dtype)
    options = {"tol": 0, "ftol": 0, "l1": l1, "n_corrections": 5}
    whole = minimize_lbfgs(fun, x0, max_iter=14, **options)
    pieces = in_pieces(fun, x0, (1, 2, 8, 3), **options)
    np.testing.assert_array_equal(pieces, whole.x)
    # They would not be if each began afresh.
    afresh = x0
    for n in (1, 2, 8, 3):
        afresh = minimize_lbfgs(fun, afresh, max_iter=n, **options).x
    assert (afresh != whole.x).any()


A = np.geomspace(1, 1e3, 20)


def noisy_quadratic(rng):
    """½ (x - z)ᵀ A (x - z), of each draw of z another minimum, near 1."""
    z = 1 + 1e-3 * rng.normal(size=20)
    return lambda x: ((x - z) @ (A * (x - z)) / 2, A * (x - z), None)


def in_rounds(keeps, n_rounds=12, n_iter=4):
    """The point after so many iterations on each of so many draws, and the memory."""
    rng, memory, x = np.random.default_rng(0), Memory(), np.zeros(20)
    for _ in range(n_rounds):
        memory = memory if keeps else Memory()
        x = minimize_lbfgs(
            noisy_quadratic(rng), x, max_iter=n_iter, tol=0, ftol=0, memory=memory
        ).x
    return x, memory


def test_what_one_draw_of_noise_tells_of_the_curvature_serves_the_next():
    """The expected value is ½ (x - 1)ᵀ A (x - 1), up to a constant."""
    left = [A @ np.square(in_rounds(keeps)[0] - 1) for keeps in (True, False)]
    assert left[0] < 0.05 * left[1]


def test_no_pair_is_a_difference_of_two_functions():
    """Every y is A s, whatever the draws."""
    _, memory = in_rounds(keeps=True, n_rounds=3)
    pairs = memory.history._pairs
    assert len(pairs) == 10
    for s, y in pairs:
        np.testing.assert_allclose(y, A * s, rtol=1e-6, atol=1e-9 * np.abs(y).max())


def test_a_memory_may_be_given_to_a_run_that_takes_no_step():
    memory = Memory()
    minimize_lbfgs(with_aux(lambda x: (x @ x, 2 * x)), [0.0, 0.0], memory=memory)
    assert memory.history is None


@pytest.mark.parametrize(
    ("x0", "options"),
    [
        (np.ones(3), {}),
        (np.ones(2, np.float32), {}),
        (np.ones(2), {"n_corrections": 3}),
        (np.ones(2), {"l1": 0.1}),
    ],
)
def test_the_memory_of_another_kind_of_run_is_refused(x0, options):
    fun, memory = with_aux(lambda x: (np.cosh(x).sum(), np.sinh(x))), Memory()
    minimize_lbfgs(fun, np.ones(2), max_iter=2, memory=memory)
    with pytest.raises(ValueError, match="memory"):
        minimize_lbfgs(fun, x0, memory=memory, **options)
