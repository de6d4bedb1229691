"""Limited-memory BFGS for a smooth function of one flat vector."""

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np

from skae.solvers.history import History
from skae.solvers.line_search import Ray, strong_wolfe

# Rounding error of a sum of many terms, in units of the last place of x's dtype.
NOISE = 8.0

MESSAGES = {
    "gradient": "converged: the largest gradient entry is at most tol",
    "value": "converged: an iteration decreased the value by at most ftol, relatively",
    "precision": "converged to precision: no step decreases the value measurably",
    "max_iter": "the limit of iterations was reached",
    "max_fun": "the limit of function evaluations was reached",
    "interrupted": "interrupted by the user",
    "stopped": "stopped by the callback",
}


@dataclass(frozen=True, eq=False)
class Result:
    """The point a solver ended at, and why it ended.

    Attributes
    ----------
    x : ndarray of shape (n,)
        The best point accepted, in the dtype of the starting point.
    value : float
        f(x); never above its value at the start.
    gradient : ndarray of shape (n,)
        Gradient at `x`.
    aux : object
        What the function returned beside value and gradient at `x`.
    n_iter, n_fun : int
        Steps taken and evaluations of the function.
    status : str
        "gradient", "value" or "precision" (converged); "max_iter" or "max_fun" (limit
        reached); "interrupted"; "stopped".
    """

    x: np.ndarray
    value: float
    gradient: np.ndarray
    aux: Any
    n_iter: int
    n_fun: int
    status: str

    @property
    def message(self):
        """`status` in words."""
        return MESSAGES[self.status]

    @property
    def converged(self):
        return self.status in ("gradient", "value", "precision")

    @property
    def limit_reached(self):
        return self.status in ("max_iter", "max_fun")

    @property
    def interrupted(self):
        return self.status == "interrupted"


class Iteration(NamedTuple):
    """What a callback is told after each iteration; `x` is valid during the call."""

    n_iter: int
    n_fun: int
    value: float
    gradient_norm: float
    aux: Any
    x: np.ndarray


class _Point(NamedTuple):
    """An accepted point. One name for all of it: an interrupt cannot split it."""

    x: np.ndarray
    value: float
    gradient: np.ndarray
    aux: Any
    n_iter: int


def minimize_lbfgs(
    fun,
    x0,
    *,
    max_iter=200,
    max_fun=None,
    tol=1e-5,
    ftol=1e-9,
    n_corrections=10,
    callback=None,
):
    run = _Run(fun, x0, max_fun, n_corrections, callback)
    try:
        status = run.iterate(max_iter, tol, ftol)
    except KeyboardInterrupt:
        if run.point is None:
            raise
        status = "interrupted"
    return run.result(status)


class _Run:
    """The state of one minimisation."""

    def __init__(self, fun, x0, max_fun, n_corrections, callback):
        x = np.array(x0)
        if x.dtype not in (np.float32, np.float64):
            x = x.astype(np.float64)
        self.point = None
        self.n_corrections, self.callback = n_corrections, callback
        self.ray = Ray(fun, x, inf if max_fun is None else max_fun)
        self.noise = NOISE * float(np.finfo(x.dtype).eps)

    def start(self):
        ray = self.ray
        ray.evaluate()
        g = ray.gradient
        if not (isfinite(ray.value) and np.isfinite(g).all()):
            raise ValueError("...")
        self.history = History(g, self.n_corrections)
        self.point = _Point(ray.x, ray.value, self.history.g, ray.aux, 0)
        self.floor = self.limit = ray.value
        ray.x = np.empty_like(ray.x)
        self.d = np.empty_like(ray.x)

    def iterate(self, max_iter, tol, ftol):
        self.start()
        history = self.history
        norm = np.abs(history.g).max()
        step = min(1.0, FIRST(history.g))
        if norm <= tol:
            return "gradient"
        for n_iter in range(1, max_iter + 1):
            old = self.point.value
            if not self.search(step):
                if self.ray.n_fun >= self.ray.max_fun:
                    return "max_fun"
                if history.empty:
                    return "precision"
                history.clear()
                if not self.search(1.0):
                    return (
                        "max_fun" if self.ray.n_fun >= self.ray.max_fun else "precision"
                    )
            step = 1.0
            norm = self.accept(n_iter)
            point = self.point
            if self.callback is not None:
                try:
                    self.callback(
                        Iteration(
                            n_iter,
                            self.ray.n_fun,
                            point.value,
                            norm,
                            point.aux,
                            point.x,
                        )
                    )
                except StopIteration:
                    return "stopped"
            if norm <= tol:
                return "gradient"
            if ftol > 0 and old - point.value <= ftol * max(abs(old), abs(point.value)):
                return "value"
            if self.ray.n_fun >= self.ray.max_fun:
                return "max_fun"
        return "max_iter"

    def search(self, step):
        point, ray, d = self.point, self.ray, self.d
        self.history.direction(out=d)
        slope = float(np.dot(point.gradient, d))
        if not -inf < slope < 0:
            return False
        ray.aim(point.x, d)
        noise = self.noise * abs(point.value)
        ceiling = min(self.floor + RISE * noise, self.limit)
        return strong_wolfe(ray, point.value, slope, step, noise=noise, ceiling=ceiling)

    def accept(self, n_iter):
        ray, old, history = self.ray, self.point, self.history
        self.point = _Point(ray.x, ray.value, ray.gradient, ray.aux, n_iter)
        self.floor = min(self.floor, ray.value)
        ray.x = old.x
        history.update(self.point.x, old.x, ray.gradient)
        self.point = self.point._replace(gradient=history.g)
        np.abs(history.g, out=ray.x)
        return float(np.maximum.reduce(ray.x))

    def result(self, status):
        x, value, g, aux, n_iter = self.point
        return Result(x.copy(), value, g.copy(), aux, n_iter, self.ray.n_fun, status)


RISE = 1.0
FIRST = lambda g: 1 / float(np.abs(g).sum())
