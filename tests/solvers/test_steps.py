"""Trial steps of the line searches, where the best one is known in closed form."""

import numpy as np
import pytest

from skae.solvers import minimize_lbfgs
from skae.solvers.history import History
from skae.solvers.line_search import (
    C1,
    EXPANSION,
    Ray,
    Trial,
    backtrack,
    cubic_minimum,
    strong_wolfe,
)
from skae.solvers.orthant import OrthantRay
from skae.solvers.separable_search import Trials, acceptable, cubic_minima, search

# A cubic is k (t³/3 − (m + s) t²/2 + m s t), its slope k (t − m)(t − s): it has its
# minimum at m and its maximum at s if k (m − s) > 0.
CUBICS = [(2.0, 1.5, -1.0), (0.3, 4.0, 0.25), (-1.7, 0.5, 3.0), (-5.0, -2.0, 0.1)]
PLACES = [(0.0, 1.0), (1.0, 0.0), (0.3, 2.5), (2.0, 0.5), (-1.0, 3.0)]


def on_cubic(t, k, m, s):
    """Step, value and slope; the value has a constant of its own."""
    value = k * (t**3 / 3 - (m + s) * t**2 / 2 + m * s * t) + 7.0
    return t, value, k * (t - m) * (t - s)


@pytest.mark.parametrize("cubic", CUBICS)
@pytest.mark.parametrize("places", PLACES)
def test_the_minimum_of_a_cubic(cubic, places):
    a, b = (on_cubic(t, *cubic) for t in places)
    assert cubic_minimum(Trial(*a), Trial(*b)) == pytest.approx(cubic[1], rel=1e-9)


def test_the_minima_of_many_cubics_at_once():
    k, m, s = np.transpose(CUBICS)
    for places in PLACES:
        a, b = (Trials(*on_cubic(np.full(len(k), t), k, m, s)) for t in places)
        np.testing.assert_allclose(cubic_minima(a, b), m, rtol=1e-9)


def test_a_cubic_that_only_falls_has_no_minimum():
    # −t³/3 − t, with slope −t² − 1.
    a, b = ((t, -(t**3) / 3 - t, -(t**2) - 1) for t in (-0.5, 1.0))
    assert cubic_minimum(Trial(*a), Trial(*b)) == np.inf
    with np.errstate(invalid="ignore"):
        several = cubic_minima(*(Trials(*np.array([x]).T) for x in (a, b)))
    assert several == [np.inf]


def parabolas(m):
    """φ_i(t) = (t − m_i)²/2 − m_i²/2, and the steps that were tried."""
    tried = []

    def evaluate(t):
        tried.append(t)
        return Trials(t, (t - m) ** 2 / 2 - m**2 / 2, t - m)

    return evaluate, tried


@pytest.mark.parametrize(
    ("first", "m"),
    [(1.0, [0.15, 0.3, 0.45]), (2.0, [0.3, 0.6, 0.9]), (1.0, [2.5, 4.0, EXPANSION])],
    ids=str,
)
def test_parabolas_take_one_step_more(first, m):
    """The bracket below the first step and the way beyond it lead to the minimum."""
    m = np.array(m)
    evaluate, tried = parabolas(m)
    refused = evaluate(np.full(3, first))
    with np.errstate(invalid="ignore"):
        end = search(evaluate, evaluate(np.zeros(3)), refused, np.zeros(3))
    np.testing.assert_allclose(end.t, m, rtol=1e-12)
    assert len(tried) == 3


def ray_of(function, kind=Ray, *more):
    """Along x from 0, in steps of 1."""

    def fun(x):
        value, slope = function(x[0])
        return value, np.array([slope]), None

    ray = kind(fun, np.zeros(1), np.inf, *more)
    ray.evaluate()
    where = np.zeros(1), np.ones(1)
    if kind is OrthantRay:
        ray.orthant.enter(ray.x, ray.gradient, np.empty(1))
        where = *where, ray.gradient.copy()
    ray.aim(*where)
    ray.n_fun = 0
    return ray


