"""Sparse coding is its formula: gradient, pools and closed form, each checked apart."""

import numpy as np
import pytest
import scipy.sparse
import textbook

from skae.core.coding import (
    CodeObjective,
    NoPooling,
    TorusPooling,
    code_sums,
    dictionary_step,
    squared_norms,
)
from skae.core.sparse_rows import SparseRows

LAMBDA, EPSILON, GAMMA = 0.3, 1e-2, 0.05
# (rows, columns) of the grid, edge of the window, features: the last two have more
# than twice as many units as features, which are multiplied in another order.
GRIDS = [(3, 4, 2, 9), (4, 3, 3, 8), (2, 6, 1, 7), (5, 5, 5, 15), (4, 5, 3, 6)]


def pooling_matrix(rows, columns, size):
    """V as it is defined: V[r, c] = 1 where c lies in the window that starts at r."""
    V = np.zeros((rows * columns, rows * columns))
    for r in range(rows):
        for c in range(columns):
            for i in range(size):
                for j in range(size):
                    member = (r + i) % rows * columns + (c + j) % columns
                    V[r * columns + c, member] = 1
    return V


def cases():
    for rows, columns, size, d in GRIDS:
        pooling = TorusPooling(rows, columns, size)
        yield pooling, pooling_matrix(rows, columns, size), d
    yield NoPooling(6), np.eye(6), 5
    yield NoPooling(11), np.eye(11), 4


CASES = list(cases())
table = pytest.mark.parametrize(("pooling", "V", "d"), CASES)


def draw(k, d, n=7, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) for shape in ((n, k), (k, d), (n, d)))


def evaluate(pooling, A, X, S):
    """f(s_i) + ‖x_i‖², gradient and curvature, rows as rows."""
    rows = CodeObjective(A, LAMBDA, EPSILON, pooling).of_rows(X)
    gradient, curvature = np.empty_like(S.T), np.empty_like(S.T)
    value = rows(np.ascontiguousarray(S.T), gradient, curvature)
    return value + (X**2).sum(axis=1), gradient.T, curvature.T


def central_differences(value, Z, step=1e-5):
    numeric = np.empty_like(Z)
    for index in np.ndindex(Z.shape):
        ahead, behind = Z.copy(), Z.copy()
        ahead[index] += step
        behind[index] -= step
        numeric[index] = (value(ahead) - value(behind)) / (ahead[index] - behind[index])
    return numeric


def relative_difference(gradient, numeric):
    return np.linalg.norm(gradient - numeric) / np.linalg.norm(gradient + numeric)


@table
def test_value_is_the_textbook_formula(pooling, V, d):
    S, A, X = draw(len(V), d)
    values = evaluate(pooling, A, X, S)[0]
    expected = textbook.sparse_coding(X, S, A, V, LAMBDA, EPSILON, GAMMA)
    penalty = GAMMA * (A**2).sum()
    assert values.mean() + penalty == pytest.approx(expected, rel=1e-12)


@table
def test_gradient_by_the_codes_against_central_differences(pooling, V, d):
    S, A, X = draw(len(V), d, seed=1)
    gradient = evaluate(pooling, A, X, S)[1] / len(X)

    def value(S):
        return textbook.sparse_coding(X, S, A, V, LAMBDA, EPSILON, GAMMA)

    assert relative_difference(gradient, central_differences(value, S)) < 1e-8


def test_codes_start_at_those_of_each_atom_alone():
    """Which are A x / ‖A_j‖², if the atom is no thousandth as long as the longest."""
    A = np.array([[3.0, 4, 0], [0, 0.05, 0.12], [1e-3, 0, 0]])
    X = np.array([[1.0, 2, 3], [-1, 0, 2]])
    start = CodeObjective(A, LAMBDA, EPSILON, NoPooling(3)).of_rows(X).start()
    alone = [np.linalg.lstsq(atom[:, np.newaxis], X.T)[0][0] for atom in A[:2]]
    np.testing.assert_allclose(start, [*alone, [0, 0]], rtol=1e-12)


@table
def test_curvature_bounds_the_second_derivative(pooling, V, d):
    """The diagonal of a quadratic that lies above: no second derivative exceeds it."""
    S, A, X = draw(len(V), d, seed=2)
    S *= 0.1
    curvature = evaluate(pooling, A, X, S)[2]
    step = 1e-5
    for j in range(len(V)):
        move = step * np.eye(len(V))[j]
        ahead, behind = (evaluate(pooling, A, X, S + m)[1] for m in (move, -move))
        second = (ahead[:, j] - behind[:, j]) / (2 * step)
        assert (second <= curvature[:, j] * (1 + 1e-6)).all()
        assert (second >= 2 * (A[j] @ A[j]) * (1 - 1e-6)).all()


@table
def test_pools_are_products_with_the_matrix(pooling, V, d):
    Q = np.random.default_rng(3).uniform(size=(len(V), 5))
    before = Q.copy()
    np.testing.assert_allclose(pooling.pool(Q), V @ Q, rtol=1e-13)
    np.testing.assert_allclose(pooling.spread(Q), V.T @ Q, rtol=1e-13)
    np.testing.assert_array_equal(Q, before)


@table
def test_pooling_matrix_and_its_sums(pooling, V, d):
    matrix = np.zeros_like(V)
    np.add.at(matrix, pooling.indices(), 1)
    np.testing.assert_array_equal(matrix, V)
    np.testing.assert_array_equal(matrix.sum(axis=0), pooling.size**2)
    np.testing.assert_array_equal(matrix.sum(axis=1), pooling.size**2)


