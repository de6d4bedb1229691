"""Thirty codes of a digit: a deep autoencoder beside PCA, on MNIST.

784-1000-500-250-30 with linear codes, mirrored, pre-trained layer by layer and
fine-tuned by Adam. The error is the mean over the test images of the sum of squared
pixel errors. Hinton and Salakhutdinov (2006) report 3.00 for this net, and 13.87 for
PCA.

G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with neural
networks", Science 313, 2006.
"""

import time

from _common import Table, at_most, not_converged, parse_arguments, print_header
from _images import mean_squared_distance, mnist_images
from sklearn.decomposition import PCA

from skae import StackedAutoencoder


def deep(sizes, epochs, rate, seed):
    """Linear codes, logistic units elsewhere, squared error."""
    return StackedAutoencoder(
        sizes,
        autoencoder="sparse",
        code_activation="identity",
        output_activation="logistic",
        solver="adam",
        max_iter=epochs,
        learning_rate_init=rate,
        batch_size=200,
        alpha=0.0,
        early_stopping=True,
        n_iter_no_change=epochs,
        random_state=seed,
    )


def main():
    arguments = parse_arguments(__doc__, seed=0, epochs=100, rate=1e-3)
    sizes, n_rows, epochs = (1000, 500, 250, 30), 60_000, arguments.epochs
    if arguments.quick:
        sizes, n_rows, epochs = (100, 50, 10), 2_000, 3
    images = mnist_images(arguments.data, n_rows, 10_000)
    net = "-".join(map(str, (784, *sizes)))
    print_header(f"Deep autoencoder {net}, {n_rows} rows, {epochs} epochs")
    table = Table("codes", "test error", "asked", "fit s", "R2")
    k = sizes[-1]
    for name, model in {
        f"PCA, {k} components": PCA(k, svd_solver="covariance_eigh"),
        net: deep(sizes, epochs, arguments.rate, arguments.seed),
    }.items():
        began = time.perf_counter()
        with not_converged():
            model.fit(images.X_train)
        seconds = time.perf_counter() - began
        back = model.inverse_transform(model.transform(images.X_test))
        error = mean_squared_distance(back, images.X_test)
        total = mean_squared_distance(images.X_test.mean(axis=0), images.X_test)
        target = None if name.startswith("PCA") else 3.0
        table.row(name, error, at_most(error, target), seconds, 1 - error / total)


if __name__ == "__main__":
    main()