@pytest.mark.parametrize(("first", "m"), [(1.0, 0.3), (2.0, 0.3), (2.0, 0.9)])
def test_one_parabola_takes_one_step_more(first, m):
    ray = ray_of(lambda x: ((x - m) ** 2 / 2, x - m))
    assert strong_wolfe(ray, m**2 / 2, -m, first)
    assert ray.x == pytest.approx(m, rel=1e-12)
    assert ray.n_fun == 2


def recorded(function):
    """The function, and where it was asked for."""
    asked = []

    def fun(x):
        asked.append(float(x))
        return function(x)

    return fun, asked


def test_longer_steps_at_least_double():
    """φ' lies between −1.5 and −0.5 for ever, as it is at 0: nothing is accepted."""
    fun, asked = recorded(lambda x: (-x + np.sin(3 * x) / 6, -1 + np.cos(3 * x) / 2))
    ray = ray_of(fun)
    strong_wolfe(ray, 0.0, -0.5, 0.1)
    ratios = np.divide(asked[2:], asked[1:-1])  # the first was for the ray
    assert len(ratios) > 10
    assert (ratios >= 2 * (1 - 1e-12)).all() and (ratios <= EXPANSION + 1e-12).all()
    assert ratios.min() < 3  # where the cubic has its minimum nearer than that


def test_too_little_is_not_kept():
    """φ falls for ever, and by a hundredth of what is asked at the least."""
    ray = ray_of(lambda x: (-0.01 * C1 * x, -1.0))
    assert not strong_wolfe(ray, 0.0, -1.0, 1.0)


def test_a_bracket_within_the_noise_ends_the_search():
    ray = ray_of(lambda x: (float(x > 0), 1.0))
    assert not strong_wolfe(ray, 0.0, -1e-4, 1.0, noise=1e-3)
    assert ray.n_fun == 1


@pytest.mark.parametrize(
    ("slope", "at_t", "taken"),
    [(-100.0, -95.0, False), (-100.0, 95.0, True), (-0.01, 0.0095, True)],
)
def test_where_values_are_noise_slopes_tell(slope, at_t, taken):
    """The second rule: c2 φ'(0) <= φ'(t) <= (2 c1 − 1) φ'(0), of any size."""
    ray = ray_of(lambda x: (1e-9 * x, at_t if x > 0 else slope))
    found = strong_wolfe(ray, 0.0, slope, 1.0, noise=1e-6)
    assert (found and ray.n_fun == 1) == taken


def waves(t, a, b, c):
    """a x⁴/4 + b sin 3x − c x and its slope, on the way from 0 on which it falls."""
    side = -np.sign(3 * b - c)
    x = side * t
    value = a * x**4 / 4 + b * np.sin(3 * x) - c * x
    return value, side * (a * x**3 + 3 * b * np.cos(3 * x) - c)


def test_many_brackets_move_as_each_alone():
    """And end where a step is accepted; the first ones are of any size."""
    rng = np.random.default_rng(0)
    shapes, first = rng.uniform(0.1, 3, (3, 300)), 10 ** rng.uniform(-2, 1.5, 300)

    def trials(t, shapes):
        return Trials(t, *waves(t, *shapes))

    start, trial = trials(0 * first, shapes), trials(first, shapes)
    refused = ~acceptable(start, trial, 0 * first)
    shapes, first, start, trial = (
        shapes[:, refused],
        first[refused],
        start.at(refused),
        trial.at(refused),
    )
    steps = [first]

    def evaluate(t):
        steps.append(t)
        return trials(t, shapes)

    with np.errstate(invalid="ignore"):
        end = search(evaluate, start, trial, 0 * first)
    assert acceptable(start, end, 0 * first).all()
    longest = 0
    for shape, together in zip(shapes.T, np.transpose(steps), strict=True):
        fun, alone = recorded(lambda x, shape=shape: waves(x, *shape))
        ray = ray_of(fun)
        assert strong_wolfe(ray, ray.value, float(ray.gradient[0]), together[0])
        alone = alone[1:]  # where the ray begins
        np.testing.assert_allclose(together[: len(alone)], alone, rtol=1e-9)
        longest = max(longest, len(alone))
    assert len(first) > 100 and longest > 4


