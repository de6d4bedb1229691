"""How training ended, in words: what its solver says, and what training itself adds."""

from skae.solvers import MESSAGES as OF_SOLVERS

MESSAGES: dict[str, str] = {
    **OF_SOLVERS,
    "held_out": "converged: the score on held-out rows has not risen by tol, "
    "n_iter_no_change times over",
    "scheduled": "the learning rate has fallen to its end, after max_iter epochs",
    "noise": "converged: no lower loss on noise drawn afresh, five times over",
}
