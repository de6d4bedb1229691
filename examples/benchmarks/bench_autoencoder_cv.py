"""AutoencoderCV beside GridSearchCV: the value chosen, and CPU seconds.

Ten values of ``sparsity_weight`` in five folds, judged by a linear model of the codes
that is fitted in no time, and the best one fitted to all rows. GridSearchCV fits each
value from random weights, AutoencoderCV goes along a path. "picks" are the multiples of
"scale" that were chosen. "scores" are those of GridSearchCV's best, with its standard
error, and of AutoencoderCV's best along its paths, by which it is fitted to all rows in
the end; "within" says whether that is no more than the error below. "from scratch" is
the score that GridSearchCV found for AutoencoderCV's choice. "share" is AutoencoderCV's
CPU seconds by GridSearchCV's, in one thread, the models downstream included. "same
bits" is whether two processes give the same scores and codes as one. ``--only NAME``
takes one data set.
"""

import time
import warnings

import numpy as np
from _common import Table, blas_threads, parse_arguments, print_header
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_sample_image,
    load_wine,
)
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderCV, SparseAutoencoder


def photographs(n_patches):
    """Patches of 8 x 8 grey pixels, and which of two photographs each is from."""
    patches = [
        extract_patches_2d(
            load_sample_image(f"{name}.jpg").mean(axis=2),
            (8, 8),
            max_patches=n_patches // 2,
            random_state=0,
        )
        for name in ("china", "flower")
    ]
    X = np.concatenate(patches).reshape(-1, 64)
    return X, np.repeat([0, 1], len(X) // 2)


def problems():
    """(name, X, y, components, model downstream) of each data set."""
    classifier = RidgeClassifier()
    yield "wine", *load_wine(return_X_y=True), 26, classifier
    yield "breast cancer", *load_breast_cancer(return_X_y=True), 30, classifier
    yield "diabetes", *load_diabetes(return_X_y=True), 20, Ridge()
    yield "photographs", *photographs(500), 64, classifier
    X, y = load_digits(return_X_y=True)
    yield "digits", X[:600], y[:600], 64, classifier


def cpu(task):
    """CPU seconds of ``task()``, and what it returns."""
    began = time.process_time()
    result = task()
    return time.process_time() - began, result


def judge(table, name, X, y, k, model, n):
    """A row of the table."""
    kind = KFold if isinstance(model, Ridge) else StratifiedKFold
    cv = kind(5, shuffle=True, random_state=0)
    autoencoder = SparseAutoencoder(k, random_state=0)
    search = AutoencoderCV(autoencoder, param_range=n, cv=cv, downstream=model)
    of_path, path = cpu(lambda: search.fit(X, y))
    parameter = "sparseautoencoder__sparsity_weight"
    grid = GridSearchCV(
        make_pipeline(autoencoder, model), {parameter: path.param_range_}, cv=cv
    )
    of_grid, grid = cpu(lambda: grid.fit(X, y))
    scores = grid.cv_results_["mean_test_score"]
    error = grid.cv_results_["std_test_score"][grid.best_index_] / np.sqrt(4)
    codes = path.transform(X).tobytes()
    again = search.set_params(n_jobs=2)
    single = path.score_path_.tobytes()
    same = again.fit(X, y).score_path_.tobytes() == single
    same &= again.transform(X).tobytes() == codes
    ours, best = scores[path.best_index_], grid.best_score_
    table.row(
        f"{name}, {X.shape[1]}-{k}",
        f"{grid.best_params_[parameter][1]:.3g} {path.best_value_[1]:.3g}",
        f"{best:.4f} ± {error:.4f}, {path.best_score_:.4f}",
        "yes" if path.best_score_ >= best - error else "no",
        f"{ours:.4f}",
        *(f"{of_grid:.1f}", f"{of_path:.1f}", f"{of_path / of_grid:.2f}"),
        "yes" if same else "no",
    )


def main():
    arguments = parse_arguments(__doc__, only="")
    print_header("AutoencoderCV beside GridSearchCV")
    table = Table(
        *("data", "picks       ", "scores: grid, path" + " " * 8, "within"),
        *("from scratch", "grid s", "path s", "share", "same bits"),
    )
    with warnings.catch_warnings(), blas_threads(1):
        warnings.simplefilter("ignore")
        for name, X, y, k, model in problems():
            if arguments.only in name:
                X = StandardScaler().fit_transform(X)
                rows = slice(None, None, 5 if arguments.quick else 1)
                n = 3 if arguments.quick else 10
                judge(table, name, X[rows], y[rows], k, model, n)


if __name__ == "__main__":
    main()
