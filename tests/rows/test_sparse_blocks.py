"""Sparse rows in blocks: the same bits on any number of threads, and no copies."""

import numpy as np
import pytest
import scipy.sparse
from compare import assert_same_bits
from objectives import ONE_OUTPUT, Case, D, K

from skae.core.sparse_autoencoder import sparse_objective
from skae.engines.threads import ThreadEngine
from skae.rows.lengths import sparse_block_rows
from skae.rows.source import source
from skae.rows.sparse import cut_sparse

N = 203
# What differs in how a block of sparse rows is computed.
WAYS = [
    case
    for case in ONE_OUTPUT
    if case.extra in ("none", "masking", "gaussian", "contraction") and case.weighted
]
LINEAR = Case("logistic", "identity", "squared_error", "kl", False, True)


def data(case, dtype=np.float64):
    rng = np.random.default_rng(0)
    objective = case.objective(dtype, make=sparse_objective)
    X = rng.uniform(0.1, 0.9, (N, D)) * (rng.random((N, D)) < 0.4)
    s = rng.uniform(0.5, 2, N).astype(dtype) if case.weighted else None
    theta = 0.5 * rng.standard_normal(objective.layout.size)
    return objective, scipy.sparse.csr_array(X.astype(dtype)), s, theta.astype(dtype)


def run(objective, X, s, theta, **options):
    with ThreadEngine(objective, X, s, **options) as evaluate:
        loss, gradient, terms = evaluate(theta)
        return loss, gradient.copy(), terms


@pytest.mark.parametrize("case", [*WAYS, LINEAR], ids=str)
def test_number_of_threads_does_not_change_a_bit(case):
    problem = data(case)
    alone = run(*problem, rows=20, n_threads=1)
    for n_threads in (2, 3):
        assert_same_bits(alone, run(*problem, rows=20, n_threads=n_threads))


@pytest.mark.parametrize("case", [*WAYS, LINEAR], ids=str)
def test_size_of_blocks_is_rounding_only(case):
    problem = data(case)
    whole = run(*problem, rows=N)
    for rows in (7, 101):
        loss, gradient, terms = run(*problem, rows=rows)
        assert loss == pytest.approx(whole[0], rel=1e-12)
        assert terms == pytest.approx(whole[2], rel=1e-12)
        distance = np.linalg.norm(gradient - whole[1])
        assert distance < 1e-12 * np.linalg.norm(whole[1])


def test_codes_kept_or_encoded_twice_are_the_same_bits():
    problem = data(LINEAR)
    one_block = (K + 1) * 50 * 8
    results = [
        run(*problem, rows=50, code_memory=memory)
        for memory in (0, int(2.5 * one_block), 10**9)
    ]
    for result in results[1:]:
        assert_same_bits(results[0], result)


@pytest.mark.parametrize("case", [LINEAR, LINEAR._replace(extra="masking")], ids=str)
def test_an_evaluation_leaves_no_trace_in_the_next(case):
    objective, X, s, theta = data(case)
    with ThreadEngine(objective, X, s, rows=50) as evaluate:
        loss, gradient, terms = evaluate(theta)
        first = loss, gradient.copy(), terms
        evaluate.draw = 1  # of masks that are kept between evaluations
        evaluate(-3 * theta)
        evaluate.draw = 0
        assert_same_bits(first, evaluate(theta))


@pytest.mark.parametrize("case", [*WAYS, LINEAR], ids=str)
def test_float32_stays_float32_and_is_near_float64(case):
    loss, gradient, _ = run(*data(case))
    loss32, gradient32, _ = run(*data(case, np.float32))
    assert gradient32.dtype == np.float32 and isinstance(loss32, float)
    assert loss32 == pytest.approx(loss, rel=1e-5)
    assert np.linalg.norm(gradient32 - gradient) < 1e-4 * np.linalg.norm(gradient)


def test_mean_code():
    objective, X, s, theta = data(LINEAR)
    with ThreadEngine(objective, X, s, rows=40) as engine:
        mean = engine.statistics(theta)
    p = objective.parameters(theta)
    codes = 1 / (1 + np.exp(-X.toarray() @ p.encoder.T - p.hidden))
    np.testing.assert_allclose(mean, np.average(codes, axis=0, weights=s), rtol=1e-12)


@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("kind", [scipy.sparse.csr_array, scipy.sparse.csr_matrix])
def test_cut(kind, index_dtype):
    X = kind(data(LINEAR)[1])
    X.indices, X.indptr = X.indices.astype(index_dtype), X.indptr.astype(index_dtype)
    dense = X.toarray()
    for start, stop in ((0, 10), (10, 10_000)):
        rows = cut_sparse(X, start, stop, by_column=False)
        assert len(rows) == len(dense[start:stop])
        np.testing.assert_array_equal(rows.matrix.toarray(), dense[start:stop])
        assert np.shares_memory(rows.matrix.data, X.data)
        assert np.shares_memory(rows.matrix.indices, X.indices)
        by_column = cut_sparse(X, start, stop, by_column=True)
        np.testing.assert_array_equal(by_column.matrix.toarray(), dense[start:stop])
        assert by_column.matrix.format == "csc"


def test_blocks_by_column_have_some_entries_in_each():
    objective = sparse_objective(50_000, 64)
    per_row = 100
    rows = sparse_block_rows(_Shape(20_000, 50_000, 20_000 * per_row), objective)
    assert rows == 2**19 // 64
    # With a tenth of the entries, a walk along all columns needs ten times the rows.
    sparser = sparse_block_rows(_Shape(20_000, 50_000, 2_000 * per_row), objective)
    assert sparser * per_row / 10 == 8 * 50_000
    assert sparse_block_rows(_Shape(10, 5, 0), objective) >= 1


class _Shape:
    def __init__(self, n_samples, n_features, nnz):
        self.shape, self.nnz = (n_samples, n_features), nnz


def test_stored_bytes():
    assert source(np.zeros((3, 4))).nbytes == 96
    X = scipy.sparse.csr_array(np.eye(4))
    assert source(X).nbytes == 4 * 8 + 4 * X.indices.itemsize
