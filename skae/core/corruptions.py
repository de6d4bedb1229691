"""Corruptions: noise that is a pure function of (seed, draw, row).

L-BFGS needs one function to minimise, so a row must meet the same noise at every
evaluation, in whichever block and thread it is computed; and since the noise is
never stored, memory does not grow. The counter-based generator Philox makes that
easy: ``draw`` and ``seed`` are its key, and each row owns a stretch of its counter.

Every entry of a row gets 16 random bits, an integer u in [0, 2¹⁶); (u + ½)/2¹⁶ is
its uniform number in (0, 1). That is four entries a 64-bit word, about 1 ns an
entry, and resolves a level to 1.5e-5. A new corruption is one class and one entry
in ``CORRUPTIONS``; what it can do is said by its attributes, which
``skae.core.protocols.Corruption`` explains.
"""

from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from skae.core.arrays import beside, on_device, ones, take_rows
from skae.core.device_noise import integers_beside

if TYPE_CHECKING:
    from skae.core import protocols

_LEVELS = 2**16
_BITS_PER_COUNTER = 256
_NUMBERS_AT_A_TIME = 2**20


def uniform_integers(
    seed: int, draw: int, start: int, shape: tuple[int, int]
) -> np.ndarray:
    """16 random bits for each entry of the rows start, start + 1, ….

    Parameters
    ----------
    seed, draw : int
        In [0, 2⁶⁴).
    start : int
        Index, in the whole data, of the first row.
    shape : tuple of int
        (rows, n_features).

    Returns
    -------
    u : ndarray of uint16 of the given shape
    """
    rows, d = shape
    counters = -(-16 * d // _BITS_PER_COUNTER)  # of each row
    bits = np.random.Philox(key=[seed, draw]).advance(start * counters)
    words = np.random.Generator(bits).integers(
        0, 2**64, size=(rows, 4 * counters), dtype=np.uint64
    )
    # One byte order everywhere, so that all machines see the same noise.
    return words.astype("<u8", copy=False).view("<u2")[:, :d]


def integers_at(
    rows: np.ndarray,
    columns: np.ndarray,
    shape: tuple[int, int],
    seed: int,
    draw: int,
    start: int,
) -> np.ndarray:
    """Of the ``uniform_integers`` of a block those of some entries.

    There is room for a few rows at a time, not for the bits of all other entries.

    Parameters
    ----------
    rows, columns : ndarray of int of shape (n_entries,)
        Places of the entries in a block.
    shape : tuple of int
        (rows, n_features) of the block, the first of which is row ``start``.
    seed, draw, start : int
        As for ``uniform_integers``.

    Returns
    -------
    u : ndarray of uint16 of shape (n_entries,)
    """
    n_rows, d = shape
    step = max(1, _NUMBERS_AT_A_TIME // d)
    order = np.argsort(rows, kind="stable")
    firsts = range(0, n_rows, step)
    bounds = np.searchsorted(rows[order], [*firsts, n_rows])
    found = np.empty(len(rows), np.uint16)
    for first, begin, end in zip(firsts, bounds[:-1], bounds[1:], strict=True):
        few = min(step, n_rows - first), d
        u = uniform_integers(seed, draw, start + first, few)
        here = order[begin:end]
        found[here] = u[rows[here] - first, columns[here]]
    return found


def _integers(
    seed: int, draw: int, start: int, shape: tuple[int, int], like: Any
) -> Any:
    """16 random bits for each entry of rows, where ``like`` lies."""
    if on_device(like):
        return integers_beside(like, seed, draw, start, shape)
    return uniform_integers(seed, draw, start, shape)


def _is_below(u: np.ndarray, threshold: int) -> np.ndarray:
    """u < threshold, for a threshold of up to 2¹⁶."""
    # uint16 does not hold 2¹⁶: there NumPy 2.0.0 crashes on arrays with gaps.
    return u < threshold if threshold < _LEVELS else ones(u.shape, bool, u)


class BaseCorruption:
    """What a corruption is unless it says otherwise; made with its level and range."""

    selects = True  # whether some entries are corrupted and others kept
    keeps_zeros = False  # whether entries are multiplied, so that zeros stay zero
    is_fraction = False  # whether the level is one, of the entries

    def __init__(self, level: float, low: Any = None, high: Any = None):
        raise NotImplementedError

    def __call__(
        self, X: np.ndarray, u: np.ndarray, out: np.ndarray
    ) -> np.ndarray | None:
        """Write corrupted X to ``out``; return where it is, or None: everywhere."""
        raise NotImplementedError

    def factors(self, u: np.ndarray) -> np.ndarray:
        """What entries with these bits are multiplied by, where zeros are kept."""
        raise NotImplementedError


class Masking(BaseCorruption):
    """A fraction ν of the entries is set to 0."""

    keeps_zeros = True
    is_fraction = True

    def __init__(self, level: float, low: Any = None, high: Any = None):
        self.threshold = round(level * _LEVELS)

    def __call__(self, X: np.ndarray, u: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write corrupted X to ``out``; return where it is corrupted."""
        corrupted = _is_below(u, self.threshold)
        np.multiply(X, ~corrupted, out=out)
        return corrupted

    def factors(self, u: np.ndarray) -> np.ndarray:
        """What entries with these bits are multiplied by."""
        return ~_is_below(u, self.threshold)


class SaltAndPepper(BaseCorruption):
    """A fraction ν is set to the feature's minimum or maximum by a fair coin."""

    is_fraction = True

    def __init__(self, level: float, low: np.ndarray, high: np.ndarray):
        self.threshold = round(level * _LEVELS)
        self.low, self.high = low, high

    def __call__(self, X: np.ndarray, u: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write corrupted X to ``out``; return where it is corrupted."""
        corrupted = _is_below(u, self.threshold)
        # Of the corrupted entries' u, half lie below half the threshold. Sums of
        # products are twice as fast here as copies under a mask.
        salt = u < self.threshold // 2
        np.multiply(X, ~corrupted, out=out)
        out += salt * beside(self.high, X)
        out += (corrupted ^ salt) * beside(self.low, X)
        return corrupted


@lru_cache(maxsize=2)
def _normal_quantiles(dtype: np.dtype) -> np.ndarray:
    """Φ⁻¹ at the 2¹⁶ uniform numbers: a Gaussian of variance 0.99998.

    A look-up takes 1 ns an entry, the inverse normal CDF itself 17.
    """
    inverse = NormalDist().inv_cdf
    half = [inverse((u + 0.5) / _LEVELS) for u in range(_LEVELS // 2)]
    table = np.array(half + [-z for z in reversed(half)], dtype)
    table.flags.writeable = False
    return table


class Gaussian(BaseCorruption):
    """N(0, σ²) is added to every entry."""

    selects = False

    def __init__(self, level: float, low: Any = None, high: Any = None):
        self.sigma = level

    def __call__(self, X: np.ndarray, u: np.ndarray, out: np.ndarray) -> None:
        """Write corrupted X to ``out``."""
        take_rows(beside(_normal_quantiles(X.dtype), X), u, out=out)
        out *= self.sigma
        out += X


class Custom(BaseCorruption):
    """f(X, U) with U uniform in (0, 1), the same shape as X."""

    def __init__(self, function: Callable[[np.ndarray, np.ndarray], np.ndarray]):
        self.function = function

    def __call__(self, X: np.ndarray, u: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write corrupted X to ``out``; return where it is corrupted."""
        U = (u.astype(X.dtype) + X.dtype.type(0.5)) / _LEVELS
        result = self.function(X.copy(), U)
        if result is None:
            raise ValueError(
                "corruption must return the corrupted rows, got None; end the function "
                "with return, also where it changes its argument in place."
            )
        result = np.asarray(result)
        if result.dtype.kind not in "biuf":
            raise ValueError(
                "corruption must return finite numbers in the shape of the rows it "
                f"is given, {X.shape}; got {result.dtype} of shape {result.shape}."
            )
        if result.shape != X.shape or not np.isfinite(result).all():
            raise ValueError(
                "corruption must return finite numbers in the shape of the rows it "
                f"is given, {X.shape}; got shape {result.shape}"
                + ("." if result.shape != X.shape else ", with nan or infinity.")
            )
        out[:] = result
        return np.not_equal(out, X)


CORRUPTIONS: dict[str, type[BaseCorruption]] = {
    "masking": Masking,
    "gaussian": Gaussian,
    "salt_and_pepper": SaltAndPepper,
}


class Noise:
    """A corruption with its seed, applied to rows of the data.

    Parameters
    ----------
    corruption : object
        An entry of ``CORRUPTIONS``, or ``Custom``, made with its level.
    seed : int
        In [0, 2⁶⁴).
    """

    def __init__(self, corruption: "protocols.Corruption", seed: int):
        self.corruption, self.seed = corruption, seed

    def __call__(
        self, X: np.ndarray, start: int, draw: int, out: np.ndarray
    ) -> np.ndarray | None:
        """Corrupt the rows X, the first of which is row ``start`` of the data.

        Returns
        -------
        corrupted : ndarray of bool or None
            Which entries are corrupted; None where it is all of them.
        """
        u = _integers(self.seed, draw, start, X.shape, X)
        return self.corruption(X, u, out)

    def factors(
        self,
        rows: np.ndarray,
        columns: np.ndarray,
        shape: tuple[int, int],
        start: int,
        draw: int,
    ) -> np.ndarray:
        """What entries are multiplied by, without room for the noise of all others.

        Only of a corruption that keeps zeros. Parameters are those of ``integers_at``.

        Returns
        -------
        factors : ndarray of shape (n_entries,)
        """
        u = integers_at(rows, columns, shape, self.seed, draw, start)
        return self.corruption.factors(u)


class Dropout:
    """Factors of a layer's units: 0 with probability p, else 1/(1 − p).

    So a unit's expected value is what it is without dropout.

    Parameters
    ----------
    level : float
        p, in [0, 1).
    seed : int
        In [0, 2⁶⁴).
    layer : int
        Layers with one seed meet factors of their own.
    """

    def __init__(self, level: float, seed: int, layer: int):
        self.threshold = min(round(level * _LEVELS), _LEVELS - 1)
        self.keep = 1 - self.threshold / _LEVELS
        sequence = np.random.SeedSequence(seed, spawn_key=(layer,))
        self.seed = int(sequence.generate_state(1, np.uint64)[0])

    def __call__(self, start: int, draw: int, out: np.ndarray) -> None:
        """Write to ``out``, (rows, units), whose first row is row ``start``."""
        u = _integers(self.seed, draw, start, out.shape, out)
        np.multiply(u >= self.threshold, out.dtype.type(1 / self.keep), out=out)

    def factors(
        self,
        rows: np.ndarray,
        columns: np.ndarray,
        shape: tuple[int, int],
        start: int,
        draw: int,
    ) -> np.ndarray:
        """As ``Noise.factors``; ndarray of float64, 0 or 1/(1 − p)."""
        u = integers_at(rows, columns, shape, self.seed, draw, start)
        return np.multiply(u >= self.threshold, 1 / self.keep)
