"""Solvers: minimise a smooth function, of one flat vector or of many at once.

Every entry of `SOLVERS` is a function ``minimize(fun, x0, **options) -> Result`` that
knows nothing of networks. `minimize_separable` does the same for each column of an
array.
"""

from skae.solvers.lbfgs import minimize_lbfgs
from skae.solvers.result import Iteration, NotFiniteError, Result
from skae.solvers.separable import Separable, SeparableResult, minimize_separable

SOLVERS = {"lbfgs": minimize_lbfgs}

__all__ = [
    "SOLVERS",
    "Iteration",
    "NotFiniteError",
    "Result",
    "Separable",
    "SeparableResult",
    "minimize_lbfgs",
    "minimize_separable",
]
