"""What weights of exactly zero cost, and what is lost with them.

First, the digits: 1297 to train on, 500 to judge by. For each alpha with
``l1_ratio=1`` the fraction of weights that are zero (encoder, decoder), the accuracy
of a logistic regression on the standardised codes, the fraction of the variance that
the reconstruction explains, and the seconds of the fit. Beside it scikit-learn's
SparsePCA and MiniBatchSparsePCA of as many components, whose ``components_`` are the
sparse loadings: compare rows with about as many zeros.

Second, a whole fit with ``l1_ratio=1`` over one with 0, of equally many iterations:
seconds per iteration and seconds per evaluation of the objective. The fits are timed
in turns, the ratio is the median of the repetitions' ratios.
"""

import numpy as np
from _common import (
    DTYPES,
    Table,
    cases,
    in_turns,
    median_ratio,
    not_converged,
    parse_arguments,
    print_header,
    seconds,
    watched_fit,
)
from sklearn.datasets import load_digits
from sklearn.decomposition import MiniBatchSparsePCA, SparsePCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import SparseAutoencoder

COMPONENTS = 32
ALPHAS = {
    "autoencoder": (1e-4, 2e-4, 4e-4, 8e-4, 1.5e-3, 2.5e-3),
    "SparsePCA": (0.1, 0.3, 1.0, 2.0),
    "MiniBatchSparsePCA": (0.1, 0.3, 1.0, 2.0),
}


def model(name, alpha):
    """An unfitted model of that name and penalty."""
    if name == "autoencoder":
        return SparseAutoencoder(COMPONENTS, alpha=alpha, l1_ratio=1, random_state=0)
    kind = {"SparsePCA": SparsePCA, "MiniBatchSparsePCA": MiniBatchSparsePCA}[name]
    return kind(COMPONENTS, alpha=alpha, max_iter=100, random_state=0)


def zeros(fitted):
    """Fractions of zeros of encoder and decoder, as text."""
    decoder = getattr(fitted, "decoder_components_", None)
    found = [np.mean(fitted.components_ == 0)]
    if decoder is not None:
        found.append(np.mean(decoder == 0))
    return ", ".join(f"{fraction:.2f}" for fraction in found)


def explained(fitted, X):
    """Fraction of the variance of X that its reconstruction explains."""
    residual = X - fitted.inverse_transform(fitted.transform(X))
    return 1 - (residual**2).sum() / ((X - X.mean(axis=0)) ** 2).sum()


def path(quick):
    """Print a row for each model and alpha."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, test_size=500, stratify=y, random_state=0
    )
    table = Table("model", "alpha", "zeros", "accuracy", "R2", "seconds")
    for name, alphas in ALPHAS.items():
        for alpha in alphas[:1] if quick else alphas:
            fitted = model(name, alpha)
            time = seconds(lambda fitted=fitted: fitted.fit(X_train))
            classifier = make_pipeline(
                StandardScaler(), LogisticRegression(max_iter=5000)
            ).fit(fitted.transform(X_train), y_train)
            accuracy = classifier.score(fitted.transform(X_test), y_test)
            row = (zeros(fitted), accuracy, explained(fitted, X_test), time)
            table.row(name, alpha, *row)
    print(flush=True)


def cost(arguments):
    """Print a row for each size and dtype."""
    n_iter = 10 if arguments.quick else arguments.iterations
    table = Table("seconds, l1 over plain", "dtype", "iteration", "evaluation")

    def fit(X, n_components, l1_ratio):
        autoencoder = SparseAutoencoder(
            n_components, l1_ratio=l1_ratio, max_iter=n_iter, tol=0, random_state=0
        )
        with watched_fit() as watch:
            time = seconds(lambda: autoencoder.fit(X))
        return time / autoencoder.n_iter_, time / len(watch.curve)

    for case in cases(arguments).values():
        for dtype in DTYPES:
            X = case.rows(dtype)
            tasks = {
                r: (lambda r=r, X=X, k=case.n_components: fit(X, k, r)) for r in (0, 1)
            }
            results = in_turns(tasks, 2 if arguments.quick else arguments.repeats)
            plain, l1 = (list(zip(*results[r], strict=True)) for r in (0, 1))
            iteration, evaluation = map(median_ratio, l1, plain)
            table.row(case.name, dtype, iteration, evaluation)


def main():
    arguments = parse_arguments(__doc__, repeats=5, iterations=50)
    print_header("Weights of exactly zero")
    with not_converged():
        path(arguments.quick)
        cost(arguments)


if __name__ == "__main__":
    main()
