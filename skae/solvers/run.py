"""The loop of L-BFGS: from point to accepted point, and every way it can end."""

from abc import ABC, abstractmethod
from math import inf, isfinite
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from skae.solvers.arrays import Vector, read_only
from skae.solvers.history import History, Memory
from skae.solvers.line_search import Path, Ray, strong_wolfe
from skae.solvers.result import Callback, Iteration, NotFiniteError, Result
from skae.solvers.stopping import still_to_be_had

# Rounding error assumed in a function's value, in units of x's machine epsilon.
NOISE = 8.0
# Iterations in a row that lower neither the value nor the gradient, before stopping.
PATIENCE = 10


class Point(NamedTuple):
    """An accepted point, in one piece so that an interrupt cannot split it."""

    x: Vector
    value: float
    gradient: Vector
    aux: Any
    n_iter: int


AnyPath = TypeVar("AnyPath", bound=Path)


class Run(ABC, Generic[AnyPath]):
    """The state of one minimisation, from `start` on.

    `point` is the accepted point; its x and the trial x of `ray` are two buffers that
    change places. `lowest` is a copy of an earlier point where rounding has let the
    value rise since, otherwise None. `history.g` is what vanishes at a minimum and what
    directions are made of; `history.gradient` is what `fun` returned. For a smooth
    function the two are one (`SmoothRun`); a penalty makes two of them (`OrthantRun`).

    Parameters
    ----------
    ray : Path
        The function, with the starting point in its buffer.
    n_corrections : int
        Number of pairs kept.
    memory : Memory
        Of earlier runs, to go on from, and of this one.
    """

    point: Point
    history: History
    start_value: float
    d: Vector

    kind: type[History] = History

    def __init__(self, ray: AnyPath, n_corrections: int, memory: Memory) -> None:
        memory.check(ray.x, self.kind, n_corrections)
        self.ray, self.n_corrections, self.memory = ray, n_corrections, memory
        self.noise = NOISE * float(np.finfo(ray.x.dtype).eps)
        self.lowest: Point | None = None
        self.least_norm, self.idle = inf, 0

    def iterate(
        self,
        g: Vector,
        max_iter: int,
        tol: float,
        ftol: float,
        atol: float,
        window: int,
        callback: Callback | None,
    ) -> str:
        """Run to the end from what `start` returned; returns the status."""
        if np.abs(g).max() <= max(tol, 0):
            return "gradient"
        self.history = self.memory.history = self.remember(g)
        values = [self.point.value]
        for n_iter in range(1, max_iter + 1):
            if not self.search() and not self.search_afresh():
                exhausted = self.ray.n_fun >= self.ray.max_fun
                return "max_fun" if exhausted else "precision"
            norm = self.accept(n_iter)
            if callback is not None and not self.tell(callback, norm):
                return "stopped"
            if norm <= tol:
                return "gradient"
            if self.idle >= PATIENCE:
                return "precision"
            values.append(self.point.value)
            least = max(ftol * abs(values[-1]), atol)
            if least > 0 and still_to_be_had(values, window) <= least:
                return "value"
        return "max_iter"

    def start(self) -> Vector:
        """Evaluate f(x0); returns what is to vanish: the gradient, a copy."""
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

    @abstractmethod
    def remember(self, g: Vector) -> History:
        """The history at `g`, which `start` returned: the memory's, or a new one."""

    @abstractmethod
    def search(self) -> bool:
        """Look for the next point; returns whether `ray` is at one."""

    def rounding(self) -> dict[str, float]:
        """What a line search must know of the rounding of f."""
        noise = self.noise * abs(self.point.value)
        # A rise within rounding is no rise, but many must not add up.
        ceiling = min((self.lowest or self.point).value + noise, self.start_value)
        return {"noise": noise, "ceiling": ceiling}

    def search_afresh(self) -> bool:
        """Drop the history and search along -γ g, unless that has just been done."""
        if self.history.empty or self.ray.n_fun >= self.ray.max_fun:
            return False
        self.history.clear()
        return self.search()

    def accept(self, n_iter: int) -> float:
        """Move to the point of `ray`; returns the largest entry of `history.g`."""
        old, ray, history = self.point, self.ray, self.history
        lower = ray.value < (self.lowest or old).value
        if self.lowest is None:
            if ray.value > old.value:
                x, gradient = old.x.copy(), old.gradient.copy()
                self.lowest = old._replace(x=x, gradient=gradient)
        elif ray.value <= self.lowest.value:
            self.lowest = None
        # The gradient is fun's own array until the history has its copy, so that the
        # point is whole wherever an interrupt falls.
        self.point = Point(ray.x, ray.value, ray.gradient, ray.aux, n_iter)
        history.update(self.point.x, old.x, ray.gradient)
        self.point = Point(ray.x, ray.value, history.gradient, ray.aux, n_iter)
        ray.x = old.x
        norm = history.norm(ray.x)
        self.idle = 0 if lower or norm < self.least_norm else self.idle + 1
        self.least_norm = min(norm, self.least_norm)
        return norm

    def tell(self, callback: Callback, norm: float) -> bool:
        """Call the callback; returns whether to go on: if no StopIteration came."""
        x, value, _, aux, n_iter = self.point
        seen = read_only(x)
        try:
            callback(Iteration(n_iter, self.ray.n_fun, value, norm, aux, seen))
        except StopIteration:
            return False
        return True

    def result(self, status: str) -> Result:
        """The `Result`, with arrays of its own."""
        point, n_iter = self.point, self.point.n_iter
        if self.lowest is not None and status != "gradient":
            point = self.lowest
        x, g = point.x.copy(), point.gradient.copy()
        self.finish(x, g)
        n_fun = self.ray.n_fun
        return Result(x, point.value, g, point.aux, n_iter, n_fun, status)

    def finish(self, x: Vector, g: Vector) -> None:
        """Make of the last x and ∇f, in place, what the result shows of them."""


class SmoothRun(Run[Ray]):
    """The state of one minimisation of a smooth function f."""

    def remember(self, g: Vector) -> History:
        """The history at the gradient `g`."""
        history = self.memory.history
        if history is None:
            return self.kind(g, self.n_corrections)
        history.resume(g)
        return history

    def search(self) -> bool:
        """Look for the next point along x - t H g."""
        point, d = self.point, self.d
        self.history.direction(out=d)
        slope = self.slope()
        if not -inf < slope < 0:
            return False
        self.ray.aim(point.x, d)
        return strong_wolfe(self.ray, point.value, slope, 1.0, **self.rounding())

    def slope(self) -> float:
        """gᵀd of the last direction."""
        return float(np.dot(self.point.gradient, self.d))
