"""Orthant-wise L-BFGS: the loop of `run` for f(x) + Σ c_j |x_j|."""

from math import isfinite, nan
from typing import cast

import numpy as np

from skae.solvers.arrays import Indices, Mask, Vector
from skae.solvers.history import History
from skae.solvers.line_search import Function, Path, backtrack
from skae.solvers.run import Run


class Orthant:
    """The part of space around a point x where F(x) = f(x) + Σ c_j |x_j| is smooth.

    Its signs ξ are those of x, and where x is zero, those that x takes in going
    downhill:

        ξ_j = sign(x_j),    or where x_j = 0,    ξ_j = -sign(∇̃_j),

    with the pseudo-gradient ∇̃F, the subgradient of least norm,

        ∇̃_j = g_j + c_j ξ_j                        where x_j ≠ 0,
        ∇̃_j = sign(g_j) max(|g_j| - c_j, 0)        where x_j = 0.

    Where ξ_j = 0 the kink holds x_j at zero. Where c_j = 0 nothing is bounded.

    Parameters
    ----------
    c : ndarray of shape () or (n,)
        Weights, at least 0, in the dtype of x.
    like : ndarray of shape (n,)
        A vector such as x; where it lies, all others do.

    Attributes
    ----------
    slope : ndarray of shape (n,)
        The gradient of the penalty, c_j ξ_j; where x_j is held at zero, -g_j.
    free, was_free : ndarray of shape (n,), bool
        Where x may move, ξ_j ≠ 0 or c_j = 0; the same of the orthant before.
    kept : ndarray of shape (n,), bool
        Where the last projection kept x, or c_j = 0.
    """

    slope: Vector
    free: Mask
    was_free: Mask
    kept: Mask

    def __init__(self, c: Vector, like: Vector) -> None:
        n = like.size
        # Written out: NumPy's minimum takes four times as long with a single number.
        self._c = np.asarray(np.full(n, c), like=like)
        self._minus_c = -self._c
        self._unpenalised = None if c.all() else self._c == 0
        self.slope, self._signs = np.empty((2, n), c.dtype, like=like)
        self._product = np.empty(n, c.dtype, like=like)
        self.free, self.was_free, self.kept = np.zeros((3, n), bool, like=like)
        self._huge = np.finfo(c.dtype).max

    def enter(self, x: Vector, g: Vector, out: Vector) -> Vector:
        """Move to the orthant of `x`, where ∇f is `g`; writes ∇̃F to `out`."""
        signs, slope = self._signs, self.slope
        # Times the largest number, any x_j but zero outweighs g_j and c_j, down to the
        # smallest of normal size: a sign in a quarter of np.sign's time, and no mask.
        np.multiply(x, self._huge, out=signs)
        np.subtract(signs, g, out=slope)
        np.maximum(slope, self._minus_c, out=slope)
        np.minimum(slope, self._c, out=slope)
        np.add(g, slope, out=out)
        np.subtract(signs, out, out=signs)
        self.free, self.was_free = self.was_free, self.free
        np.not_equal(signs, 0, out=self.free)
        self._add_unpenalised(self.free)
        return out

    def project(self, x: Vector) -> None:
        """Set every entry of `x` to zero whose sign is not ξ_j."""
        np.multiply(x, self._signs, out=self._product)
        np.greater(self._product, 0, out=self.kept)
        self._add_unpenalised(self.kept)
        np.multiply(x, self.kept, out=x)

    def _add_unpenalised(self, mask: Mask) -> None:
        if self._unpenalised is not None:
            np.logical_or(mask, self._unpenalised, out=mask)


class OrthantRay(Path):
    """The function F along the projection of x + t d onto the orthant of x."""

    _gradient: Vector
    _smooth: float

    def __init__(self, fun: Function, x: Vector, max_fun: int, c: Vector) -> None:
        super().__init__(fun, x, max_fun)
        self.orthant = Orthant(c, x)
        self._step = np.empty_like(x)

    def aim(self, origin: Vector, direction: Vector, gradient: Vector) -> None:
        """Start a new search; `gradient` is ∇̃F at `origin`."""
        self._origin, self._direction, self._gradient = origin, direction, gradient

    def _move(self, t: float) -> None:
        super()._move(t)
        self.orthant.project(self.x)

    def __call__(self, t: float) -> float:
        """Evaluate F at the projection of x + t d.

        Returns
        -------
        slope : float
            ψ'(0) on the straight line from x to the point; not a number where f's
            gradient is not finite there.
        """
        self._move(t)
        self.evaluate()
        np.subtract(self.x, self._origin, out=self._step)
        penalty, self._smooth, slope = self._look()
        self.value += penalty
        return slope if isfinite(self._smooth) else nan

    def _look(self) -> tuple[float, float, float]:
        """Σ c_j |x_j|, and the products of ∇f and ∇̃F with the step."""
        smooth = float(np.dot(self.gradient, self._step))
        slope = float(np.dot(self._gradient, self._step))
        return self.penalty(self.x), smooth, slope

    def penalty(self, x: Vector) -> float:
        """Σ c_j |x_j| of an x in the orthant."""
        return exact_dot(self.orthant.slope, x)

    def end_slope(self) -> float:
        """ψ'(1) on that line."""
        return self._smooth + float(np.dot(self.orthant.slope, self._step))


