"""L-BFGS of vectors that lie on a device, with a transfer or two an evaluation.

The steps are those of ``SmoothRun`` and ``OrthantRun``. What differs is where numbers
are computed: each scalar product of long vectors would be a transfer of its own, for
which the device and the host wait for each other. Here they come together. Of a smooth
function, each trial computes, in one pass, everything that the line search needs and
that the history will need if the trial is accepted: two dozen numbers. With an L1
penalty, a trial's four numbers come first, and those of the history once it is
accepted. Whatever is as small as the history stays on the host.
"""

from typing import Any, NamedTuple

import numpy as np

from skae.solvers.arrays import Mask, Vector
from skae.solvers.history import History
from skae.solvers.line_search import Ray, Trial
from skae.solvers.orthant import OrthantHistory, OrthantRay, OrthantRun
from skae.solvers.run import SmoothRun


def fetched(*arrays: Any) -> np.ndarray:
    """The numbers of arrays of a device, one after the other, in one transfer."""
    numbers: Any = np.concatenate([array.reshape(-1) for array in arrays])
    there: np.ndarray = numbers.get()
    return there.astype(np.float64, copy=False)


class Seen(NamedTuple):
    """The numbers of an accepted point, or of a trial at which g is the gradient.

    Attributes
    ----------
    norm : float
        The largest |g_j|.
    sy, yy, ss : float
        Products of s and y, the step to x and what it changed the gradient by.
    Wg : ndarray of shape (rows,)
        W g, for a W that holds s and y.
    """

    norm: float
    sy: float
    yy: float
    ss: float
    Wg: np.ndarray


class DeviceHistory(History):
    """The pairs on the device, and all that is small on the host."""

    seen: Seen | None = None

    @property
    def _rows_with_pair(self) -> int:
        """The rows of W that hold anything once it holds another pair."""
        return max(self._rows, 3 + 2 * self._slot)

    def _times_gradient(self) -> np.ndarray:
        seen, rows = self.seen, self._rows
        if seen is None:  # of a start
            return fetched(np.dot(self._W[:rows], self.g))
        Wg = seen.Wg[:rows].copy()
        if not self._stored(seen.sy, seen.yy, seen.ss):
            Wg[1 + 2 * self._slot : 3 + 2 * self._slot] = 0.0
        return Wg

    def resume(self, g: Vector) -> None:
        """Go on from the gradient `g`, of another point or another function, say."""
        self.seen = None
        super().resume(g)

    def norm(self, buffer: Vector) -> float:
        """Largest absolute entry of the gradient."""
        assert self.seen is not None, "a trial has been accepted before"
        return self.seen.norm

    def direction(self, out: Vector) -> Vector:
        """Write d = -H g to `out`."""
        coef: Any = np.asarray(self._coefficients(), like=self.g)
        return np.dot(coef, self._W[: self._rows], out=out)


class DeviceSmoothHistory(DeviceHistory):
    """The pairs of a smooth function.

    ``look`` computes what ``update`` needs of a point, before it is known whether that
    is accepted.
    """

    def __init__(self, g: Vector, n_corrections: int) -> None:
        super().__init__(g, n_corrections)
        self._trial = np.empty_like(g, shape=(2, g.size))  # s and y
        self._multiply_gradient()

    def look(self, x: Vector, x_old: Vector, g_new: Vector, d: Vector) -> float:
        """See the numbers of a trial; returns its slope along d."""
        s, y = self.move_to(x, x_old, g_new)
        rows, slot = self._rows, 1 + 2 * self._slot
        numbers = fetched(
            np.dot(d, g_new),
            np.abs(g_new).max(),
            np.dot(s, s),
            np.dot(self._trial, y),
            np.dot(g_new, g_new),
            np.dot(self._trial, g_new),
            np.dot(self._W[:rows], g_new),
        )
        slope, norm, ss, sy, yy, gg = map(float, numbers[:6])
        Wg = np.zeros(self._rows_with_pair)
        Wg[:rows] = numbers[8:]
        Wg[0], Wg[slot : slot + 2] = gg, numbers[6:8]
        self.seen = Seen(norm, sy, yy, ss, Wg)
        return slope

    def move_to(self, x: Vector, x_old: Vector, g_new: Vector) -> tuple[Vector, Vector]:
        """Write s and y of a trial, whose numbers have been seen or will be."""
        s, y = self._trial[0], self._trial[1]
        np.subtract(x, x_old, out=s)
        np.subtract(g_new, self.g, out=y)
        return s, y

    def _step(
        self, s: Vector, y: Vector, x_new: Vector, x_old: Vector, g_new: Vector
    ) -> tuple[float, float, float]:
        assert self.seen is not None, "a trial has been looked at before it is accepted"
        s[:], y[:] = self._trial[0], self._trial[1]
        self.g[:] = g_new
        return self.seen.sy, self.seen.yy, self.seen.ss

    @property
    def slope(self) -> float:
        """gᵀd of the last direction, d being a sum of rows of W."""
        return float(self._coefficients().astype(np.float64) @ self._Wg[: self._rows])


