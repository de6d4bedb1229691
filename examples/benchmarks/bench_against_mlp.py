"""A whole fit against scikit-learn's MLPRegressor trained on (X, X).

The same network (logistic codes, linear outputs, no sparsity, the same weight
decay), the same number of L-BFGS iterations, the same dtype.

skae runs as it is out of the box. MLPRegressor runs as it is out of the box too
("all" threads), and with BLAS limited to one thread ("1"), which can be faster for
it: its SciPy brings a BLAS of its own, whose threads and NumPy's fight for the
cores. Both pay for checking X and for drawing the start; neither pays for its
first use of a library.

What is the same and what is not: MLPRegressor divides its ``alpha`` by n, so ours
is alpha / n. Each draws its own random start. With several outputs MLPRegressor's
loss is a mean over them while its gradient is that of the sum, which may cost it
evaluations in the line search; so the evaluations are printed, and the ratio of the
times of one evaluation beside that of the fits, and the fraction of variance
explained that either reached.
"""

from statistics import median
from unittest.mock import patch

import scipy.optimize
from _common import (
    DTYPES,
    Table,
    all_threads,
    blas_threads,
    cases,
    median_ratio,
    not_converged,
    parse_arguments,
    print_header,
    time_in_turns,
    watched_fit,
)
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPRegressor

from skae import SparseAutoencoder

ITERATIONS = {"digits": 200, "64-25": 100, "784-196": 50}
ALPHA = 1e-4  # MLPRegressor's default


def ours(X, n_components, max_iter):
    """An autoencoder that stops at ``max_iter`` only."""
    return SparseAutoencoder(
        n_components,
        sparsity=None,
        alpha=ALPHA / len(X),
        max_iter=max_iter,
        tol=0,
        random_state=0,
    )


def theirs(n_components, max_iter):
    """The same network, as far as the constructor can say."""
    return MLPRegressor(
        hidden_layer_sizes=(n_components,),
        activation="logistic",
        solver="lbfgs",
        alpha=ALPHA,
        max_iter=max_iter,
        max_fun=100 * max_iter,
        tol=0,
        random_state=0,
    )


def limited(mlp, X, n_threads):
    """A fit of ``mlp`` with so many BLAS threads, as a function of nothing."""

    def fit():
        with blas_threads(n_threads):
            mlp.fit(X, X)

    return fit


def evaluations(fit):
    """Evaluations of the objective in one call of MLPRegressor's ``fit``."""
    outcomes = []
    minimize = scipy.optimize.minimize

    def spy(*args, **kwargs):
        outcomes.append(minimize(*args, **kwargs))
        return outcomes[-1]

    with patch("scipy.optimize.minimize", spy):
        fit()
    return outcomes[0].nfev


def compare(table, case, dtype, max_iter, repeats):
    """Fit both, in turns, and print a row for each thread setting."""
    X, k = case.rows(dtype), case.n_components
    model, mlp = ours(X, k, max_iter), theirs(k, max_iter)
    fits = {n: limited(mlp, X, n) for n in sorted({1, all_threads()})}
    nfev = {n: evaluations(fit) for n, fit in fits.items()}  # warms up as well
    with watched_fit() as watch:
        model.fit(X)
    ours_nfev = len(watch.curve)
    times = time_in_turns({"skae": lambda: model.fit(X), **fits}, repeats)
    mlp_score = r2_score(X, mlp.predict(X), multioutput="variance_weighted")
    for n_threads in fits:
        ratio = median_ratio(times[n_threads], times["skae"])
        per_iteration = ratio * model.n_iter_ / mlp.n_iter_
        table.row(
            case.name,
            dtype,
            "all" if n_threads == all_threads() else n_threads,
            median(times["skae"]),
            median(times[n_threads]),
            f"{model.n_iter_}/{mlp.n_iter_}",
            f"{ours_nfev}/{nfev[n_threads]}",
            f"{model.score(X):.3f}/{mlp_score:.3f}",
            ratio * ours_nfev / nfev[n_threads],
            per_iteration,
        )


def main():
    arguments = parse_arguments(__doc__)
    print_header("Whole fits against MLPRegressor(solver='lbfgs')")
    table = Table(
        "rows x features, hidden",
        "dtype",
        "MLP threads",
        "skae s",
        "MLP s",
        "iterations",
        "evaluations",
        "R2 skae/MLP",
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
