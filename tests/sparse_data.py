"""Rows that are sparse, in the shapes of the tests' objectives."""

import numpy as np


def with_zeros(X, seed=0):
    """X with more than half of its entries zero, one whole row, and one column."""
    X = X * (np.random.default_rng(seed).random(X.shape) < 0.4)
    X[3] = X[:, 1] = 0
    return X
