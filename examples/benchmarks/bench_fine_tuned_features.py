"""One layer of 1000 units, pre-trained in five ways and fine-tuned, on MNIST.

The table of Rifai et al. (2011): plain, weight-decay, denoising (masking and Gaussian)
and contractive autoencoders with tied weights, logistic units and outputs and log
loss, each with a softmax on top and then fine-tuned as a whole. A tenth of the
training rows is held out; the weights that do best on it are kept. Printed is the
error on the 10,000 test images, mean and standard error over the seeds. The
hyperparameters are those that ``bench_robust_features.py`` chose on training rows set
aside, at its smaller size; "none" is the same network without pre-training.

Rifai et al., "Contractive auto-encoders: explicit invariance during feature
extraction", ICML 2011, table 1.
"""

import time

import numpy as np
from _common import Table, not_converged, parse_arguments, print_header
from _images import mnist_images
from bench_robust_features import autoencoder

from skae import StackedAutoencoderClassifier

STRENGTHS = {
    "plain": 0.0,
    "weight decay": 0.03,
    "masking": 0.25,
    "gaussian": 0.5,
    "contractive": 0.5,
}
PUBLISHED = {
    "plain": 1.78,
    "weight decay": 1.68,
    "masking": 1.57,
    "gaussian": 1.18,
    "contractive": 1.14,
}


def stack(layer, units, epochs, rate, seed):
    return StackedAutoencoderClassifier(
        units,
        autoencoder=layer,
        solver="adam",
        alpha=0.0,
        max_iter=epochs,
        learning_rate="linear",
        learning_rate_init=rate,
        early_stopping=True,
        n_iter_no_change=epochs,
        random_state=seed,
    )


def main():
    arguments = parse_arguments(__doc__, seeds=3, layer=6, epochs=12, rate=5e-4)
    n_rows, n_test, units, n_seeds = 60_000, 10_000, 1000, arguments.seeds
    layer_epochs, epochs = arguments.layer, arguments.epochs
    if arguments.quick:
        n_rows, n_test, units, n_seeds, layer_epochs, epochs = 2000, 1000, 50, 2, 2, 2
    images = mnist_images(arguments.data, n_rows, n_test)
    print_header(
        f"{units} units, {layer_epochs} epochs of pre-training and {epochs} of "
        f"fine-tuning, {n_rows} rows, {n_seeds} seeds"
    )
    table = Table("pre-training", "strength", "test error %", "±", "published", "fit s")
    means = {}
    for name, strength in [*STRENGTHS.items(), ("none", 0.0)]:
        errors, seconds = [], []
        for seed in range(n_seeds):
            layer = None
            if name != "none":
                layer = autoencoder(
                    name,
                    strength,
                    solver="adam",
                    learning_rate="linear",
                    max_iter=layer_epochs,
                )
            began = time.perf_counter()
            with not_converged():
                model = stack(layer, units, epochs, arguments.rate, seed)
                model.fit(images.X_train, images.y_train)
            seconds.append(time.perf_counter() - began)
            errors.append(100 - 100 * model.score(images.X_test, images.y_test))
        means[name] = np.mean(errors)
        spread = np.std(errors, ddof=1) / n_seeds**0.5 if n_seeds > 1 else 0.0
        table.row(
            name,
            strength,
            f"{means[name]:.2f}",
            f"{spread:.2f}",
            PUBLISHED.get(name, "-"),
            float(np.mean(seconds)),
        )
    print(f"\norder found:     {' < '.join(sorted(means, key=means.get))}")
    print(f"order published: {' < '.join(sorted(PUBLISHED, key=PUBLISHED.get))}")


if __name__ == "__main__":
    main()
