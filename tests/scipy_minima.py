"""Where SciPy's L-BFGS-B ends, by the stopping rule of the tests of ours."""

from functools import cache

import numpy as np
from problems import problems
from scipy.optimize import minimize

TOL = 1e-6  # of the largest entry of the gradient
MANY = 20_000  # iterations and evaluations


def scipy_lbfgs(fun, x0):
    """Of ``fun(x) -> (value, gradient)``; only the gradient test ends it."""
    options = {"maxcor": 10, "gtol": TOL, "ftol": 0, "maxiter": MANY, "maxfun": MANY}
    with np.errstate(all="ignore"):
        return minimize(fun, x0, jac=True, method="L-BFGS-B", options=options)


@cache
def scipy_minimum(name):
    """Of the problem of that name in ``problems.py``, sought once."""
    (problem,) = (problem for problem in problems() if problem.name == name)
    return scipy_lbfgs(problem.fun, problem.x0)
