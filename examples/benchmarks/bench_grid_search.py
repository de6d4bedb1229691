"""A 3 x 3 x 5-fold grid search against the same search over MLPRegressor.

Over ``sparsity_target`` and ``sparsity_weight`` of SparseAutoencoder on digits with
25 hidden units, scored by the variance explained, so without labels; and over
``alpha`` and ``random_state`` of MLPRegressor on (X, X), scored by R²: as many fits
of the same network, each with the same number of L-BFGS iterations. Neither refits.

Both run as they are out of the box. With one job MLPRegressor is measured with one
BLAS thread as well ("1"), which can be faster for it; with two jobs joblib gives
each worker its share of the cores. Before that, a small search of either kind has
started the workers and loaded what they need.

"iterations" is the median over a fit of each candidate on all rows: it says whether
the fits were of the same length.
"""

import os
from itertools import product
from statistics import median

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
)
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.neural_network import MLPRegressor

from skae import SparseAutoencoder

N_COMPONENTS = 25


def ours(max_iter):
    """The autoencoder, and the parameters to search over."""
    model = SparseAutoencoder(N_COMPONENTS, max_iter=max_iter, tol=0, random_state=0)
    return model, {
        "sparsity_target": [0.05, 0.1, 0.2],
        "sparsity_weight": [0.03, 0.1, 0.3],
    }


def theirs(max_iter):
    """The same network, and the parameters to search over."""
    model = MLPRegressor(
        hidden_layer_sizes=(N_COMPONENTS,),
        activation="logistic",
        solver="lbfgs",
        max_iter=max_iter,
        max_fun=100 * max_iter,
        tol=0,
    )
    return model, {"alpha": [1e-5, 1e-4, 1e-3], "random_state": [0, 1, 2]}


def search(make, X, max_iter, n_jobs, n_threads=None):
    """A whole search, as a function of nothing."""
    model, grid = make(max_iter)

    def fit():
        with blas_threads(n_threads):
            GridSearchCV(model, grid, n_jobs=n_jobs, cv=5, refit=False).fit(X, X)

    return fit


def iterations(make, X, max_iter):
    """Median iterations of the candidates, with one BLAS thread."""
    model, grid = make(max_iter)
    with blas_threads(1):
        fits = [clone(model).set_params(**c).fit(X, X) for c in ParameterGrid(grid)]
    return median(fit.n_iter_ for fit in fits)


def main():
    arguments = parse_arguments(__doc__)
    # Workers have warning filters of their own.
    os.environ["PYTHONWARNINGS"] = "ignore::UserWarning"
    print_header("Grid search against MLPRegressor(solver='lbfgs'), digits 64-25")
    max_iter = 10 if arguments.quick else 200
    repeats = 1 if arguments.quick else 3
    table = Table(
        "search",
        "dtype",
        "n_jobs",
        "MLP threads",
        "iterations",
        "skae s",
        "MLP s",
        "ratio",
    )
    arguments.cases = ["digits"]
    case = cases(arguments)["digits"]
    settings = [(1, 1), (1, None), (2, None)]
    for dtype, (n_jobs, n_threads) in product(DTYPES, settings):
        X = case.rows(dtype)
        with not_converged():
            for make in (ours, theirs):
                search(make, X, 3, n_jobs)()
            n_iter = [iterations(make, X, max_iter) for make in (ours, theirs)]
            times = time_in_turns(
                {
                    "skae": search(ours, X, max_iter, n_jobs),
                    "mlp": search(theirs, X, max_iter, n_jobs, n_threads),
                },
                repeats,
            )
        ratio = median_ratio(times["mlp"], times["skae"])
        table.row(
            "45 fits and their scores",
            dtype,
            n_jobs,
            n_threads or all_threads() // n_jobs,
            f"{n_iter[0]:g}/{n_iter[1]:g}",
            median(times["skae"]),
            median(times["mlp"]),
            ratio,
        )


if __name__ == "__main__":
    main()
