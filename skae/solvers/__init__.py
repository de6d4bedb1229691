"""Solvers: minimise a smooth function of one flat vector.

Every entry of `SOLVERS` is a function ``minimize(fun, x0, **options) -> Result`` that
knows nothing of networks.
"""

from skae.solvers.lbfgs import minimize_lbfgs
from skae.solvers.result import Iteration, NotFiniteError, Result

SOLVERS = {"lbfgs": minimize_lbfgs}

__all__ = ["SOLVERS", "Iteration", "NotFiniteError", "Result", "minimize_lbfgs"]
