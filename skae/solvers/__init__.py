"""Solvers: minimise a function of one flat vector.

Every entry of `SOLVERS` is a function ``minimize(fun, x0, **options) -> Result`` that
knows nothing of networks. ``fun`` is smooth. An objective that has a part Σ c_j |x_j|
besides leaves it out of ``fun`` and names the weights c; a solver that takes them has a
keyword ``l1`` for them. `solver_for` brings the two together.
"""

from functools import partial
from inspect import signature

import numpy as np

from skae.solvers.lbfgs import minimize_lbfgs
from skae.solvers.result import Iteration, NotFiniteError, Result

SOLVERS = {"lbfgs": minimize_lbfgs}


def solver_for(name, l1=None):
    """The solver called `name`, for a function with an L1 penalty or without.

    Parameters
    ----------
    name : str
        A key of `SOLVERS`.
    l1 : float or array-like, default=None
        The weights c of Σ c_j |x_j|, in the solver's coordinates: where x = s x′ and
        f is divided by a unit, c′ = s c / unit. None, or only zeros, is no penalty.

    Returns
    -------
    callable
        ``minimize(fun, x0, **options) -> Result``.

    Raises
    ------
    ValueError
        If there is a penalty, and the solver takes none.
    """
    solver = SOLVERS[name]
    if l1 is None or not np.any(l1):
        return solver
    if "l1" not in signature(solver).parameters:
        able = [k for k, s in SOLVERS.items() if "l1" in signature(s).parameters]
        raise ValueError(
            f"solver={name!r} minimises smooth functions only and takes no L1 penalty; "
            f"use solver={' or '.join(map(repr, able))}, or set the penalty to 0"
        )
    return partial(solver, l1=l1)


__all__ = [
    "SOLVERS",
    "Iteration",
    "NotFiniteError",
    "Result",
    "minimize_lbfgs",
    "solver_for",
]
