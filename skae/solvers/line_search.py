"""A step along a descent direction that satisfies the strong Wolfe conditions."""

from collections.abc import Callable
from math import copysign, inf, isfinite, sqrt
from typing import Any, NamedTuple, Protocol

import numpy as np

from skae.solvers.arrays import Vector

Function = Callable[[Vector], tuple[float, Vector, Any]]

C1 = 1e-4  # sufficient decrease: φ(t) <= φ(0) + c1 t φ'(0)
C2 = 0.9  # curvature: |φ'(t)| <= c2 |φ'(0)|
MAX_TRIALS = 20
EXPANSION = 10.0  # a longer trial step is at most this many times the last


class Trial(NamedTuple):
    """One point of φ(t) = f(x + t d)."""

    t: float
    value: float
    slope: float


class Path:
    """A function on the way from x along d, evaluated into one buffer and counted.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> (value, gradient, aux)``; the gradient's buffer may be the same at
        every call.
    x : ndarray of shape (n,)
        The buffer; holds the starting point.
    max_fun : int
        The number of evaluations allowed, over all searches.

    Attributes
    ----------
    x, value, gradient, aux
        The point evaluated last, and what `fun` returned there.
    n_fun : int
        Evaluations so far.
    """

    value: float
    gradient: Vector
    aux: Any
    _origin: Vector
    _direction: Vector

    def __init__(self, fun: Function, x: Vector, max_fun: int) -> None:
        self.fun, self.x, self.max_fun, self.n_fun = fun, x, max_fun, 0

    def evaluate(self) -> None:
        """Evaluate the function at `x`."""
        self.n_fun += 1
        value, self.gradient, self.aux = self.fun(self.x)
        self.value = float(value)

    def _move(self, t: float) -> None:
        """Write x + t d to `x`."""
        if t == 1:
            np.add(self._origin, self._direction, out=self.x)
        else:
            np.multiply(self._direction, t, out=self.x)
            np.add(self._origin, self.x, out=self.x)


class Ray(Path):
    """φ(t) = f(x + t d)."""

    _t: float
    _kept: tuple[float, float, Vector, Any] | None = None
    _kept_gradient: Vector | None = None

    def aim(self, origin: Vector, direction: Vector) -> None:
        """Start a new search from `origin`, so that φ(0) = f(origin)."""
        self._origin, self._direction, self._kept = origin, direction, None

    def __call__(self, t: float) -> Trial:
        """Evaluate φ(t)."""
        self._t = t
        self._move(t)
        self.evaluate()
        # Zero times an infinity is not a number: one bad entry anywhere shows here.
        return Trial(t, self.value, float(np.dot(self.gradient, self._direction)))

    def keep(self) -> None:
        """Keep the point evaluated last for `restore`."""
        if self._kept_gradient is None:
            self._kept_gradient = np.empty_like(self.x)
        self._kept_gradient[:] = self.gradient
        self._kept = self._t, self.value, self._kept_gradient, self.aux

    def restore(self) -> bool:
        """Make the kept point the current one; returns whether there was one."""
        if self._kept is None:
            return False
        self._t, self.value, self.gradient, self.aux = self._kept
        self._move(self._t)
        return True


class KinkedPath(Protocol):
    """What `backtrack` needs of a path, which is more and less than a `Ray` offers."""

    value: float
    n_fun: int
    max_fun: int

    def __call__(self, t: float) -> float:
        """Go to x(t); ψ'(0) on the line there, not a number to have t shortened."""

    def end_slope(self) -> float:
        """ψ'(1) on that line."""


