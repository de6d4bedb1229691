"""Orthant-wise L-BFGS: the loop of `run` for f(x) + Σ c_j |x_j|."""

import numpy as np

from skae.solvers.history import History
from skae.solvers.line_search import Ray, Trial, backtrack
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
    n : int
        Size of x.

    Attributes
    ----------
    free : ndarray of shape (n,), bool
        Where x may move: ξ_j ≠ 0 or c_j = 0.
    slope : ndarray of shape (n,)
        The gradient of the penalty: c_j ξ_j where x may move, else -g_j.
    """

    def __init__(self, c, n):
        self._c, self._minus_c = c, -c
        zero = np.zeros((), c.dtype)
        self._floor = self._ceiling = zero
        self._unpenalised = None
        if not c.all():
            self._unpenalised = np.broadcast_to(c == 0, n)
            self._floor = np.where(c == 0, -np.inf, zero)
            self._ceiling = -self._floor
        self.slope, self._lower, self._upper, self._q = np.empty((4, n), c.dtype)
        self.free = np.empty(n, dtype=bool)
        self._huge = np.finfo(c.dtype).max

    def enter(self, x, g, out):
        """Move to the orthant of `x`, where ∇f is `g`; writes ∇̃F to `out`."""
        q, slope, huge = self._q, self.slope, self._huge
        # Times the largest number, every x_j but zero outweighs g_j and c_j: a sign
        # function in a quarter of the time of np.sign, and without a mask.
        np.multiply(x, huge, out=q)
        np.subtract(q, g, out=slope)
        np.maximum(slope, self._minus_c, out=slope)
        np.minimum(slope, self._c, out=slope)
        np.add(g, slope, out=out)
        np.subtract(q, out, out=q)  # has the signs ξ
        np.not_equal(q, 0, out=self.free)
        if self._unpenalised is not None:
            np.logical_or(self.free, self._unpenalised, out=self.free)
        np.multiply(q, huge, out=q)
        np.minimum(q, self._floor, out=self._lower)
        np.maximum(q, self._ceiling, out=self._upper)
        return out

    def project(self, x):
        """Set every entry of `x` to zero whose sign is not ξ_j."""
        np.maximum(x, self._lower, out=x)
        np.minimum(x, self._upper, out=x)


class OrthantRay(Ray):
    """The function F along the projection of x + t d onto the orthant of x."""

    def __init__(self, fun, x, max_fun, c):
        super().__init__(fun, x, max_fun)
        self._c = np.broadcast_to(c, x.shape)
        self.orthant = Orthant(c, x.size)
        self._step = np.empty_like(x)

    def evaluate(self):
        """Evaluate F at `x`; `gradient` is that of f."""
        np.abs(self.x, out=self._step)
        penalty = exact_dot(self._c, self._step)
        super().evaluate()
        self.value += penalty

    def aim(self, origin, direction, gradient):
        """Start a new search; `gradient` is ∇̃F at `origin`."""
        super().aim(origin, direction)
        self._gradient = gradient

    def _move(self, t):
        super()._move(t)
        self.orthant.project(self.x)

    def __call__(self, t):
        """Evaluate F at the projection of x + t d, as `backtrack` asks for it."""
        self._move(t)
        self.evaluate()
        step = np.subtract(self.x, self._origin, out=self._step)
        slope = float(np.dot(self.gradient, step))
        slope += float(np.dot(self.orthant.slope, step))
        return Trial(1.0, self.value, slope), float(np.dot(self._gradient, step))


def exact_dot(a, b, width=512):
    """Scalar product of two vectors, hardly less exact than its terms.

    Sums of float32 are too rough for a value whose last digits are compared.
    """
    if a.dtype == np.float64:
        return float(np.dot(a, b))
    head = a.size - a.size % width
    rows = np.vecdot(a[:head].reshape(-1, width), b[:head].reshape(-1, width))
    return float(rows.sum(dtype=np.float64)) + float(np.dot(a[head:], b[head:]))


class OrthantHistory(History):
    """The pairs of f as they are within the orthant, and -H ∇̃F.

    `g` is the pseudo-gradient ∇̃F and `gradient` that of f. The pairs are those of f
    without the entries of y where x was held at zero, so that H approximates the
    inverse of the Hessian's part for the entries that may move. The part of the
    inverse, which the same entries of the full y would give, takes them to follow
    their correlated neighbours that cannot move.

    Notes
    -----
    W ∇̃F is needed for the direction and W y for the new pair, but reading W is nearly
    all that an iteration costs. Where x moves on within one orthant, y is the
    difference of two ∇̃F, as for a smooth function. Elsewhere a correction is added:
    a few columns of W, or a second product with W when they are many.
    """

    def __init__(self, x, gradient, orthant, n_corrections):
        self._orthant = orthant
        self._scratch = np.empty_like(x)
        self._changed, self._zero = np.empty((2, x.size), dtype=bool)
        super().__init__(orthant.enter(x, gradient, self._scratch), n_corrections)
        self.gradient = gradient.copy()

    def _move(self, y, x_new, g_new):
        v, free, changed = self._scratch, self._orthant.free, self._changed
        np.subtract(g_new, self.gradient, out=y)
        np.multiply(y, free, out=y)
        self.gradient[:] = g_new
        changed[:] = free
        self._orthant.enter(x_new, g_new, v)
        # Only where x is now zero, having come there or about to leave, is g + y not v.
        np.logical_or(changed, free, out=changed)
        np.equal(x_new, 0, out=self._zero)
        np.logical_and(changed, self._zero, out=changed)
        n_changed = np.count_nonzero(changed)
        W, rows = self._W, self._rows
        if 8 * n_changed > v.size:
            self.g += y
            np.subtract(v, self.g, out=self.g)
            self._Wg[:rows] += np.dot(W[:rows], self.g)
        elif n_changed:
            k = np.flatnonzero(changed)
            self._Wg[:rows] += np.dot(W[:rows].take(k, axis=1), v[k] - self.g[k] - y[k])
        self.g[:] = v


class OrthantRun(Run):
    """The state of one minimisation of F; `point.gradient` is that of f."""

    def __init__(self, fun, x0, max_fun, n_corrections, c):
        super().__init__(fun, x0, max_fun, n_corrections)
        self.ray = OrthantRay(fun, self.ray.x, max_fun, c)

    def start(self):
        """Evaluate F(x0); returns its pseudo-gradient."""
        g = super().start()
        return self.ray.orthant.enter(self.point.x, g, out=np.empty_like(g))

    def remember(self, g):
        """A history that starts at the point."""
        orthant, point = self.ray.orthant, self.point
        return OrthantHistory(point.x, point.gradient, orthant, self.n_corrections)

    def search(self):
        """Look for the next point along the projection of x - t H ∇̃F."""
        history, point = self.history, self.point
        history.direction(out=self.d)
        self.ray.aim(point.x, self.d, history.g)
        return backtrack(self.ray, point.value, **self.rounding())

    def result(self, status):
        """The `Result`, with the pseudo-gradient at its point."""
        result = super().result(status)
        with np.errstate(all="ignore"):
            self.ray.orthant.enter(result.x, result.gradient, out=result.gradient)
        return result
