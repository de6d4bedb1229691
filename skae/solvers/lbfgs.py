"""Limited-memory BFGS: Newton-like steps from the last few gradient differences."""

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
    """Minimise a smooth function f of a vector by L-BFGS.

    Each iteration is

        x ← x + t d,    d = -H g,

    with H the inverse Hessian that BFGS builds from the last `n_corrections` steps [1]_
    [2]_ and t a step that meets the strong Wolfe conditions (`strong_wolfe`). The first
    trial step is t = 1; before there is a pair, H = I/|g|, so that it has length 1
    whatever the scale of f. All vectors have the dtype of `x0`.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> (value, gradient, aux)``: f(x) as a float, its gradient with the
        shape and dtype of x, and anything else, handed back with the result. The
        gradient may be written to the same array at every call; `x` is only valid
        during the call. A value or gradient that is not finite shortens the step, so
        NumPy's floating-point warnings are off while the solver runs.
    x0 : array-like of shape (n,)
        Starting point. float32 and float64 are kept; anything else becomes float64.
    max_iter : int, default=200
        Limit of iterations, at least 0.
    max_fun : int, default=None
        Limit of evaluations of `fun`, at least 1, never exceeded. None is no limit
        but `max_iter`, with a few evaluations an iteration at most.
    tol : float, default=1e-5
        Stop when max |g| <= tol, in units of f over x: scale f so that f(x0) is about
        1, or `tol` by f(x0).
    ftol : float, default=1e-9
        Stop when an iteration makes f(x) - f(x₊) <= ftol max(|f(x)|, |f(x₊)|). Purely
        relative: the same for 1e-6 f as for 1e6 f. 0 turns the test off.
    n_corrections : int, default=10
        Number m of pairs kept. Memory is 2m + 4 vectors, and 3 more when a line search
        or rounding makes the solver keep a point.
    callback : callable, default=None
        Called as ``callback(iteration)`` with an `Iteration` after each iteration. If
        it raises StopIteration, the solver returns with status "stopped".

    Returns
    -------
    Result
        The accepted point of least value. Where the solver stops at max |g| <= `tol`,
        the point that met it: rounding may put it `NOISE` epsilons above the least.

    Raises
    ------
    ValueError
        If f or its gradient is not finite at `x0`, or an argument is out of range.
    KeyboardInterrupt
        Only before f(x0) is known; later, the result has status "interrupted".

    Notes
    -----
    Where no step improves f, the history may be to blame: it is dropped, and steepest
    descent tried once. If that fails too, f is at its minimum as far as its rounding
    shows, and the status is "precision"; likewise after ten iterations that found
    neither a lower value nor a smaller gradient.

    References
    ----------
    .. [1] D. C. Liu and J. Nocedal, On the limited memory BFGS method for large scale
       optimization, Math. Programming 45 (1989) 503-528.
    .. [2] R. H. Byrd, J. Nocedal and R. B. Schnabel, Representations of quasi-Newton
       matrices and their use in limited memory methods, Math. Programming 63 (1994)
       129-156.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.solvers import minimize_lbfgs
    >>> def fun(x):
    ...     r = x - np.array([1.0, 2.0])
    ...     return r @ r / 2, r, None
    >>> result = minimize_lbfgs(fun, np.array([5.0, 5.0]))
    >>> result.x.round(4), result.status
    (array([1., 2.]), 'gradient')
    """
    if max_iter < 0:
        raise ValueError(f"max_iter={max_iter!r} must be at least 0")
    if max_fun is not None and max_fun < 1:
        raise ValueError(
            f"max_fun={max_fun!r} must be at least 1, or None for no limit"
        )
    if n_corrections < 1:
        raise ValueError(f"n_corrections={n_corrections!r} must be at least 1")
    run = _Run(fun, x0, inf if max_fun is None else max_fun, n_corrections)
    try:
        with np.errstate(all="ignore"):
            status = run.iterate(max_iter, tol, ftol, callback)
    except KeyboardInterrupt:
        if run.point is None:
            raise
        status = "interrupted"
    return run.result(status)


class _Point(NamedTuple):
    """An accepted point, in one piece so that an interrupt cannot split it."""

    x: np.ndarray
    value: float
    gradient: np.ndarray
    aux: Any
    n_iter: int


class _Run:
    """The state of one minimisation.

    `point` is the accepted point; its x and the trial x of `ray` are two buffers that
    change places. `lowest` is a copy of an earlier point where rounding has let the
    value rise since, otherwise None.
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
        self.history = History(g, self.n_corrections)
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
        self.point = _Point(x, ray.value, g, ray.aux, 0)
        self.start_value = ray.value
        ray.x = np.empty_like(x)
        self.d = np.empty_like(x)
        return g

    def search(self):
        """Look for the next point along -H g; returns whether `ray` is at one."""
        point, d = self.point, self.d
        self.history.direction(out=d)
        slope = float(np.dot(point.gradient, d))
        if not -inf < slope < 0:
            return False
        noise = self.noise * abs(point.value)
        # A rise within rounding is no rise, but many must not add up.
        ceiling = min((self.lowest or point).value + noise, self.start_value)
        self.ray.aim(point.x, d)
        return strong_wolfe(
            self.ray, point.value, slope, 1.0, noise=noise, ceiling=ceiling
        )

    def search_afresh(self):
        """Drop the history and search along -γ g, unless that has just been done."""
        if self.history.empty or self.ray.n_fun >= self.ray.max_fun:
            return False
        self.history.clear()
        return self.search()

    def accept(self, n_iter):
        """Move to the point of `ray`; returns the largest entry of its gradient."""
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
        self.point = _Point(ray.x, ray.value, ray.gradient, ray.aux, n_iter)
        history.update(self.point.x, old.x, ray.gradient)
        self.point = _Point(ray.x, ray.value, history.g, ray.aux, n_iter)
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