def test_no_pooling_costs_nothing():
    Q = np.ones((4, 3))
    assert NoPooling(4).pool(Q) is Q and NoPooling(4).spread(Q) is Q


@table
def test_dictionary_step_is_the_minimum(pooling, V, d):
    """Zero gradient by finite differences, and least squares with rows √(γ n) added."""
    S, _, X = draw(len(V), d, n=40, seed=4)
    n, k = S.shape
    A = dictionary_step(S.T @ S / n, S.T @ X / n, GAMMA)
    stacked = np.vstack([S, np.sqrt(GAMMA * n) * np.eye(k)])
    direct = np.linalg.lstsq(stacked, np.vstack([X, np.zeros((k, d))]))[0]
    assert relative_difference(A, direct) < 1e-12

    def value(A):
        return textbook.sparse_coding(X, S, A, V, LAMBDA, EPSILON, GAMMA)

    scale = np.linalg.norm(central_differences(value, np.zeros_like(A)))
    assert np.linalg.norm(central_differences(value, A)) < 1e-8 * scale


def test_dictionary_step_survives_units_without_codes():
    SS, SX = np.zeros((3, 3)), np.zeros((3, 4))
    SS[0, 0], SX[0] = 2.0, 1.0
    A = dictionary_step(SS, SX, GAMMA)
    np.testing.assert_allclose(A[0], 1 / (2 + GAMMA), rtol=1e-14)
    np.testing.assert_array_equal(A[1:], 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_start_projects_on_each_atom(dtype):
    _, A, X = (array.astype(dtype) for array in draw(5, 4))
    A[3] = 0
    A[4] *= 1e-25
    S = CodeObjective(A, LAMBDA, EPSILON, NoPooling(5)).of_rows(X).start()
    assert S.dtype == dtype
    expected = A[:3] @ X.T / (A[:3] ** 2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(S[:3], expected, rtol=1e-5)
    np.testing.assert_array_equal(S[3:], 0)


# -- what it takes of the rows -------------------------------------------------------


def sparse_rows(X):
    return SparseRows(scipy.sparse.csr_array(X))


def with_zeros(X):
    X = X * (np.random.default_rng(5).random(X.shape) < 0.4)
    X[3] = X[:, 1] = 0
    return X


KINDS = pytest.mark.parametrize("kind", [np.asarray, sparse_rows])


@KINDS
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_over_rows(kind, weighted):
    S, _, X = draw(4, 6)
    X = with_zeros(X)
    w = np.random.default_rng(6).uniform(size=len(X)) if weighted else None
    SS, SX = code_sums(np.ascontiguousarray(S.T), kind(X), w)
    w = np.ones(len(X)) if w is None else w
    expected = [
        sum(w[i] * np.multiply.outer(S[i], rows[i]) for i in range(len(X)))
        for rows in (S, X)
    ]
    np.testing.assert_allclose(SS, expected[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(SX, expected[1], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(squared_norms(kind(X)), (X**2).sum(axis=1))


@table
def test_sparse_rows_have_the_objective_of_dense_ones(pooling, V, d):
    S, A, X = draw(len(V), d)
    X = with_zeros(X)
    dense = evaluate(pooling, A, X, S)
    rows = CodeObjective(A, LAMBDA, EPSILON, pooling).of_rows(sparse_rows(X))
    assert rows.B.flags.c_contiguous
    gradient, curvature = np.empty_like(S.T), np.empty_like(S.T)
    value = rows(np.ascontiguousarray(S.T), gradient, curvature)
    found = value + squared_norms(sparse_rows(X)), gradient.T, curvature.T
    for one, other in zip(found, dense, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@KINDS
def test_float32_rows_stay_float32_where_codes_are_sought(kind):
    _, A, X = (array.astype(np.float32) for array in draw(5, 4))
    rows = CodeObjective(A, LAMBDA, EPSILON, NoPooling(5)).of_rows(kind(X))
    assert rows.B.dtype == rows.start().dtype == np.float32


def test_sums_of_sparse_rows_in_float32_are_those_of_float64():
    """Two thousand products, added up one after the other."""
    rng = np.random.default_rng(0)
    S = rng.uniform(size=(3, 2000)).astype(np.float32)
    X = rng.uniform(size=(2000, 5)).astype(np.float32)
    found = code_sums(S, sparse_rows(X))[1]
    expected = S.astype(np.float64) @ X.astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_columns_may_be_taken():
    S, A, X = draw(6, 5)
    rows = CodeObjective(A, LAMBDA, EPSILON, NoPooling(6)).of_rows(X)
    columns = np.array([5, 0, 2])
    G, C = np.empty((2, 6, 3))
    value = rows.take(columns)(S[columns].T.copy(), G, C)
    values, gradient, _ = evaluate(NoPooling(6), A, X, S)
    np.testing.assert_allclose(G.T, gradient[columns], rtol=1e-12)
    squares = (X[columns] ** 2).sum(axis=1)
    np.testing.assert_allclose(value + squares, values[columns], rtol=1e-12)


def test_without_a_penalty_to_speak_of_the_shortest_dictionary():
    """By the pseudo-inverse, of codes of which two are equal."""
    s = np.arange(1.0, 6.0)[:, np.newaxis]
    X = s @ [[1.0, -2.0, 3.0]]
    S = np.hstack([s, s])
    A = dictionary_step(S.T @ S, S.T @ X, 1e-300)
    np.testing.assert_allclose(A, np.linalg.pinv(S) @ X, rtol=1e-9)
