"""Adam: the paper's iterates, in any units; and how a run ends."""

import numpy as np
import pytest
import textbook

from skae.solvers import adam as module
from skae.solvers.adam import Adam, minimize_adam
from skae.solvers.result import MESSAGES, NotFiniteError


def quadratics(size, count, seed=0):
    """Gradients a ∘ (x − c) of another bowl at each step, of all magnitudes."""
    rng = np.random.default_rng(seed)
    curvatures = 10.0 ** rng.uniform(-6, 3, size)
    centres = rng.standard_normal((count, size))
    return [lambda x, c=c: curvatures * (x - c) for c in centres]


def iterates(gradients, x, **options):
    x = x.copy()
    adam = Adam(x.size, x.dtype, **options)
    for gradient in gradients:
        adam.step(x, gradient(x).astype(x.dtype))
        yield x.copy()


# -- the iteration ---------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"learning_rate": 0.3, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"beta_1": 0.0, "beta_2": 0.0},
    ],
    ids=["defaults", "other", "no memory"],
)
def test_iterates_are_those_of_the_paper(options):
    gradients, x = quadratics(50, 30), np.linspace(-2, 2, 50)
    words = {"learning_rate": 1e-3, **options}
    expected = textbook.adam(gradients, x, words.pop("learning_rate"), **words)
    for ours, theirs in zip(iterates(gradients, x, **options), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("changes", ["at every entry", "in stretches", "nowhere"])
def test_scale_and_unit_are_a_change_of_variables(changes):
    """For f/u as a function of y = x/s, whose gradient is g s/u."""
    size, unit = 60, 37.0
    scale = {
        "at every entry": 10.0 ** np.linspace(-3, 3, size),
        "in stretches": np.repeat([2.0, 1e-4, 2.0, 50.0], [1, 30, 28, 1]),
        "nowhere": np.full(size, 0.03),
    }[changes]
    gradients, x = quadratics(size, 25), np.linspace(-2, 2, size)
    in_y = [lambda y, g=g: g(scale * y) * scale / unit for g in gradients]
    expected = textbook.adam(in_y, x / scale, 0.01, epsilon=1e-4)
    ours = iterates(
        gradients, x, learning_rate=0.01, epsilon=1e-4, scale=scale, unit=unit
    )
    for x, y in zip(ours, expected, strict=True):
        np.testing.assert_allclose(x / scale, y, rtol=1e-11, atol=1e-12)


def test_a_number_as_scale_is_that_number_everywhere():
    gradients, x = quadratics(9, 5), np.ones(9)
    one = list(iterates(gradients, x, scale=0.3))[-1]
    other = list(iterates(gradients, x, scale=np.full(9, 0.3)))[-1]
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("chunk", [1, 7, 30, 59, 60, 61])
@pytest.mark.parametrize("varied", [False, True])
def test_the_cut_into_chunks_changes_no_bit(monkeypatch, chunk, varied):
    size = 60
    scale = np.repeat([1.0, 3.0, 0.1], [7, 23, 30]) if varied else 2.0
    gradients, x = quadratics(size, 6), np.linspace(-2, 2, size)
    whole = list(iterates(gradients, x, scale=scale))
    monkeypatch.setattr(module, "_CHUNK", chunk)
    cut = list(iterates(gradients, x, scale=scale))
    np.testing.assert_array_equal(whole, cut)


@pytest.mark.parametrize("l1", [None, 0.2])
def test_a_scale_that_changes_from_entry_to_entry(l1):
    """The same entries, in another order."""
    size = 60
    scale = np.repeat([1.0, 3.0], size // 2)
    gradients, start = quadratics(size, 6), np.linspace(-2, 2, size)
    order = np.arange(size).reshape(2, -1).T.ravel()  # one of each in turns
    back = np.argsort(order)

    def last(gradients, x, scale):
        adam = Adam(size, np.float64, scale=scale, learning_rate=0.1)
        adam.penalise(l1)
        for gradient in gradients:
            adam.step(x, gradient(x))
        return x

    expected = last(gradients, start.copy(), scale)
    shuffled = [lambda x, g=g: g(x[back])[order] for g in gradients]
    found = last(shuffled, start[order], scale[order])
    np.testing.assert_allclose(found[back], expected, rtol=1e-12)


def test_gradient_and_scale_are_only_read():
    gradient, scale = np.linspace(1, 2, 5), np.linspace(3, 4, 5)
    before = gradient.copy(), scale.copy()
    gradient.flags.writeable = scale.flags.writeable = False
    Adam(5, np.float64, scale=scale).step(np.zeros(5), gradient)
    np.testing.assert_array_equal((gradient, scale), before)


def test_float32_stays_and_follows_float64():
    gradients, x = quadratics(40, 20), np.linspace(-2, 2, 40)
    for single, double in zip(
        iterates(gradients, x.astype(np.float32)), iterates(gradients, x), strict=True
    ):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, atol=1e-5)


def test_no_number_falls_below_the_normal_ones():
    """Where weight decay alone moves an entry, or nothing does any more."""
    x = np.array([1, -1, 1e-3, 5], np.float32)
    adam = Adam(x.size, x.dtype, learning_rate=0.03, scale=np.float32([1, 1, 1e-3, 1]))
    curvatures = np.float32([1e-4, 1e-2, 1e2, 1])
    for step in range(6000):
        gradient = curvatures * x
        gradient[3] = x[3] if step < 50 else 0
        adam.step(x, gradient)
    least = np.finfo(x.dtype).tiny
    for values in (x, adam.m, adam.v):
        assert not ((values != 0) & (np.abs(values) < least)).any()
    assert abs(x[3]) > 1  # which no gradient has moved since
    assert np.abs(x[:3] / [1, 1, 1e-3]).max() < 1e-9


@pytest.mark.parametrize("size", [1e-27, 1e27])
def test_unit_keeps_squares_of_gradients_within_float32(size):
    """Their squares alone are zero or infinite there."""
    gradients = quadratics(40, 20)
    scaled = [lambda x, g=g: size * g(x).astype(np.float64) for g in gradients]
    x = np.linspace(-2, 2, 40).astype(np.float32)
    plain = list(iterates(gradients, x))[-1]
    extreme = list(iterates(scaled, x, unit=size))[-1]
    np.testing.assert_allclose(extreme, plain, rtol=1e-4, atol=1e-6)


# -- with an L1 penalty ------------------------------------------------------------


@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-12), (np.float32, 2e-4)])
def test_iterates_with_l1_are_soft_thresholded(dtype, rtol):
    """In y = x/s and for f/u, as without: the penalty is then Σ c s/u |y|."""
    size, unit = 60, 37.0
    scale = np.repeat([2.0, 0.5, 2.0, 50.0], [1, 30, 28, 1])
    l1 = np.repeat([0.3, 2.0, 0.0], [20, 30, 10])
    gradients, x = quadratics(size, 25), np.linspace(-0.5, 0.5, size)
    in_y = [lambda y, g=g: g(scale * y) * scale / unit for g in gradients]
    expected = textbook.adam(in_y, x / scale, 0.05, epsilon=1e-4, l1=l1 * scale / unit)
    adam = Adam(size, dtype, learning_rate=0.05, scale=scale, unit=unit, epsilon=1e-4)
    adam.penalise(l1)
    ours, zeros = x.astype(dtype), 0
    for gradient, y in zip(gradients, expected, strict=True):
        adam.step(ours, gradient(ours).astype(dtype))
        np.testing.assert_allclose(ours, scale * y, rtol=rtol, atol=rtol)
        zeros = max(zeros, np.count_nonzero(ours == 0))
    assert zeros > 5


