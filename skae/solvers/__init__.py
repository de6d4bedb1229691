"""Solvers: minimise functions of one flat vector, and know nothing of networks.

``minimize_lbfgs`` minimises a smooth function, and with ``l1`` the sum of one and
Σ c_j |x_j|; ``minimize_separable`` a smooth function of each column of an array, all
at once; ``minimize_adam`` a mean of many functions from the gradients of a few at a
time.
"""

from skae.solvers.adam import Adam, minimize_adam
from skae.solvers.history import Memory
from skae.solvers.lbfgs import minimize_lbfgs
from skae.solvers.result import MESSAGES, Iteration, NotFiniteError, Result
from skae.solvers.separable import Separable, SeparableResult, minimize_separable

__all__ = [
    "MESSAGES",
    "Adam",
    "Iteration",
    "Memory",
    "NotFiniteError",
    "Result",
    "Separable",
    "SeparableResult",
    "minimize_adam",
    "minimize_lbfgs",
    "minimize_separable",
]
