"""A whole fit against the textbook: whole-array NumPy under SciPy's L-BFGS-B.

The same objective (Kullback-Leibler penalty included), the same start, the same
number of iterations and of stored corrections.

``textbook`` below is what one writes from the formulas: whole arrays, a temporary
for every operation, scipy.special.expit. SciPy's L-BFGS-B works in float64; where
X is float32 the objective casts the parameters down and SciPy the gradient up, so
that the products run in float32 as ours do.

skae runs as it is out of the box. The textbook runs as it is out of the box too
("all" threads), and with BLAS limited to one thread ("1"), which can be faster for
it: SciPy brings a BLAS of its own, whose threads and NumPy's fight for the cores.
Our time is that of ``fit``, so it includes checking X and drawing the start.

"an iteration" is the ratio of the times of one iteration, "an evaluation" that of one
loss and gradient. "same loss" is the ratio of the seconds until the worse of the two
final losses was first seen, in one run of each: the two need not get equally far in
as many iterations, as skae's solver works in coordinates in which the data are
centred and have unit spread.
"""

from statistics import median

import numpy as np
from _common import (
    DTYPES,
    Curve,
    Table,
    Watch,
    all_threads,
    blas_threads,
    cases,
    median_ratio,
    not_converged,
    parse_arguments,
    print_header,
    time_in_turns,
    unpack,
    watched_fit,
)
from scipy.optimize import minimize
from scipy.special import expit

from skae import SparseAutoencoder

ITERATIONS = {"digits": 200, "64-25": 100, "784-196": 50}


def textbook(theta, X, k, alpha, rho, beta):
    """Loss and gradient of the sparse autoencoder."""
    n, d = X.shape
    W, b, D, c = unpack(theta.astype(X.dtype, copy=False), d, k)
    H = expit(X @ W.T + b)
    residual = H @ D + c - X
    rho_hat = H.mean(axis=0)
    kl = rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))
    decay = alpha / 2 * (np.sum(W**2) + np.sum(D**2))
    loss = np.sum(residual**2) / (2 * n) + decay + beta * np.sum(kl)

    slope = beta * (-rho / rho_hat + (1 - rho) / (1 - rho_hat))
    epsilon = (residual @ D.T + slope) * H * (1 - H)
    gradient = [
        (epsilon.T @ X / n + alpha * W).ravel(),
        epsilon.mean(axis=0),
        (H.T @ residual / n + alpha * D).ravel(),
        residual.mean(axis=0),
    ]
    return float(loss), np.concatenate(gradient)


def theirs(X, start, model, n_threads):
    """Minimise the textbook objective; returns SciPy's result and the curve."""
    arguments = (
        X,
        model.n_components,
        model.alpha,
        model.sparsity_target,
        model.sparsity_weight_,
    )
    limits = {
        "maxiter": model.max_iter,
        "maxfun": 100 * model.max_iter,
        "maxcor": 10,
        "ftol": 0,
        "gtol": 0,
    }
    watch = Watch()

    def objective(theta):
        loss, gradient = textbook(theta, *arguments)
        watch.stamp(loss)
        return loss, gradient

    with blas_threads(n_threads):
        outcome = minimize(
            objective, start, jac=True, method="L-BFGS-B", options=limits
        )
    return outcome, Curve(watch.curve)


def compare(table, case, dtype, max_iter, repeats):
    """Fit both, in turns, and print a row for each thread setting."""
    X = case.rows(dtype)
    model = SparseAutoencoder(
        case.n_components,
        alpha=1e-3,
        sparsity_target=0.05,
        max_iter=max_iter,
        tol=0,
        random_state=0,
    )
    model.fit(X)
    with watched_fit() as watch:
        model.fit(X)
    nfev, start = len(watch.curve), watch.start.astype(np.float64)
    first_loss = watch.curve[0][1]
    penalties = model.alpha, model.sparsity_target, model.sparsity_weight_
    same, _ = textbook(start, X, case.n_components, *penalties)
    np.testing.assert_allclose(same, first_loss, rtol=1e-4)

    settings = sorted({1, all_threads()})
    outcomes = {n: theirs(X, start, model, n) for n in settings}  # warms up as well
    tasks = {n: lambda n=n: theirs(X, start, model, n) for n in settings}
    tasks["skae"] = lambda: model.fit(X)
    times = time_in_turns(tasks, repeats)
    curve = Curve(watch.curve)
    for n_threads, (outcome, their_curve) in outcomes.items():
        level = max(curve.lowest[-1], their_curve.lowest[-1])
        same_loss = their_curve.reached(level)[1] / curve.reached(level)[1]
        ratio = median_ratio(times[n_threads], times["skae"])
        per_iteration = ratio * model.n_iter_ / outcome.nit
        table.row(
            case.name,
            dtype,
            "all" if n_threads == all_threads() else n_threads,
            median(times["skae"]),
            median(times[n_threads]),
            f"{model.n_iter_}/{outcome.nit}",
            f"{nfev}/{outcome.nfev}",
            f"{model.loss_:.4g}/{outcome.fun:.4g}",
            same_loss,
            ratio * nfev / outcome.nfev,
            per_iteration,
        )


def main():
    arguments = parse_arguments(__doc__)
    print_header("Whole fits against the textbook objective under SciPy's L-BFGS-B")
    table = Table(
        "rows x features, hidden",
        "dtype",
        "SciPy threads",
        "skae s",
        "SciPy s",
        "iterations",
        "evaluations",
        "loss skae/SciPy",
        "same loss",
        "an evaluation",
        "an iteration",
    )
    for name, case in cases(arguments).items():
        for dtype in DTYPES:
            with not_converged():
                compare(
                    table,
                    case,
                    dtype,
                    10 if arguments.quick else ITERATIONS[name],
                    2 if arguments.quick else 5,
                )


if __name__ == "__main__":
    main()
