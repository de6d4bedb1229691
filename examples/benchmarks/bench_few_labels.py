"""What pre-training is worth where few rows have a label, on MNIST.

Of all training images, 100, 300 or 1,000 (as many of each digit) keep their label;
the others are given as ``X_unlabeled``. Test error in %, mean and standard error over
the seeds, which choose the labelled rows and the starting weights. Beside the stack
with and without pre-training stand scikit-learn's ``MLPClassifier`` of the same size
and ``SelfTrainingClassifier`` around it, which may use the unlabelled rows too, of
which it gets 2,000, for three rounds.

A full fine-tuning on so few rows forgets what the others taught, so the pre-trained
stacks are drawn towards their pre-trained weights, not towards zero (decay="start").
Its strength and the noise and contraction were chosen on 20,000 training rows, by the
accuracy on training rows without a label; nothing is chosen by the test images.
"""

import time
from collections import defaultdict
from copy import deepcopy

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
NOISE, CONTRACTION, ALPHA = 0.3, 3.0, 1e-3


def labelled(y, n, seed):
    """Indices of n rows, as many of each digit."""
    rng = np.random.RandomState(seed)
    return np.concatenate(
        [rng.choice(np.flatnonzero(y == digit), n // 10, False) for digit in range(10)]
    )


def stack(sizes, seed, **options):
    return StackedAutoencoderClassifier(sizes, random_state=seed, **options)


def pretrained(X, y, autoencoder, sizes, seed):
    """A stack pre-trained on all rows, to be fine-tuned on any that have a label."""
    model = stack(sizes, seed, autoencoder=autoencoder, fine_tune=False)
    rows = labelled(y, 100, seed)
    others = np.setdiff1d(np.arange(len(X)), rows)
    with not_converged():
        model.fit(X[rows], y[rows], X_unlabeled=X[others])
    return model.set_params(fine_tune=True, warm_start=True, decay="start", alpha=ALPHA)


def stacks(images, sizes, epochs, seed):
    """By name: stacks, pre-trained or not, and the seconds that took."""
    by_adam = {
        "solver": "adam",
        "learning_rate": "linear",
        "learning_rate_init": 1e-3,
        "batch_size": 100,
        "max_iter": epochs,
        "output_activation": "logistic",
        "loss": "log_loss",
        "tied_weights": True,
        "alpha": 0.0,
    }
    found = {"stack, no pre-training": (stack(sizes, seed, autoencoder=None), 0.0)}
    for name, autoencoder in {
        "stack, denoising": DenoisingAutoencoder(
            corruption="masking", corruption_level=NOISE, **by_adam
        ),
        "stack, contractive": ContractiveAutoencoder(
            contraction_weight=CONTRACTION, **by_adam
        ),
    }.items():
        began = time.perf_counter()
        model = pretrained(images.X_train, images.y_train, autoencoder, sizes, seed)
        found[name] = model, time.perf_counter() - began
    return found


def others(sizes, seed):
    """scikit-learn's."""
    mlp = MLPClassifier(sizes, max_iter=500, random_state=seed)
    return {
        "MLPClassifier": (mlp, 0.0),
        "SelfTrainingClassifier": (
            SelfTrainingClassifier(mlp, threshold=0.95, max_iter=3),
            0.0,
        ),
    }


def fit(model, X, y, rows):
    """Fit to the labelled rows and, if that is its way, to some of the others."""
    if not isinstance(model, SelfTrainingClassifier):
        return model.fit(X[rows], y[rows])
    rest = np.setdiff1d(np.arange(len(X)), rows)[:2_000]
    partly = np.concatenate([y[rows], np.full(len(rest), -1)])
    return model.fit(np.concatenate([X[rows], X[rest]]), partly)


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
    errors, seconds = defaultdict(list), defaultdict(float)
    for seed in range(n_seeds):
        models = stacks(images, sizes, epochs, seed) | others(sizes, seed)
        for name, (_, took) in models.items():
            seconds[name] += took
        for n in LABELS:
            rows = labelled(images.y_train, n, seed)
            for name, (model, _) in models.items():
                model = deepcopy(model)
                began = time.perf_counter()
                with not_converged():
                    fit(model, images.X_train, images.y_train, rows)
                seconds[name] += time.perf_counter() - began
                error = 100 - 100 * model.score(images.X_test, images.y_test)
                errors[name, n].append(error)
    table = Table("test error %", *(f"{n} labels" for n in LABELS), "all fits s")
    for name in seconds:
        cells = []
        for n in LABELS:
            of = errors[name, n]
            spread = np.std(of, ddof=1) / len(of) ** 0.5
            cells.append(f"{np.mean(of):.2f}±{spread:.2f}")
        table.row(name, *cells, seconds[name] / n_seeds)


if __name__ == "__main__":
    main()
