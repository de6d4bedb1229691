"""When to stop: an estimate of how much lower a value would go."""

from collections.abc import Sequence
from math import inf

# The last quarter of the iterations tells, but no fewer than ten of them.
_PART, LEAST_WINDOW = 4, 10


def still_to_be_had(values: Sequence[float], least: int = LEAST_WINDOW) -> float:
    """Estimate of how much lower values would go; infinite where they are few.

    Parameters
    ----------
    values : sequence of float
        At the start and after each iteration.
    least : int, default=10
        Iterations to look back at, at least.

    Notes
    -----
    The decrease of one iteration tells little: it may be due to a poor step. Where
    values fall as f* + c/n, which is slow, those of the last quarter of n iterations
    have fallen by a third of what is left, c/(3n/4) − c/n = (c/n)/3. Where they fall
    geometrically less is left.
    """
    n = len(values) - 1
    window = max(least, n // _PART)
    return inf if n < window else 3 * (values[n - window] - values[n])
