"""The loop of L-BFGS: from point to accepted point, and every way it can end."""

from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np

from skae.solvers.history import History
from skae.solvers.line_search import Ray, strong_wolfe
from skae.solvers.result import Iteration, NotFiniteError, Result

# Rounding error assumed in a function's value, in units of x's machine epsilon.
NOISE = 8.0
# Iterations in a row that lower neither the value nor the gradient, before stopping.
PATIENCE = 10


class Point(NamedTuple):
    """An accepted point, in one piece so that an interrupt cannot split it."""

    x: np.ndarray
    value: float
    gradient: np.ndarray
    aux: Any
    n_iter: int


class Run:
    """The state of one minimisation.

    `point` is the accepted point; its x and the trial x of `ray` are two buffers that
    change places. `lowest` is a copy of an earlier point where rounding has let the
    value rise since, otherwise None. `history.g` is what vanishes at a minimum and what
    directions are made of; `history.gradient` is what `fun` returned. Here the two are
    one; what else a penalty changes are the methods `start`, `search` and `result`.
    """

    def __init__(self, fun, x0, max_fun, n_corrections):
        x = np.array(x0)
        if x.dtype not in (np.float32, np.float64):
            x = x.astype(np.float64)
        if x.ndim != 1 or x.size == 0:
            raise ValueError(f"x0 must be a non-empty vector, got shape {x.shape}")
        self.ray = Ray(fun, x, max_fun)
        self.n_corrections = n_corrections
        self.noise = NOISE * float(np.finfo(x.dtype).eps)
        self.point = self.lowest = None
        self.least_norm, self.idle = inf, 0

    def iterate(self, max_iter, tol, ftol, callback):
        """Run to the end; returns the status."""
        g = self.start()
        if np.abs(g).max() <= max(tol, 0):
            return "gradient"
        self.history = self.remember(g)
        for n_iter in range(1, max_iter + 1):
            old = self.point.value
            if not self.search() and not self.search_afresh():
                exhausted = self.ray.n_fun >= self.ray.max_fun
                return "max_fun" if exhausted else "precision"
            norm = self.accept(n_iter)
            if callback is not None and self.tell(callback, norm) == "stop":
                return "stopped"
            if norm <= tol:
                return "gradient"
            if self.idle >= PATIENCE:
                return "precision"
            new = self.point.value
            if ftol > 0 and old - new <= ftol * max(abs(old), abs(new)):
                return "value"
        return "max_iter"

    def start(self):
        """Evaluate f(x0); returns its gradient, a copy."""
        ray = self.ray
        ray.evaluate()
        if not (isfinite(ray.value) and np.isfinite(ray.gradient).all()):
            raise NotFiniteError(
                f"the function must be finite at x0, with a finite gradient; its value "
                f"is {ray.value!r}. Start closer to 0, or scale the data."
            )
        x = ray.x
        g = ray.gradient.astype(x.dtype)
        self.point = Point(x, ray.value, g, ray.aux, 0)
        self.start_value = ray.value
        ray.x = np.empty_like(x)
        self.d = np.empty_like(x)
        return g

    def remember(self, g):
        """A history that starts at the gradient `g`."""
        return History(g, self.n_corrections)

    def search(self):
        """Look for the next point along -H g; returns whether `ray` is at one."""
        point, d = self.point, self.d
        self.history.direction(out=d)
        slope = float(np.dot(point.gradient, d))
        if not -inf < slope < 0:
            return False
        self.ray.aim(point.x, d)
        return strong_wolfe(self.ray, point.value, slope, 1.0, **self.rounding())

    def rounding(self):
        """What a line search must know of the rounding of f."""
        noise = self.noise * abs(self.point.value)
        # A rise within rounding is no rise, but many must not add up.
        ceiling = min((self.lowest or self.point).value + noise, self.start_value)
        return {"noise": noise, "ceiling": ceiling}

    def search_afresh(self):
        """Drop the history and search along -γ g, unless that has just been done."""
        if self.history.empty or self.ray.n_fun >= self.ray.max_fun:
            return False
        self.history.clear()
        return self.search()

    def accept(self, n_iter):
        """Move to the point of `ray`; returns the largest entry of `history.g`."""
        old, ray, history = self.point, self.ray, self.history
        lower = ray.value < (self.lowest or old).value
        if self.lowest is None:
            if ray.value > old.value:
                copies = {"x": old.x.copy(), "gradient": old.gradient.copy()}
                self.lowest = old._replace(**copies)
        elif ray.value <= self.lowest.value:
            self.lowest = None
        # The gradient is fun's own array until the history has its copy, so that the
        # point is whole wherever an interrupt falls.
        self.point = Point(ray.x, ray.value, ray.gradient, ray.aux, n_iter)
        history.update(self.point.x, old.x, ray.gradient)
        self.point = Point(ray.x, ray.value, history.gradient, ray.aux, n_iter)
        ray.x = old.x
        norm = float(np.maximum.reduce(np.abs(history.g, out=ray.x)))
        self.idle = 0 if lower or norm < self.least_norm else self.idle + 1
        self.least_norm = min(norm, self.least_norm)
        return norm

    def tell(self, callback, norm):
        """Call the callback; returns "stop" if it raised StopIteration."""
        x, value, _, aux, n_iter = self.point
        x = x.view()
        x.flags.writeable = False
        try:
            callback(Iteration(n_iter, self.ray.n_fun, value, norm, aux, x))
        except StopIteration:
            return "stop"

    def result(self, status):
        """The `Result`, with arrays of its own."""
        point, n_iter = self.point, self.point.n_iter
        if self.lowest is not None and status != "gradient":
            point = self.lowest
        x, value, g, aux, _ = point
        return Result(x.copy(), value, g.copy(), aux, n_iter, self.ray.n_fun, status)
