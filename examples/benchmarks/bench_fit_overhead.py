"""Time outside the objective in a whole fit.

A fit is its evaluations of loss and gradient, which bench_evaluation.py measures,
and the rest: checking X, its moments, the random start, the solver's vectors, the
change of coordinates, the mean codes at the end.

Every evaluation within `fit` is timed, and what is not inside one is outside.
"before" is the part before the first evaluation, and "an iteration" what is left of
it for each iteration. The share is the median over several fits.
"""

import time
from functools import partial
from statistics import median

from _common import (
    DTYPES,
    Table,
    cases,
    not_converged,
    parse_arguments,
    print_header,
    watched_fit,
)

from skae import SparseAutoencoder

ITERATIONS = {"digits": 400, "64-25": 200, "784-196": 100}


def watch(model, X):
    """Fit, and return a Watch and the seconds the whole fit took."""
    with watched_fit() as watch:
        model.fit(X)
        return watch, time.perf_counter() - watch.started


def main():
    arguments = parse_arguments(__doc__)
    print_header("Time outside the objective in a fit")
    repeats = 2 if arguments.quick else 5
    table = Table(
        "rows x features, hidden",
        "dtype",
        "iterations",
        "evaluations",
        "fit s",
        "before ms",
        "an iteration ms",
        "outside",
    )
    for name, case in cases(arguments).items():
        for dtype in DTYPES:
            X = case.rows(dtype)
            make = partial(SparseAutoencoder, case.n_components, tol=0, random_state=0)
            iterations = 10 if arguments.quick else ITERATIONS[name]
            with not_converged():
                make(max_iter=3).fit(X)
                model = make(max_iter=iterations)
                fits = [watch(model, X) for _ in range(repeats)]
            outside = median(1 - fit.inside / total for fit, total in fits)
            rest = median(total - fit.inside - fit.first for fit, total in fits)
            table.row(
                case.name,
                dtype,
                model.n_iter_,
                len(fits[0][0].curve),
                median(total for _, total in fits),
                1e3 * median(fit.first for fit, _ in fits),
                1e3 * rest / model.n_iter_,
                f"{100 * outside:.1f} %",
            )


if __name__ == "__main__":
    main()