def strong_wolfe(
    ray: Ray,
    value: float,
    slope: float,
    t: float,
    *,
    noise: float = 0.0,
    ceiling: float = inf,
) -> bool:
    """Find a step t > 0 that decreases φ enough and has left the steep part of it.

    A step is accepted if

        φ(t) <= φ(0) + c1 t φ'(0)    and    |φ'(t)| <= c2 |φ'(0)|,

    or, where differences of φ are rounding noise, if φ(t) <= `ceiling`,
    |φ(t) - φ(0)| <= `noise` and

        c2 φ'(0) <= φ'(t) <= (2 c1 - 1) φ'(0),

    which is the same for a quadratic φ but needs its slopes only [2]_.

    The search is algorithm 3.5 of [1]_: trial steps grow until they bracket a minimum
    of φ; then the bracket shrinks by safeguarded cubic interpolation (section 3.5). A
    trial with a value or slope that is not finite ends the bracket like one that is
    too high.

    Parameters
    ----------
    ray : Ray
        φ. Left at the accepted point.
    value, slope : float
        φ(0) and φ'(0) < 0.
    t : float
        First trial step.
    noise : float, default=0
        Rounding error of φ, absolute.
    ceiling : float, default=inf
        Largest value that the second rule may accept.

    Returns
    -------
    bool
        Whether `ray` is at a point that may be accepted. Where no trial meets both
        conditions, this is the lowest that meets the first, if any does.

    References
    ----------
    .. [1] J. Nocedal and S. J. Wright, Numerical Optimization, 2nd ed., 2006.
    .. [2] W. W. Hager and H. Zhang, A new conjugate gradient method with guaranteed
       descent and an efficient line search, SIAM J. Optim. 16 (2005), eq. 4.1.
    """
    low, high = Trial(0.0, value, slope), Trial(inf, inf, inf)
    for _ in range(min(MAX_TRIALS, ray.max_fun - ray.n_fun)):
        trial = ray(t)
        flat = abs(trial.value - value) <= noise and trial.value <= ceiling
        finite = isfinite(trial.value) and isfinite(trial.slope)
        # Written as a difference, a step too short to change x is never enough.
        enough = value - trial.value >= -C1 * t * slope or (
            flat and trial.slope <= (2 * C1 - 1) * slope
        )
        if finite and enough:
            if abs(trial.slope) <= -C2 * slope or (flat and trial.slope >= C2 * slope):
                return True
        if trial.value == value and trial.slope == slope:
            break  # x + t d is x
        width = abs(high.t - low.t)
        if not finite:
            high = Trial(t, inf, inf)
        elif not enough or (trial.value >= low.value and not flat):
            high = trial
        else:
            ray.keep()
            # Between two points with a minimum, the slope at the lower leads to it.
            previous, low = low, trial
            if trial.slope * (high.t - t) >= 0:
                high = previous
        if high.t == inf:
            t = min(max(cubic_minimum(previous, low), 2 * t), EXPANSION * t)
            continue
        if abs(high.t - low.t) * -slope <= noise and not flat:
            break  # no step in the bracket can gain more than rounding
        t = _inside(low, high, width)
    return ray.restore()


def backtrack(
    ray: KinkedPath, value: float, *, noise: float = 0.0, ceiling: float = inf
) -> bool:
    """Shorten a step until it decreases the function enough.

    For a path x(t) with kinks, which has nothing like a slope at t. Instead, each
    trial is judged on the straight line from x to x(t), along which the function ψ(τ),
    0 <= τ <= 1, must be smooth. A step is accepted if

        ψ(1) <= ψ(0) + c1 ψ'(0)

    or, where that is rounding noise, by the second rule of `strong_wolfe` without its
    lower bound: a step is never found too short.

    Parameters
    ----------
    ray : KinkedPath
        ``ray(t)`` goes to x(t) and returns ψ'(0), or not a number to have t shortened;
        ``ray.value`` is then ψ(1) and ``ray.end_slope()`` ψ'(1). Left at the accepted
        point.
    value : float
        ψ(0).
    noise, ceiling : float
        As for `strong_wolfe`.

    Returns
    -------
    bool
        Whether `ray` is at a point that may be accepted.
    """
    t = 1.0
    for _ in range(min(MAX_TRIALS, ray.max_fun - ray.n_fun)):
        slope = ray(t)
        if slope == 0:
            return False  # x(t) is x
        fraction = 0.1
        if slope < 0 and isfinite(ray.value):
            if value - ray.value >= -C1 * slope:
                return True
            end = Trial(1.0, ray.value, ray.end_slope())
            flat = abs(end.value - value) <= noise and end.value <= ceiling
            if flat and end.slope <= (2 * C1 - 1) * slope:
                return True
            if -slope <= noise and not flat:
                return False  # no shorter step can gain more than rounding
            fraction = cubic_minimum(Trial(0.0, value, slope), end)
        t *= min(max(fraction, 0.1), 0.5)
    return False


def _inside(low: Trial, high: Trial, width: float) -> float:
    """The next trial step in a bracket that was `width` wide before the last one."""
    length = high.t - low.t
    if high.value == inf:
        return low.t + 0.1 * length
    if abs(length) > 2 / 3 * width:
        return low.t + 0.5 * length
    t = cubic_minimum(low, high)
    fraction = (t - low.t) / length
    return low.t + min(max(fraction, 0.1), 0.9) * length


def cubic_minimum(a: Trial, b: Trial) -> float:
    """Minimiser of the cubic with the values and slopes of two trials.

    Nocedal & Wright (2006), eq. 3.59; infinity if the cubic has no minimum.
    """
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not 0 <= square < inf:
        return inf
    d2 = copysign(sqrt(square), b.t - a.t)
    divisor = b.slope - a.slope + 2 * d2
    if divisor == 0:
        return inf
    return b.t - (b.t - a.t) * (b.slope + d2 - d1) / divisor
