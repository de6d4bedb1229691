"""Handwritten digits to learn from and to be judged on, and noise for them."""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split


@dataclass(frozen=True)
class Images:
    """Rows of pixels in [0, 1], float32, and the digits they show."""

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def side(self):
        """Pixels along an edge of the square images."""
        return round(self.X_train.shape[1] ** 0.5)

    def split(self, test_size):
        """The training rows alone, some of them set aside as "test" rows."""
        rows = train_test_split(
            self.X_train,
            self.y_train,
            test_size=test_size,
            stratify=self.y_train,
            random_state=0,
        )
        X_train, X_test, y_train, y_test = rows
        return Images(X_train, y_train, X_test, y_test)


def mnist_images(path, n_train, n_test):
    """The first rows of MNIST's training and of its test set."""
    if path is not None:
        with np.load(path) as arrays:
            names = ("X_train", "y_train", "X_test", "y_test")
            X, y, X_test, y_test = (arrays[name] for name in names)
    else:
        X, y = fetch_openml("mnist_784", as_frame=False, return_X_y=True)
        X, X_test, y, y_test = X[:60000], X[60000:], y[:60000], y[60000:]
    return Images(
        X[:n_train].astype(np.float32) / np.float32(255),
        y[:n_train].astype(int),
        X_test[:n_test].astype(np.float32) / np.float32(255),
        y_test[:n_test].astype(int),
    )


def digits_images():
    """scikit-learn's digits, 1297 for training and 500 for testing."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X.astype(np.float32) / np.float32(16),
        y,
        test_size=500,
        stratify=y,
        random_state=0,
    )
    return Images(X_train, y_train, X_test, y_test)


def noisy(X, corruption, level, seed):
    """X with Gaussian noise of standard deviation ``level``, or masked.

    NumPy's own noise, so that no method is judged on noise that it makes itself.
    """
    rng = np.random.default_rng(seed)
    if corruption == "gaussian":
        return X + level * rng.standard_normal(X.shape, dtype=X.dtype)
    return X * (rng.random(X.shape, dtype=X.dtype) >= level)


def mean_squared_distance(X, Y):
    """Mean over rows of the sum of squared differences."""
    difference = (X - Y).astype(np.float64)
    return float(np.vecdot(difference, difference).mean())
