"""Autoencoders beside scikit-learn's ways to represent rows, at equal dimension.

Five data sets that come with scikit-learn; features in [0, 1] (``MinMaxScaler``, which
NMF and BernoulliRBM need). Every method is given the same number of components and
otherwise its defaults: nothing is tuned, for anyone. MLPRegressor is trained on (X, X)
and gives the activations of its hidden layer.

* accuracy: of a logistic regression on the standardised codes, mean over three folds;
  scaler, representation and classifier are fitted on two folds each time.
* fit s: seconds to fit the representation to two folds, median of the folds. One
  thread.
* codes: sparsity of the codes of the third fold by Hoyer's measure, the mean over rows
  of (√k − ‖h‖₁/‖h‖₂)/(√k − 1): 1 where one code is not zero, 0 where all have one size.
* weights: fraction of ``components_`` (for MLPRegressor, of its first layer) that is
  exactly zero.

A star marks fits that stopped at their limit of iterations. "photographs" are patches
of 8 x 8 grey pixels of the two photographs that scikit-learn has, and the class is
which of the two. ``--only NAME`` takes one data set.

P. O. Hoyer, "Non-negative matrix factorization with sparseness constraints", Journal of
Machine Learning Research 5, 2004.
"""

import warnings
from functools import partial
from statistics import mean, median

import numpy as np
from _common import Table, blas_threads, parse_arguments, print_header, seconds
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_sample_image,
    load_wine,
)
from sklearn.decomposition import (
    NMF,
    PCA,
    DictionaryLearning,
    FastICA,
    MiniBatchDictionaryLearning,
    MiniBatchSparsePCA,
    SparsePCA,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import BernoulliRBM, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
)


class MLPCodes(TransformerMixin, BaseEstimator):
    """The hidden layer of an MLPRegressor that was trained on (X, X)."""

    def __init__(self, n_components):
        self.n_components = n_components

    def fit(self, X, y=None):
        self.mlp_ = MLPRegressor(
            hidden_layer_sizes=(self.n_components,), random_state=0
        ).fit(X, X)
        self.components_ = self.mlp_.coefs_[0].T
        return self

    def transform(self, X):
        return np.maximum(X @ self.mlp_.coefs_[0] + self.mlp_.intercepts_[0], 0)


def methods(k):
    """Name -> unfitted transformer with ``k`` components."""
    seed = {"random_state": 0}
    return {
        "features as they are": FunctionTransformer(),
        "PCA": PCA(k, **seed),
        "SparsePCA": SparsePCA(k, **seed),
        "MiniBatchSparsePCA": MiniBatchSparsePCA(k, **seed),
        "NMF": NMF(k, **seed),
        "FastICA": FastICA(k, **seed),
        "BernoulliRBM": BernoulliRBM(k, **seed),
        "DictionaryLearning": DictionaryLearning(k, **seed),
        "MiniBatchDictionaryLearning": MiniBatchDictionaryLearning(k, **seed),
        "MLPRegressor": MLPCodes(k),
        "SparseAutoencoder": SparseAutoencoder(k, **seed),
        "  with sparsity=None": SparseAutoencoder(k, sparsity=None, **seed),
        "DenoisingAutoencoder": DenoisingAutoencoder(k, **seed),
        "ContractiveAutoencoder": ContractiveAutoencoder(k, **seed),
        "SparseCoding": SparseCoding(k, **seed),
    }


# A minute and more for one fit where there are many rows: left out there.
SLOW = {"DictionaryLearning", "SparsePCA"}
# Beyond as many components as features: those to which that makes sense, in seconds.
OVERCOMPLETE = {
    "features as they are",
    "BernoulliRBM",
    "MLPRegressor",
    "SparseAutoencoder",
}


def photographs(n_patches):
    """Patches of 8 x 8 grey pixels, and which photograph each is from."""
    images = [load_sample_image(f"{name}.jpg") for name in ("china", "flower")]
    patches = [
        extract_patches_2d(
            image.mean(axis=2), (8, 8), max_patches=n_patches // 2, random_state=0
        )
        for image in images
    ]
    X = np.concatenate(patches).reshape(-1, 64)
    return X, np.repeat([0, 1], len(X) // 2)


def tasks(quick):
    """(name, X, y, numbers of components) of each data set."""
    yield "iris", *load_iris(return_X_y=True), [2]
    yield "wine", *load_wine(return_X_y=True), [4]
    yield "breast cancer", *load_breast_cancer(return_X_y=True), [6]
    X, y = load_digits(return_X_y=True)
    if quick:
        X, y = X[:300], y[:300]
    yield "digits", X, y, [16] if quick else [16, 64, 256]
    yield "photographs", *photographs(200 if quick else 2000), [25]


def hoyer(codes):
    """Mean sparsity of the rows; rows of zeros are left out."""
    lengths = np.linalg.norm(codes, axis=1)
    rows, lengths = codes[lengths > 0], lengths[lengths > 0]
    root = codes.shape[1] ** 0.5
    return float(np.mean((root - np.abs(rows).sum(axis=1) / lengths) / (root - 1)))


def judge(model, X, y):
    """Accuracy, seconds, sparsity of codes and weights, and whether a limit was met."""
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    accuracies, times, codes, weights, cut = [], [], [], [], False
    for train, test in folds.split(X, y):
        scaler = MinMaxScaler(clip=True).fit(X[train])
        X_train, X_test = scaler.transform(X[train]), scaler.transform(X[test])
        fitted = clone(model)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            times.append(seconds(partial(fitted.fit, X_train)))
            cut |= any(issubclass(w.category, ConvergenceWarning) for w in caught)
            codes_train, codes_test = map(fitted.transform, (X_train, X_test))
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        classifier.fit(codes_train, y[train])
        accuracies.append(classifier.score(codes_test, y[test]))
        codes.append(hoyer(codes_test))
        components = getattr(fitted, "components_", None)
        weights.append(np.nan if components is None else np.mean(components == 0))
    return mean(accuracies), median(times), mean(codes), mean(weights), cut


def compare(name, X, y, k, quick):
    """Print the table of one data set and one number of components."""
    print(f"\n{name}: {len(X)} rows, {X.shape[1]} features, {k} components")
    table = Table(" " * 27, "accuracy", "fit s", "codes", "weights")
    many = quick or len(X) * k > 20_000
    for method, model in methods(k).items():
        if many and method in SLOW:
            continue
        if k > X.shape[1] and method not in OVERCOMPLETE:
            continue
        accuracy, fit, codes, weights, cut = judge(model, X, y)
        table.row(
            method,
            f"{accuracy:.3f}",
            f"{fit:.3f}{'*' if cut else ' '}",
            f"{codes:.2f}",
            "-" if np.isnan(weights) else f"{weights:.2f}",
        )


def main():
    arguments = parse_arguments(__doc__, only="")
    print_header("Representations at equal dimension, all at their defaults")
    with blas_threads(1):
        for name, X, y, sizes in tasks(arguments.quick):
            for k in sizes if arguments.only in name else ():
                compare(name, X, y, k, arguments.quick)


if __name__ == "__main__":
    main()