def exact_dot(a: Vector, b: Vector, width: int = 8192) -> float:
    """Scalar product of two vectors, its sums in float32 of at most `width` terms.

    Longer ones are too rough for a value whose last digits are compared.
    """
    if a.size <= width or a.dtype == np.float64:
        return float(np.dot(a, b))
    head = a.size - a.size % width
    rows = np.vecdot(a[:head].reshape(-1, width), b[:head].reshape(-1, width))
    return float(rows.sum(dtype=np.float64)) + float(np.dot(a[head:], b[head:]))


class OrthantHistory(History):
    """The pairs of f as they are within the orthant, and -H ∇̃F.

    `g` is the pseudo-gradient ∇̃F and `gradient` that of f. The pairs are those of f
    without the entries of y where x was held at zero, so that H approximates the
    inverse of the Hessian's part for the entries that may move. The part of the
    inverse, which the same entries of the full y would give, takes them to be
    followed by correlated neighbours that cannot move.

    Notes
    -----
    Where x has moved on within its orthant, y so defined is the difference of two
    ∇̃F, and W y that of two W ∇̃F, as for a smooth function: W is read no more often,
    which is nearly all that an iteration costs. Where x is now zero, having come there
    or about to leave, the difference has a jump e in it, of the penalty's own
    gradient. W e costs a few columns of W, or a second product when they are many.
    """

    def __init__(
        self, x: Vector, gradient: Vector, orthant: Orthant, n_corrections: int
    ) -> None:
        self._orthant = orthant
        self._jump = orthant.enter(x, gradient, np.empty_like(x))
        self._changed = np.empty_like(x, dtype=bool)
        super().__init__(self._jump, n_corrections)
        self.gradient = gradient.copy()

    def resume_in(self, orthant: Orthant, x: Vector, gradient: Vector) -> None:
        """Go on from `x`, where ∇f is `gradient`."""
        self._orthant = orthant
        self.resume(orthant.enter(x, gradient, out=self._jump))
        self.gradient[:] = gradient

    def _move(self, y: Vector, x_new: Vector, g_new: Vector) -> None:
        orthant, changed = self._orthant, self._changed
        np.negative(self.g, out=y)
        orthant.enter(x_new, g_new, self.g)
        y += self.g
        np.logical_or(orthant.free, orthant.was_free, out=changed)
        np.logical_xor(changed, orthant.kept, out=changed)
        self._take_jumps_out(y, g_new, changed)
        self.gradient[:] = g_new

    def _take_jumps_out(self, y: Vector, g_new: Vector, changed: Mask) -> None:
        if not np.count_nonzero(changed):
            return
        k: Indices = np.flatnonzero(changed)
        W = self._W[: self._rows]
        smooth = (g_new[k] - self.gradient[k]) * self._orthant.was_free[k]
        jump = y[k] - smooth
        y[k] = smooth
        if 8 * k.size > y.size:
            self._jump[:] = 0
            self._jump[k] = jump
            self._Wg[: len(W)] += np.dot(W, self._jump)
        else:
            self._Wg[: len(W)] += np.dot(W.take(k, axis=1), jump)


class OrthantRun(Run[OrthantRay]):
    """The state of one minimisation of F; `point.gradient` is that of f."""

    kind: type[History] = OrthantHistory

    def start(self) -> Vector:
        """Evaluate F(x0); returns its pseudo-gradient."""
        g = super().start()
        x = self.point.x
        pseudo = self.ray.orthant.enter(x, g, out=np.empty_like(g))
        value = self.point.value + self.ray.penalty(x)
        self.point, self.start_value = self.point._replace(value=value), value
        return pseudo

    def remember(self, g: Vector) -> History:
        """The history at the point."""
        orthant, point, history = self.ray.orthant, self.point, self.memory.history
        if isinstance(history, OrthantHistory):
            history.resume_in(orthant, point.x, point.gradient)
            return history
        kind = cast(type[OrthantHistory], self.kind)
        return kind(point.x, point.gradient, orthant, self.n_corrections)

    def search(self) -> bool:
        """Look for the next point along the projection of x - t H ∇̃F."""
        history, point = self.history, self.point
        history.direction(out=self.d)
        self.ray.aim(point.x, self.d, history.g)
        return backtrack(self.ray, point.value, **self.rounding())

    def finish(self, x: Vector, g: Vector) -> None:
        """The gradient becomes the pseudo-gradient."""
        x += 0  # -0 becomes 0
        with np.errstate(all="ignore"):
            self.ray.orthant.enter(x, g, out=g)
