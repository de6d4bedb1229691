"""L-BFGS of vectors that lie on a device, with one transfer an evaluation.

The steps are those of ``SmoothRun``. What differs is where numbers are computed: each
of its scalar products of long vectors would be a transfer of its own, for which the
device and the host wait for each other. Here each trial computes, in one pass,
everything that the line search needs and that the history will need if the trial is
accepted: two dozen numbers, which come to the host together. Whatever is as small as
the history stays on the host.
"""

from typing import Any

import numpy as np

from skae.solvers.arrays import Vector
from skae.solvers.history import History
from skae.solvers.line_search import Function, Ray, Trial, strong_wolfe
from skae.solvers.run import Run


class Seen:
    """The numbers of a trial at x, where the gradient is g.

    Attributes
    ----------
    slope, norm, gg : float
        gᵀd, the largest |g_j|, and gᵀg.
    ss, sy, yy, sg, yg : float
        Products with s and y, the step to x and what it changed the gradient by.
    Wg : ndarray of shape (rows,)
        W g, for the W before the trial.
    """

    def __init__(self, numbers: np.ndarray) -> None:
        self.slope, self.norm, self.gg = map(float, numbers[:3])
        self.ss, self.sy, self.yy, self.sg, self.yg = map(float, numbers[3:8])
        self.Wg = numbers[8:]


class DeviceHistory(History):
    """The pairs on the device, and all that is small on the host.

    ``look`` computes what ``update`` needs of a point, before it is known whether that
    is accepted.
    """

    seen: Seen | None = None

    def __init__(self, g: Vector, n_corrections: int) -> None:
        super().__init__(g, n_corrections)
        self._trial = np.empty_like(g, shape=(2, g.size))  # s and y
        self._multiply_gradient()

    def look(self, x: Vector, x_old: Vector, g_new: Vector, d: Vector) -> float:
        """See the numbers of a trial; returns its slope along d."""
        s, y = self.move_to(x, x_old, g_new)
        numbers: Any = np.concatenate(
            [
                np.dot(d, g_new).reshape(1),
                np.abs(g_new).max().reshape(1),
                np.dot(g_new, g_new).reshape(1),
                np.dot(s, s).reshape(1),
                np.dot(self._trial, y),
                np.dot(self._trial, g_new),
                np.dot(self._W[: self._rows], g_new),
            ]
        )
        self.seen = Seen(numbers.get())
        return self.seen.slope

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

    def _times_gradient(self) -> np.ndarray:
        seen, rows = self.seen, self._rows
        if seen is None:  # of a start
            products: Any = np.dot(self._W[:rows], self.g)
            Wg: np.ndarray = products.get()
            return Wg
        Wg = np.zeros(rows)
        known = min(rows, len(seen.Wg))
        Wg[:known] = seen.Wg[:known]
        Wg[0] = seen.gg
        slot = 1 + 2 * self._slot
        if slot < rows:
            stored = self._stored(seen.sy, seen.yy, seen.ss)
            Wg[slot : slot + 2] = (seen.sg, seen.yg) if stored else 0.0
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

    @property
    def slope(self) -> float:
        """gᵀd of the last direction, d being a sum of rows of W."""
        return float(self._coefficients().astype(np.float64) @ self._Wg[: self._rows])


class DeviceRay(Ray):
    """φ(t) = f(x + t d), of which a history sees every trial."""

    history: DeviceHistory
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


class DeviceRun(Run[DeviceRay]):
    """The state of one minimisation of a smooth function f on a device."""

    history: DeviceHistory
    kind = DeviceHistory

    def __init__(self, fun: Function, x: Vector, max_fun: int, *options: Any) -> None:
        super().__init__(DeviceRay(fun, x, max_fun), *options)

    def remember(self, g: Vector) -> History:
        """The history at the gradient `g`."""
        history = self.memory.history
        if history is None:
            history = DeviceHistory(g, self.n_corrections)
        else:
            history.resume(g)
        assert isinstance(history, DeviceHistory), "the memory is of this device"
        self.ray.history = history
        return history

    def search(self) -> bool:
        """Look for the next point along x - t H g."""
        point, d = self.point, self.d
        self.history.direction(out=d)
        slope = self.history.slope
        if not -np.inf < slope < 0:
            return False
        self.ray.aim(point.x, d)
        return strong_wolfe(self.ray, point.value, slope, 1.0, **self.rounding())
