"""What a solver tells: each iteration to a callback, and how it ended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skae.solvers.arrays import Vector

MESSAGES = {
    "gradient": "converged: no entry of the gradient exceeds tol",
    "value": "converged: the value would hardly fall any further, by ftol and atol",
    "precision": "converged to precision: no step decreases the value measurably",
    "no_change": "converged: the mean value would hardly fall any further, by tol",
    "max_iter": "the limit of iterations, max_iter, was reached",
    "max_fun": "the limit of function evaluations, max_fun, was reached",
    "interrupted": "interrupted by the user",
    "stopped": "stopped by the callback",
}


class NotFiniteError(ValueError):
    """What is to be minimised is not finite: for L-BFGS at the starting point."""


class Iteration(NamedTuple):
    """The accepted point after one iteration, as a callback sees it.

    Attributes
    ----------
    n_iter, n_fun : int
        Iterations and evaluations of the function so far.
    value : float
        f(x).
    gradient_norm : float or None
        Largest absolute entry of the gradient at `x`; with an L1 penalty, of the
        subgradient of least norm. None if the solver knows no gradient.
    aux : object
        What the function returned beside value and gradient at `x`.
    x : ndarray of shape (n,)
        A read-only view, valid during the call.
    """

    n_iter: int
    n_fun: int
    value: float
    gradient_norm: float | None
    aux: Any
    x: Vector


Callback = Callable[[Iteration], object]


@dataclass(frozen=True, eq=False)
class Result:
    """The point a solver ended at, and why it ended.

    Attributes
    ----------
    x : ndarray of shape (n,)
        The best point accepted, in the dtype of the starting point.
    value : float
        f(x); never above the value at the starting point.
    gradient : ndarray of shape (n,) or None
        Gradient at `x`; with an L1 penalty, the subgradient of least norm. None if
        the solver knows no gradient.
    aux : object
        What the function returned beside value and gradient at `x`.
    n_iter, n_fun : int
        Iterations and evaluations of the function.
    status : str
        "gradient", "value", "precision" or "no_change": converged; "max_iter" or
        "max_fun": a limit was reached; "interrupted" by Ctrl-C; "stopped" by the
        callback.
    """

    x: Vector
    value: float
    gradient: Vector | None
    aux: Any
    n_iter: int
    n_fun: int
    status: str

    @property
    def gradient_norm(self) -> float | None:
        """Largest absolute entry of the gradient, None if there is none."""
        return None if self.gradient is None else float(np.abs(self.gradient).max())