def test_brackets_close_around_a_kink_as_each_alone():
    """φ(t) = |t − m| − m has no slope small enough: the last trial is the twentieth."""
    m = np.array([0.03, 0.31, 0.55, 0.7, 0.93])

    def kinked(t, m=m):
        return np.abs(t - m) - m, np.where(t < m, -1.0, 1.0)

    steps = [np.ones(5)]

    def evaluate(t):
        steps.append(t)
        return Trials(t, *kinked(t))

    start, trial = (Trials(t, *kinked(t)) for t in (np.zeros(5), steps[0]))
    with np.errstate(invalid="ignore", divide="ignore"):
        end = search(evaluate, start, trial, np.zeros(5))
    np.testing.assert_allclose(end.t, m, rtol=0.1)
    for i, together in enumerate(np.transpose(steps)):
        fun, alone = recorded(lambda x, m=m[i]: kinked(x, m))
        strong_wolfe(ray_of(fun), 0.0, -1.0, 1.0)
        np.testing.assert_allclose(together[: len(alone) - 2], alone[1:-1], rtol=1e-9)


def test_a_direction_that_leads_up_is_not_searched(monkeypatch):
    def up(history, out):
        out[:] = history.g
        return out

    monkeypatch.setattr(History, "direction", up)
    result = minimize_lbfgs(lambda x: (x @ x / 2, x.copy(), None), np.ones(3))
    assert (result.status, result.n_fun) == ("precision", 1)


@pytest.mark.parametrize("cosine", [1e-17, 1e-15])
def test_a_pair_at_a_right_angle_but_for_rounding_is_refused(cosine):
    x, s, y = np.zeros(2), np.array([1.0, 0.0]), np.array([cosine, 1.0])
    history = History(np.full(2, 1e-40), 3)
    assert history.empty is True
    stored = history.update(x + s, x, y)
    assert stored == (cosine > np.finfo(float).eps)
    assert history.empty is not stored


FREE = np.array(0.0)  # no penalty


@pytest.mark.parametrize("gain", [-0.9, 0.9, 1.1])
def test_enough_when_going_back(gain):
    """A parabola from φ(0) = 0 with slope −2 through φ(1) = −gain C1 2."""
    curvature = 2 - 2 * gain * C1
    ray = ray_of(
        lambda x: (curvature * x**2 - 2 * x, 2 * curvature * x - 2), OrthantRay, FREE
    )
    assert backtrack(ray, 0.0)
    assert (ray.n_fun == 1) == (gain > 1)


def test_going_back_from_infinity_is_by_a_tenth():
    ray = ray_of(lambda x: (np.inf if x > 0.2 else -x, -1.0), OrthantRay, FREE)
    assert backtrack(ray, 0.0)
    assert (ray.n_fun, ray.x[0]) == (2, 0.1)


def test_a_slope_of_nothing_ends_going_back():
    ray = ray_of(lambda x: (0.0, 0.0), OrthantRay, FREE)
    assert not backtrack(ray, 0.0)
    assert ray.n_fun == 1


@pytest.mark.parametrize("gain", [-0.9, 0.9, 1.1])
def test_enough_is_a_share_of_what_the_slope_promises(gain):
    """φ(0) = 0 with slope −2, φ(t) = −gain C1 2 t where it is level."""
    t = np.array([0.5, 3.0])
    start = Trials(np.zeros(2), np.zeros(2), np.full(2, -2.0))
    trial = Trials(t, -gain * C1 * 2 * t, np.zeros(2))
    assert (acceptable(start, trial, np.zeros(2)) == (gain > 1)).all()
