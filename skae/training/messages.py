"""The reasons why training ends, as texts for ``verbose``.

Keys are values of ``status``, which solvers and training return.
"""

from skae.solvers import MESSAGES as OF_SOLVERS

MESSAGES: dict[str, str] = {
    **OF_SOLVERS,
    "gradient": "converged: the gradient is practically zero",
    "value": "converged: the loss is expected to fall by no more than tol, relatively",
    "no_change": "converged: the loss is expected to fall by no more than tol, "
    "relatively",
    "held_out": "converged: the score on held-out rows has not risen by tol / "
    "n_iter_no_change for n_iter_no_change times in succession",
    "scheduled": "the learning rate has decreased to zero, after max_iter epochs",
    "noise": "converged: on new draws of the noise, the loss falls by no more than tol",
    "dictionary": "converged: the dictionary changed by no more than tol",
}
# What may be raised where training ended too soon.
LIMITS = ("max_iter", "max_fun")
