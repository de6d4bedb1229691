"""What pre-training is worth where few rows have a label, on MNIST.

Of all training images, 100, 300 or 1,000 (as many of each digit) keep their label;
the others are given as ``X_unlabeled``. Test error in %, mean and standard error over
the seeds, which choose the labelled rows and the starting weights. Beside the stack
with and without pre-training stand scikit-learn's ``MLPClassifier`` of the same size
and ``SelfTrainingClassifier`` around it, which may use the unlabelled rows too, of
which it gets the first 10,000.

The stacks are fine-tuned with the default weight decay; nothing is chosen by the
test images.
"""

import time

import numpy as np
from _common import Table, not_converged, parse_arguments, print_header
from _images import mnist_images
from sklearn.neural_network import MLPClassifier
from sklearn.semi_supervised import SelfTrainingClassifier

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    StackedAutoencoderClassifier,
)

LABELS = (100, 300, 1000)


def labelled(y, n, seed):
    """Indices of n rows, as many of each digit."""
    rng = np.random.RandomState(seed)
    return np.concatenate(
        [rng.choice(np.flatnonzero(y == digit), n // 10, False) for digit in range(10)]
    )


def methods(sizes, epochs, seed):
    """By name: unfitted models, and whether they take unlabelled rows."""
    by_adam = {
        "solver": "adam",
        "max_iter": epochs,
        "output_activation": "logistic",
        "loss": "log_loss",
        "tied_weights": True,
        "alpha": 0.0,
    }
    stack = StackedAutoencoderClassifier(sizes, autoencoder=None, random_state=seed)
    denoising = DenoisingAutoencoder(corruption_level=0.3, **by_adam)
    contractive = ContractiveAutoencoder(contraction_weight=0.1, **by_adam)
    mlp = MLPClassifier(sizes, max_iter=500, random_state=seed)
    return {
        "stack, no pre-training": stack,
        "stack, denoising": StackedAutoencoderClassifier(
            sizes, autoencoder=denoising, random_state=seed
        ),
        "stack, contractive": StackedAutoencoderClassifier(
            sizes, autoencoder=contractive, random_state=seed
        ),
        "MLPClassifier": mlp,
        "SelfTrainingClassifier": SelfTrainingClassifier(mlp, threshold=0.95),
    }


def fit(model, X, y, rows):
    """Fit to the labelled rows and, as far as the model can, to the others."""
    others = np.setdiff1d(np.arange(len(X)), rows)
    if isinstance(model, SelfTrainingClassifier):
        others = others[:10_000]
        partly = np.concatenate([y[rows], np.full(len(others), -1)])
        return model.fit(np.concatenate([X[rows], X[others]]), partly)
    if getattr(model, "autoencoder", None) is None:
        return model.fit(X[rows], y[rows])
    return model.fit(X[rows], y[rows], X_unlabeled=X[others])


def main():
    arguments = parse_arguments(__doc__, seeds=5, units=500, layers=1, epochs=10)
    n_rows, n_test, n_seeds = 60_000, 10_000, arguments.seeds
    sizes, epochs = (arguments.units,) * arguments.layers, arguments.epochs
    if arguments.quick:
        n_rows, n_test, n_seeds, sizes, epochs = 2_000, 1_000, 2, (50,), 2
    images = mnist_images(arguments.data, n_rows, n_test)
    print_header(
        f"Few labels among {n_rows} rows, hidden layers {sizes}, {epochs} epochs of "
        f"pre-training, {n_seeds} seeds"
    )
    names = methods(sizes, epochs, 0)
    errors = {(name, n): [] for name in names for n in LABELS}
    seconds = dict.fromkeys(names, 0.0)
    for n in LABELS:
        for seed in range(n_seeds):
            rows = labelled(images.y_train, n, seed)
            for name, model in methods(sizes, epochs, seed).items():
                began = time.perf_counter()
                with not_converged():
                    fit(model, images.X_train, images.y_train, rows)
                seconds[name] += time.perf_counter() - began
                error = 100 - 100 * model.score(images.X_test, images.y_test)
                errors[name, n].append(error)
    table = Table("test error %", *(f"{n} labels" for n in LABELS), "fit s")
    for name in names:
        cells = []
        for n in LABELS:
            of = errors[name, n]
            spread = np.std(of, ddof=1) / len(of) ** 0.5
            cells.append(f"{np.mean(of):.2f}±{spread:.2f}")
        table.row(name, *cells, seconds[name] / (len(LABELS) * n_seeds))


if __name__ == "__main__":
    main()