def test_without_a_penalty_again_the_bits_are_those_of_plain_adam():
    gradients, x = quadratics(50, 10), np.linspace(-2, 2, 50)
    plain = list(iterates(gradients, x))
    adam = Adam(x.size, x.dtype)
    adam.penalise(np.ones(x.size))
    adam.penalise(None)
    for gradient, expected in zip(gradients, plain, strict=True):
        adam.step(x, gradient(x))
        assert x.tobytes() == expected.tobytes()


def test_a_separable_quadratic_comes_to_rest_at_its_soft_threshold():
    """Curvatures differ by 10⁴: a threshold that did not know of them would miss."""
    curvature, centre = 10.0 ** np.linspace(-2, 2, 9), np.linspace(-2, 2, 9)
    c = 0.7 * curvature
    adam = Adam(9, np.float64, learning_rate=0.01)
    adam.penalise(c)

    def fun(x, batch):
        return 0.0, curvature * (x - centre), 1.0

    result = minimize_adam(
        fun,
        np.ones(9),
        lambda: range(5000),
        max_iter=1,
        adam=adam,
    )
    expected = textbook.soft_threshold(centre, 0.7)
    np.testing.assert_allclose(result.x, expected, atol=1e-6)
    assert (result.x == 0).tolist() == (expected == 0).tolist()


# -- the loop over epochs --------------------------------------------------------


