"""Rows that are sparse, for the tests' objectives and estimators."""

import numpy as np
import scipy.sparse

_RNG = np.random.default_rng(0)
# Rows of estimators' tests, one of which is zero, as is one column.
X = _RNG.uniform(size=(150, 20)) * (_RNG.random((150, 20)) < 0.25)
X[7] = X[:, 4] = 0
SPARSE = scipy.sparse.csr_array(X)
WEIGHTS = np.where(np.arange(150) % 7 == 0, 0, _RNG.uniform(0.5, 2, 150))


def with_zeros(X, seed=0):
    """X with more than half of its entries zero, one whole row, and one column."""
    X = X * (np.random.default_rng(seed).random(X.shape) < 0.4)
    X[3] = X[:, 1] = 0
    return X


def assert_same_coordinates(one, other, theta, moved, penalties):
    """What coordinates do to θ of dense rows they do to θ of sparse ones.

    ``moved`` rearranges the former as the latter; ``penalties`` are the
    ``penalty_weights`` of both objectives.
    """
    for name in ("to_data", "from_data", "pull_back", "to_centred", "decentred"):
        expected = getattr(one, name)(theta.copy())
        found = getattr(other, name)(moved(theta).copy())
        np.testing.assert_allclose(found, moved(expected))
    expected, found = one.pull_weights(penalties[0]), other.pull_weights(penalties[1])
    np.testing.assert_allclose(found, moved(expected))
