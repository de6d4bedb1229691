"""A deep autoencoder of MNIST against CPU seconds: two published nets.

Both are 784-1000-500-250-30 and back, fitted by Adam with a rate that falls linearly.

* ``relu``: rectified units and linear codes; the summed cross-entropy with a weight
  decay of 1e-5. Goldfarb, Ren and Bahamou (2020) publish the lowest test loss of
  their quasi-Newton methods after long fits: 57.59 (K-BFGS) and 57.37 (K-FAC).
* ``logistic``: logistic units and linear codes, whose squared error on the test
  images is 3.00 in Hinton and Salakhutdinov (2006).

``--dropout`` sets a part of the pixels to zero in training. After every tenth epoch the
loss on the test images is printed. It chooses nothing. The rate falls with the epochs,
so a fit of fewer epochs is lower at its end than a longer fit at that moment.

D. Goldfarb, Y. Ren and A. Bahamou, "Practical quasi-Newton methods for training deep
neural networks", NeurIPS 2020, Fig. 2 and appendix.
G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with neural
networks", Science 313, 2006.
"""

import time

import numpy as np
from _common import Table, not_converged, parse_arguments, print_header
from _images import mean_squared_distance, mnist_images

from skae import SparseAutoencoder, StackedAutoencoder

NETS = {  # activation, alpha, published
    "relu": ("relu", 1e-5, "57.37 (K-FAC), 57.59 (K-BFGS)"),
    "logistic": ("logistic", 3e-4, "3.00"),
}


def deep(activation, alpha, sizes, epochs, batch_size, dropout, seed):
    """Linear codes; logistic layers are pre-trained for two epochs each.

    Rectified units learn better from random weights: with pre-trained layers, the test
    loss after 100 epochs was 59.9.
    """
    adam = {
        "solver": "adam",
        "learning_rate": "linear",
        "learning_rate_init": 1e-3,
        "batch_size": batch_size,
    }
    layers = [
        SparseAutoencoder(
            activation="identity" if k == sizes[-1] else activation,
            output_activation="logistic",
            sparsity=None,
            alpha=0.0,
            max_iter=2,
            **adam,
        )
        for k in sizes
    ]
    return StackedAutoencoder(
        sizes,
        autoencoder=layers if activation == "logistic" else None,
        activation=activation,
        code_activation="identity",
        output_activation="logistic",
        loss="log_loss",
        alpha=alpha,
        input_dropout=dropout,
        max_iter=epochs,
        tol=0.0,
        random_state=seed,
        **adam,
    )


def cross_entropy(images, back):
    """The mean over images of the cross-entropy, summed over their pixels."""
    back = np.clip(np.asarray(back, float), 1e-12, 1 - 1e-7)
    return -np.mean(
        np.sum(images * np.log(back) + (1 - images) * np.log1p(-back), axis=1)
    )


class Follow:
    """Prints a row of the table after every tenth epoch of fine-tuning."""

    max_propagation_depth = 0

    def __init__(self, table, loss, X, X_test, every):
        self.table, self.loss, self.X, self.X_test = table, loss, X, X_test
        self.every, self.n, self.looking, self.began = every, 0, 0.0, None
        self.lowest = np.inf

    def setup(self, estimator, context):
        self.began = time.process_time()

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name != "epoch":
            return False
        self.n += 1
        if self.n % self.every == 0:
            now = time.process_time()
            train, test = (
                self.loss(rows, fitted_estimator.predict(rows))
                for rows in (self.X[: len(self.X_test)], self.X_test)
            )
            self.lowest = min(self.lowest, test)
            spent = now - self.began - self.looking
            self.table.row(self.n, spent / 60, f"{train:.2f}", f"{test:.2f}")
            self.looking += time.process_time() - now
        return False


def main():
    arguments = parse_arguments(
        __doc__, net="relu", seed=0, epochs=100, batch=200, dropout=0.0, every=10
    )
    sizes, n_rows, epochs = (1000, 500, 250, 30), 60_000, arguments.epochs
    if arguments.quick:
        sizes, n_rows, epochs = (100, 50, 10), 2_000, 3
    images = mnist_images(arguments.data, n_rows, 10_000)
    activation, alpha, published = NETS[arguments.net]
    net = "-".join(map(str, (784, *sizes)))
    print_header(f"{net}, {activation} units, {n_rows} rows, {epochs} epochs")
    loss = cross_entropy if arguments.net == "relu" else mean_squared_distance
    table = Table("epochs", "CPU minutes", "training loss", "test loss")
    follow = Follow(table, loss, images.X_train, images.X_test, arguments.every)
    chosen = arguments.batch, arguments.dropout, arguments.seed
    model = deep(activation, alpha, sizes, epochs, *chosen)
    with not_converged():
        model.set_callbacks(follow).fit(images.X_train)
    print(f"\nPublished: {published}. Lowest here: {follow.lowest:.2f}")


if __name__ == "__main__":
    main()