def least_squares(noise=0.1, n=120, d=4, seed=0):
    """½ mean (A x − b)², by rows; and its minimum by LAPACK."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, d))
    b = A @ rng.standard_normal(d) + noise * rng.standard_normal(n)

    def fun(x, rows):
        residual = A[rows] @ x - b[rows]
        weight = len(rows)
        value = residual @ residual / (2 * weight)
        return value, A[rows].T @ residual / weight, weight

    def batches(sizes=(50, 40, 30)):
        return np.split(rng.permutation(n), np.cumsum(sizes)[:-1])

    return fun, batches, np.linalg.lstsq(A, b)[0]


@pytest.mark.parametrize(("noise", "closeness"), [(0.0, 1e-6), (0.1, 1e-3)])
def test_reaches_the_least_squares_solution(noise, closeness):
    """With ever shorter steps, as Adam's own never shrink.

    Without noise all batches have one minimum. With it their minima scatter: the
    standard error of the solution itself is 0.1/√120 = 0.009.
    """
    fun, batches, expected = least_squares(noise)
    adam = Adam(4, np.float64)

    def shorter(iteration):
        adam.learning_rate = 0.1 * 0.97**iteration.n_iter

    adam.learning_rate = 0.1
    result = minimize_adam(
        fun,
        np.zeros(4),
        batches,
        max_iter=500,
        n_iter_no_change=None,
        adam=adam,
        callback=shorter,
    )
    np.testing.assert_allclose(result.x, expected, rtol=0, atol=closeness)
    assert (result.status, result.n_iter, result.n_fun) == ("max_iter", 500, 1500)


def test_it_is_the_papers_algorithm_with_a_batch_a_step():
    fun, batches, _ = least_squares()
    epochs = [batches() for _ in range(3)]
    later = iter(epochs)
    result = minimize_adam(fun, np.ones(4), lambda: next(later), max_iter=3)
    gradients = [
        lambda x, rows=rows: fun(x, rows)[1] for epoch in epochs for rows in epoch
    ]
    *_, last = textbook.adam(gradients, np.ones(4), rate=1e-3)
    np.testing.assert_allclose(result.x, last, rtol=1e-12)


def test_value_of_an_epoch_is_the_weighted_mean_met_on_the_way():
    met = []

    def fun(x, batch):
        met.append((batch, float(x[0])))
        return x[0], np.ones(1), batch

    seen = []
    result = minimize_adam(
        fun, np.array([5.0]), lambda: [1.0, 4.0], max_iter=2, callback=seen.append
    )
    expected = [
        np.average([v for _, v in epoch], weights=[w for w, _ in epoch])
        for epoch in (met[:2], met[2:])
    ]
    assert [i.value for i in seen] == pytest.approx(expected, rel=1e-14)
    assert result.value == seen[-1].value
    assert [(i.n_iter, i.n_fun) for i in seen] == [(1, 2), (2, 4)]


def falling(values):
    """A run whose epochs have these values, one batch each."""
    later = iter(values)
    return lambda x, batch: (next(later), np.zeros_like(x), 1.0)


@pytest.mark.parametrize(
    ("values", "patience", "n_iter", "status"),
    [
        ([9, 8, 7, 6, 5], 1, 5, "max_iter"),
        ([9, 8, 8, 8, 1], 1, 3, "no_change"),
        ([9, 8, 8, 8, 1], 2, 4, "no_change"),
        ([9, 8, 8, 7, 7], 2, 5, "max_iter"),
        # tol is 0.3: what falls by a tenth counts, and by less, once it adds up to it.
        ([9, 8.5, 8, 7.5, 7], 1, 2, "no_change"),
        ([9, 8.5, 8, 7.5, 7], 2, 5, "max_iter"),
        ([9, 12, 9.2, 8.9, 1], 3, 4, "no_change"),
        ([-8, -9, -9, -9, -9], 1, 3, "no_change"),
        ([9, 9, 9, 9, 9], None, 5, "max_iter"),
        ([9, 9, 9, 9, 9], 5, 5, "max_iter"),
    ],
)
def test_stops_when_the_value_stands_still(values, patience, n_iter, status):
    result = minimize_adam(
        falling(values),
        np.zeros(1),
        lambda: [0],
        max_iter=5,
        tol=0.3,
        n_iter_no_change=patience,
    )
    assert (result.n_iter, result.status) == (n_iter, status)
    assert result.value == values[n_iter - 1]
    assert MESSAGES[result.status]


def test_max_iter_is_of_epochs_and_state_goes_on():
    fun, batches, _ = least_squares()
    epochs = [batches() for _ in range(5)]
    later = iter(epochs)
    whole = minimize_adam(fun, np.ones(4), lambda: next(later), max_iter=5)
    later, adam = iter(epochs), Adam(4, np.float64)
    x = np.ones(4)
    for n in (2, 3):
        part = minimize_adam(fun, x, lambda: next(later), max_iter=n, adam=adam)
        assert part.n_iter == n
        x = part.x
    assert adam.t == 15
    np.testing.assert_array_equal(x, whole.x)


def test_x0_is_not_written_and_the_callback_cannot_write():
    fun, batches, _ = least_squares()
    x0 = np.ones(4)

    def callback(iteration):
        with pytest.raises(ValueError, match="read-only"):
            iteration.x[0] = 0
        assert iteration.gradient_norm is None

    result = minimize_adam(fun, x0, batches, max_iter=2, callback=callback)
    np.testing.assert_array_equal(x0, 1)
    assert result.x.flags.writeable
    assert result.gradient is None and result.gradient_norm is None


def test_the_callback_may_stop():
    fun, batches, _ = least_squares()

    def callback(iteration):
        if iteration.n_iter == 3:
            raise StopIteration

    result = minimize_adam(fun, np.ones(4), batches, callback=callback)
    assert (result.n_iter, result.status) == (3, "stopped")


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 8])
def test_an_interrupt_after_the_first_epoch_returns(at):
    """The epochs are of three batches; ``at`` is the batch that is interrupted."""
    fun, batches, _ = least_squares()
    epochs = [batches() for _ in range(3)]
    calls, later = [], iter(epochs)

    def interrupted(x, rows):
        calls.append(rows)
        if len(calls) == at:
            raise KeyboardInterrupt
        return fun(x, rows)

    def run():
        return minimize_adam(interrupted, np.ones(4), lambda: next(later), max_iter=3)

    if at <= 3:
        with pytest.raises(KeyboardInterrupt):
            run()
        return
    result = run()
    assert (result.status, result.n_iter) == ("interrupted", (at - 1) // 3)
    done = [rows for epoch in epochs for rows in epoch][: at - 1]
    gradients = [lambda x, rows=rows: fun(x, rows)[1] for rows in done]
    *_, last = textbook.adam(gradients, np.ones(4), rate=1e-3)
    np.testing.assert_allclose(result.x, last, rtol=1e-12)


@pytest.mark.parametrize("what", ["value", "gradient"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_an_error(what, bad):
    def fun(x, batch):
        if what == "value":
            return bad, np.zeros_like(x), 1.0
        return 0.0, np.full_like(x, bad), 1.0

    with pytest.raises(NotFiniteError, match="epoch 1"):
        minimize_adam(fun, np.zeros(3), lambda: [0])


@pytest.mark.filterwarnings("error")
def test_overflow_makes_an_error_and_no_warning():
    def fun(x, batch):
        return float(x @ x), 2 * x, 1.0

    adam = Adam(3, np.float32, learning_rate=1e30)
    with pytest.raises(NotFiniteError):
        minimize_adam(fun, np.ones(3, np.float32), lambda: [0, 0], adam=adam)


def test_other_errors_reach_the_caller():
    def fun(x, batch):
        raise MemoryError("mine")

    with pytest.raises(MemoryError, match="mine"):
        minimize_adam(fun, np.zeros(3), lambda: [0])


@pytest.mark.parametrize("max_iter", [0, -1])
def test_no_epochs_are_refused(max_iter):
    with pytest.raises(ValueError, match=f"max_iter={max_iter} must be at least 1"):
        minimize_adam(lambda x, batch: (0.0, x, 1), np.ones(2), list, max_iter=max_iter)


def test_an_epoch_without_batches_is_refused():
    with pytest.raises(ValueError, match=r"epoch 1 weigh 0\.0 in all"):
        minimize_adam(lambda x, batch: (0.0, x, 1), np.ones(2), list)


def test_patience_counts_steps_where_an_epoch_has_few():
    """A value of 1 that falls by 0.001 a step falls by 0.1 in a hundred."""

    def fun(x, batch):
        return 1 + float(x[0]), np.ones(1), 1.0

    def epochs(steps, **kwargs):
        adam = Adam(1, np.float64, learning_rate=1e-3)
        batches = [None] * steps
        return minimize_adam(
            fun, np.zeros(1), lambda: batches, adam=adam, tol=0.03, **kwargs
        )

    patient = {"n_iter_no_change": 3, "max_iter": 50}
    assert epochs(1, **patient).n_iter == 4
    assert epochs(1, least_steps=100, **patient).status == "max_iter"
    # Three times what seven steps lower it by is less than tol.
    assert epochs(1, least_steps=7, **patient).n_iter == 8
