"""Steps that satisfy the strong Wolfe conditions, for many functions at once."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from skae.solvers.arrays import Indices, Mask, Vector
from skae.solvers.line_search import C1, C2, EXPANSION, MAX_TRIALS


class Trials(NamedTuple):
    """A point of each φ_i(t) = f_i(x_i + t d_i); t may be one number for all."""

    t: Vector | float
    value: Vector
    slope: Vector

    def at(self, columns: Indices) -> "Trials":
        """The trials of some of the functions, as arrays of their own in float64."""
        return Trials(
            *(
                np.broadcast_to(part, self.value.shape)[columns].astype(np.float64)
                for part in self
            )
        )

    def where(self, mask: Mask, other: "Trials") -> "Trials":
        """``self`` where the mask is true, ``other`` elsewhere."""
        return Trials(*(np.where(mask, a, b) for a, b in zip(self, other, strict=True)))


def _flat(start: Trials, trial: Trials, noise: Vector) -> Mask:
    """Where the values differ by rounding only, so that slopes have to tell."""
    return np.abs(trial.value - start.value) <= noise


def _enough(start: Trials, trial: Trials, noise: Vector) -> Mask:
    """Where the value has decreased in proportion to the step."""
    armijo = start.value - trial.value >= -C1 * trial.t * start.slope
    by_slope = trial.slope <= (2 * C1 - 1) * start.slope
    return armijo | (_flat(start, trial, noise) & by_slope)


def acceptable(start: Trials, trial: Trials, noise: Vector) -> Mask:
    """Where a step may be taken, by the rules of `strong_wolfe`.

    Parameters
    ----------
    start, trial : Trials
        φ(0) and φ(t).
    noise : ndarray of shape (n,)
        Rounding error of φ, absolute.

    Returns
    -------
    mask : ndarray of shape (n,)
    """
    level = np.abs(trial.slope) <= -C2 * start.slope
    level |= _flat(start, trial, noise) & (trial.slope >= C2 * start.slope)
    return (start.slope < 0) & level & _enough(start, trial, noise)


def search(
    evaluate: Callable[[Vector], Trials], start: Trials, trial: Trials, noise: Vector
) -> Trials:
    """Find steps that decrease each φ_i enough and have left the steep part of it.

    The brackets of `strong_wolfe`, one for each function, moved together: all
    functions are evaluated until the last has its step, so only those should come
    here that refused the first one.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(t) -> Trials``, for steps of shape (n,).
    start, trial : Trials
        φ(0), and the trial that was refused.
    noise : ndarray of shape (n,)
        Rounding error of φ, absolute.

    Returns
    -------
    Trials
        The steps, 0 where none was found; they are what was evaluated last.
    """
    infinite = np.full_like(start.value, np.inf)
    low, high = start, Trials(infinite, infinite, infinite)
    searching = (start.slope < 0) & np.isfinite(start.slope)
    step = np.zeros_like(start.value)
    for _ in range(MAX_TRIALS):
        low, high, t = _shrink(low, high, trial, start, noise)
        trial = evaluate(np.where(searching, t, step))
        accepted = searching & acceptable(start, trial, noise)
        step[accepted] = t[accepted]
        searching &= ~accepted
        if not searching.any():
            return trial
        # Nothing in a bracket this narrow can gain more than rounding.
        if (np.abs(high.t - low.t) * -start.slope <= noise)[searching].all():
            break
    return evaluate(np.where(searching, low.t, step))


def _shrink(
    low: Trials, high: Trials, trial: Trials, start: Trials, noise: Vector
) -> tuple[Trials, Trials, Vector]:
    """Put the trial into the bracket; returns the new bracket and the next step."""
    width = np.abs(high.t - low.t)
    finite = np.isfinite(trial.value) & np.isfinite(trial.slope)
    lower = finite & _enough(start, trial, noise)
    lower &= (trial.value < low.value) | _flat(start, trial, noise)
    # Between two points with a minimum, the slope at the lower leads to it.
    turned = lower & (trial.slope * (high.t - trial.t) >= 0)
    end = Trials(trial.t, *(np.where(finite, part, np.inf) for part in trial[1:]))
    high = low.where(turned, high.where(lower, end))
    longer = np.clip(cubic_minima(low, trial), 2 * trial.t, EXPANSION * trial.t)
    low = trial.where(lower, low)
    return low, high, np.where(np.isinf(high.t), longer, _inside(low, high, width))


def _inside(low: Trials, high: Trials, width: Vector) -> Vector:
    """The next trial step in a bracket that was `width` wide before the last one."""
    length = high.t - low.t
    fraction = np.clip((cubic_minima(low, high) - low.t) / length, 0.1, 0.9)
    fraction[np.abs(length) > 2 / 3 * width] = 0.5
    fraction[np.isinf(high.value)] = 0.1
    return low.t + fraction * length


def cubic_minima(a: Trials, b: Trials) -> Vector:
    """`cubic_minimum` of each pair of trials; infinity where there is none."""
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    d2 = np.copysign(np.sqrt(square), b.t - a.t)
    t = b.t - (b.t - a.t) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2)
    return np.where(np.isnan(t), np.inf, t)
