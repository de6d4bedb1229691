"""Limited-memory BFGS: Newton-like steps from the last few gradient differences."""

from sys import maxsize
from typing import Any

import numpy as np
import numpy.typing as npt

from skae.solvers.arrays import Vector, copied, on_device
from skae.solvers.device import (
    DeviceOrthantRay,
    DeviceOrthantRun,
    DeviceRay,
    DeviceRun,
)
from skae.solvers.history import Memory
from skae.solvers.line_search import Function, Ray
from skae.solvers.orthant import OrthantRay, OrthantRun
from skae.solvers.result import Callback, Result
from skae.solvers.run import SmoothRun
from skae.solvers.stopping import LEAST_WINDOW


def minimize_lbfgs(
    fun: Function,
    x0: npt.ArrayLike,
    *,
    max_iter: int = 200,
    max_fun: int | None = None,
    tol: float = 1e-5,
    ftol: float = 1e-9,
    atol: float = 0.0,
    window: int = LEAST_WINDOW,
    n_corrections: int = 10,
    callback: Callback | None = None,
    l1: npt.ArrayLike | None = None,
    memory: Memory | None = None,
) -> Result:
    """Minimise a function f of a vector, or f(x) + Σ c_j |x_j|, by L-BFGS; f is smooth.

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
        An array on a device, such as one of CuPy's, stays there, and so do all other
        vectors; `fun` gets and returns such.
    max_iter : int, default=200
        Limit of iterations, at least 0.
    max_fun : int, default=None
        Limit of evaluations of `fun`, at least 1, never exceeded. None is no limit
        but `max_iter`, with a few evaluations an iteration at most.
    tol : float, default=1e-5
        Stop when max |g| <= tol, in units of f over x: scale f so that f(x0) is about
        1, or `tol` by f(x0).
    ftol, atol : float, default=1e-9 and 0
        Stop when the decrease that is still to be had is at most ftol |f(x)|, or at
        most `atol`. It is estimated as three times that of the last quarter of the
        iterations: as much would be left if f fell as 1/n. 0 turns a test off.
    window : int, default=10
        The iterations of that quarter, at least. A larger number keeps the solver from
        stopping on a plateau.
    n_corrections : int, default=10
        Number m of pairs kept. Memory is 2m + 4 vectors, and 3 more when a line search
        or rounding makes the solver keep a point; 9 to 10 more with `l1`.
    callback : callable, default=None
        Called as ``callback(iteration)`` with an `Iteration` after each iteration. If
        it raises StopIteration, the solver returns with status "stopped".
    l1 : float or array-like of shape (n,), default=None
        The weights c_j of an L1 penalty, finite and at least 0; 0 for an entry without
        penalty. The penalised entries of the minimum are often zero, exactly. None, or
        only zeros, is no penalty. `fun` stays f; what is said of f above and below, and
        the values and gradients handed back, are then of F(x) = f(x) + Σ c_j |x_j|, and
        of its pseudo-gradient (see Notes).
    memory : Memory, default=None
        What runs hand on to each other: this one goes on with the pairs of the last
        one that was given it, if any, and leaves its own there. On the same function,
        two runs of a and b iterations then make the steps of one of a + b. x0 must
        have the same size and dtype, `n_corrections` be the same, and `l1` be an L1
        penalty in all runs or in none. None begins without a pair.

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

    *With `l1`* the solver is orthant-wise (OWL-QN) [3]_. F is smooth within the orthant
    that x lies in or is about to enter, so that each iteration is

        x ← P(x + t d),    d = -H ∇̃F,

    with the pseudo-gradient ∇̃F, which is zero at a minimum only: the subgradient of
    least norm, g_j + c_j sign(x_j) or, where x_j = 0, g_j brought closer to zero by
    c_j. P sets an entry to zero where it leaves the orthant, and t is shortened from 1
    until F decreases enough (`backtrack`). In two points the published algorithm is
    changed: entries of d are only set to zero for the sign of ∇̃F where x is zero, not
    everywhere; and pairs forget the entries that are held at zero (`OrthantHistory`).
    On the problems of ``examples/benchmarks/bench_owlqn.py`` the published algorithm
    takes 3.6 times the evaluations or more (geometric mean; 1.05 to 23 times). An
    iteration takes 1.4 to 1.7 times as long outside `fun` as without `l1`.

    References
    ----------
    .. [1] D. C. Liu and J. Nocedal, On the limited memory BFGS method for large scale
       optimization, Math. Programming 45 (1989) 503-528.
    .. [2] R. H. Byrd, J. Nocedal and R. B. Schnabel, Representations of quasi-Newton
       matrices and their use in limited memory methods, Math. Programming 63 (1994)
       129-156.
    .. [3] G. Andrew and J. Gao, Scalable training of L1-regularized log-linear models,
       ICML 2007.

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
    >>> minimize_lbfgs(fun, np.array([5.0, 5.0]), l1=1.5).x.round(4)
    array([0. , 0.5])
    """
    if max_iter < 0:
        raise ValueError(f"max_iter={max_iter!r} must be at least 0")
    if max_fun is not None and max_fun < 1:
        raise ValueError(
            f"max_fun={max_fun!r} must be at least 1, or None for no limit"
        )
    if window < 1:
        raise ValueError(f"window={window!r} must be at least 1")
    if n_corrections < 1:
        raise ValueError(f"n_corrections={n_corrections!r} must be at least 1")
    x = vector(x0)
    c = weights(l1, x)
    limit = maxsize if max_fun is None else max_fun
    memory = Memory() if memory is None else memory
    there = on_device(x)
    run: SmoothRun | OrthantRun
    if c.any():
        path = (DeviceOrthantRay if there else OrthantRay)(fun, x, limit, c)
        run = (DeviceOrthantRun if there else OrthantRun)(path, n_corrections, memory)
    else:
        ray = (DeviceRay if there else Ray)(fun, x, limit)
        run = (DeviceRun if there else SmoothRun)(ray, n_corrections, memory)
    with np.errstate(all="ignore"):
        g = run.start()
        try:
            status = run.iterate(g, max_iter, tol, ftol, atol, window, callback)
        except KeyboardInterrupt:
            status = "interrupted"
    return run.result(status)


def vector(x0: npt.ArrayLike) -> Vector:
    """A copy of `x0`, float32 or float64."""
    x = copied(x0)
    if x.dtype not in (np.float32, np.float64):
        x = x.astype(np.float64)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"x0 must be a non-empty vector, got shape {x.shape}")
    return x


def weights(l1: npt.ArrayLike | None, x: Vector) -> Vector:
    """`l1` as an array in the dtype of `x`, a single number or one for each entry."""
    given: Any = 0.0 if l1 is None else l1
    c = np.asarray(given.get() if on_device(given) else given)
    with np.errstate(over="ignore"):
        c = c.astype(x.dtype)
    if c.shape not in ((), x.shape):
        raise ValueError(
            f"l1 must be a number or of the shape of x0, {x.shape}, got {c.shape}"
        )
    if not (np.isfinite(c) & (c >= 0)).all():
        bad = c[~(np.isfinite(c) & (c >= 0))].flat[0]
        raise ValueError(f"l1 must be at least 0 and finite in {c.dtype}, got {bad!r}")
    return c
