"""Trial steps of the line searches, where the best one is known in closed form."""

import numpy as np
import pytest

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
