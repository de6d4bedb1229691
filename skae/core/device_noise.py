"""Random bits where the rows lie: of arrays on a device, which Philox does not reach.

As ``skae.core.corruptions.uniform_integers`` they are a pure function of (seed, draw,
row), but not the same one: sending Philox's bits to a device would take longer than an
evaluation there. A counter for each four entries of a row is mixed twice by the
finaliser of SplitMix64 [1]_, each time with a key of its own.

References
----------
.. [1] G. L. Steele, D. Lea and C. H. Flood, Fast splittable pseudorandom number
   generators, OOPSLA 2014, figure 17 (mix64, with the constants of variant 13).
"""

from functools import lru_cache
from typing import Any

import numpy as np

from skae._one_pass import in_one_pass

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_ENTRIES = 4  # of 16 bits in a word


def integers_beside(
    like: Any, seed: int, draw: int, start: int, shape: tuple[int, int]
) -> Any:
    """16 random bits for each entry of the rows start, start + 1, …, beside ``like``.

    Parameters
    ----------
    like : array
        Lies where they are to lie.
    seed, draw, start, shape : int, int, int and tuple of int
        As for ``uniform_integers``.

    Returns
    -------
    u : array of uint16 of the given shape
    """
    rows, d = shape
    words = -(-d // _ENTRIES)  # of each row
    first, second = _keys(seed, draw)
    z = np.arange(start * words, (start + rows) * words, dtype=np.uint64, like=like)
    in_one_pass(_mix_twice, z, first, second)
    return z.reshape(rows, words).view(np.uint16)[:, :d]


@lru_cache(maxsize=64)
def _keys(seed: int, draw: int) -> tuple[np.uint64, np.uint64]:
    first, second = np.random.SeedSequence([seed, draw]).generate_state(2, np.uint64)
    return first, second


def _mix_twice(z: Any, first: np.uint64, second: np.uint64) -> None:
    """Make random words of the counters ``z``, in place, with two keys."""
    z *= _GAMMA
    z += first
    _mix(z)
    z += second
    _mix(z)


def _mix(z: Any) -> None:
    """Mix each word of ``z`` in place; a bijection."""
    z ^= z >> _SHIFTS[0]
    z *= _FACTORS[0]
    z ^= z >> _SHIFTS[1]
    z *= _FACTORS[1]
    z ^= z >> _SHIFTS[2]
