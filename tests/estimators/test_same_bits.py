"""The bits of a fit do not depend on how many threads BLAS has."""

import numpy as np
import pytest
import scipy.sparse
from threadpoolctl import threadpool_limits

from skae import SparseAutoencoder, SparseCoding, StackedAutoencoder

pytestmark = pytest.mark.filterwarnings("ignore:(Training|Fine-tuning) stopped")

# Enough columns and units for BLAS to share out its products.
X = np.random.default_rng(0).uniform(size=(400, 300))
WEIGHTS = np.random.default_rng(1).uniform(0.5, 2, len(X))


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("make", [SparseAutoencoder, StackedAutoencoder])
def test_any_number_of_threads_gives_the_same_bits(make, solver, weights):
    model = make(100, solver=solver, max_iter=2, random_state=0)
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            model.fit(X, sample_weight=weights)
            found.append((model.transform(X), model.score(X, sample_weight=weights)))
    for codes, score in found[1:]:
        np.testing.assert_array_equal(codes, found[0][0])
        assert score == found[0][1]


@pytest.mark.parametrize("make", [SparseAutoencoder, SparseCoding])
def test_any_number_of_threads_scores_sparse_rows_with_the_same_bits(make):
    """Of which weights are multiplied by each other before any row is read."""
    rows = scipy.sparse.csr_array(np.where(X < 0.5, 0, X))
    rows = rows[:100]  # as many as there are units, and fewer than columns
    model = make(100, max_iter=1, random_state=0).fit(rows[:50])
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            found.append([model.score_samples(rows), model.transform(rows)])
    for other in found[1:]:
        for one, expected in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(one, expected)