class DeviceRay(Ray):
    """φ(t) = f(x + t d), of which a history sees every trial."""

    history: DeviceSmoothHistory
    _kept_seen: Seen | None = None

    def __call__(self, t: float) -> Trial:
        """Evaluate φ(t)."""
        self._t = t
        self._move(t)
        self.evaluate()
        history = self.history
        slope = history.look(self.x, self._origin, self.gradient, self._direction)
        return Trial(t, self.value, slope)

    def keep(self) -> None:
        """Keep the point evaluated last for `restore`."""
        super().keep()
        self._kept_seen = self.history.seen

    def restore(self) -> bool:
        """Make the kept point the current one; returns whether there was one."""
        if not super().restore():
            return False
        self.history.move_to(self.x, self._origin, self.gradient)
        self.history.seen = self._kept_seen
        return True


class DeviceRun(SmoothRun):
    """The state of one minimisation of a smooth function f on a device."""

    ray: DeviceRay
    history: DeviceSmoothHistory
    kind = DeviceSmoothHistory

    def remember(self, g: Vector) -> History:
        """The history at the gradient `g`."""
        history = super().remember(g)
        assert isinstance(history, DeviceSmoothHistory), "the memory is of this device"
        self.ray.history = history
        return history

    def slope(self) -> float:
        """gᵀd of the last direction."""
        return self.history.slope


class DeviceOrthantRay(OrthantRay):
    """The function F along a projection, with one transfer a trial."""

    _end: float

    def _look(self) -> tuple[float, float, float]:
        slope, step = self.orthant.slope, self._step
        penalty, smooth, start, self._end = fetched(
            self._penalty(self.x),
            np.dot(self.gradient, step),
            np.dot(self._gradient, step),
            np.dot(slope, step),
        ).tolist()
        return penalty, smooth, start

    def _penalty(self, x: Vector) -> Any:
        return (self.orthant.slope * x).sum(dtype=np.float64)

    def penalty(self, x: Vector) -> float:
        """Σ c_j |x_j| of an x in the orthant."""
        return float(self._penalty(x))

    def end_slope(self) -> float:
        """ψ'(1) on the line to the point evaluated last."""
        return self._smooth + self._end


class DeviceOrthantHistory(DeviceHistory, OrthantHistory):
    """The pairs within an orthant, all of whose numbers come once a point is accepted.

    There is nothing here that depends on how many entries have a jump, as that is not
    known on the host.
    """

    def _take_jumps_out(self, y: Vector, g_new: Vector, changed: Mask) -> None:
        smooth = (g_new - self.gradient) * self._orthant.was_free
        np.multiply(y - smooth, changed, out=self._jump)
        y[:] = np.where(changed, smooth, y)

    def _step(
        self, s: Vector, y: Vector, x_new: Vector, x_old: Vector, g_new: Vector
    ) -> tuple[float, float, float]:
        np.subtract(x_new, x_old, out=s)
        self._move(y, x_new, g_new)
        rows, ahead = self._rows, self._rows_with_pair
        numbers = fetched(
            np.abs(self.g).max(),
            np.dot(s, y),
            np.dot(y, y),
            np.dot(s, s),
            np.dot(self._W[:ahead], self.g),
            np.dot(self._W[:rows], self._jump),
        )
        norm, sy, yy, ss = map(float, numbers[:4])
        self.seen = Seen(norm, sy, yy, ss, numbers[4 : 4 + ahead])
        self._Wg[:rows] += numbers[4 + ahead :]
        return sy, yy, ss


class DeviceOrthantRun(OrthantRun):
    """The state of one minimisation of F on a device."""

    kind = DeviceOrthantHistory
