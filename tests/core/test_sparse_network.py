"""A network sees sparse rows as it sees the same rows dense: in loss and gradient."""

from functools import partial
from itertools import product

import numpy as np
import pytest
import scipy.sparse
from compare import (
    assert_same_bits,
    assert_same_direction_and_size,
    central_differences,
)
from covering import every_pair, every_triple
from networks import CASES, HIDDEN, N, NetworkCase
from sparse_data import assert_same_coordinates, with_zeros

from skae.core.activations import ACTIVATIONS
from skae.core.network import NetworkObjective
from skae.core.sparse_network import (
    LinearOutputs,
    SparseNetworkObjective,
    WrittenOutTargets,
    sparse_network,
)
from skae.core.sparse_rows import SparseRows
from skae.engines.batches import BatchEngine
from skae.engines.threads import ThreadEngine
from skae.rows.data import Data
from skae.rows.source import source
from skae.training.coordinates import Coordinates

LINEAR = NetworkCase(2, "tanh", "identity", "squared_error", False, True, False)
# Each way in which a block of sparse rows is computed.
WAYS = [
    NetworkCase(0, "logistic", "softmax", "cross_entropy", True, True, True),
    NetworkCase(2, "relu", "softmax", "cross_entropy", True, True, True),
    NetworkCase(0, "logistic", "identity", "squared_error", False, True, False),
    NetworkCase(1, "tanh", "logistic", "log_loss", False, False, True),
    LINEAR,
    LINEAR._replace(depth=1, activation="relu", dropout=True),
]
each_way = pytest.mark.parametrize("case", WAYS, ids=str)


def draw(case, n=N):
    """The objectives for dense and for sparse rows, X, T, s, and θ of each."""
    dense, X, T, s, theta = case.draw(n=n)
    sparse = for_sparse_rows(case)
    return dense, sparse, with_zeros(X), T, s, theta, by_feature(sparse, dense, theta)


def for_sparse_rows(case, dtype=np.float64):
    return case.objective(dtype, partial(sparse_network, reconstructs=not case.targets))


def by_feature(sparse, dense, theta):
    """θ, or a gradient, in the order in which the other objective has it."""
    moved = np.empty(theta.size, sparse.dtype)
    layers = zip(
        dense.parameters(theta).layers, sparse.parameters(moved).layers, strict=True
    )
    for (W, b), (W_moved, b_moved) in layers:
        W_moved[:], b_moved[:] = W, b
    return moved


def run(objective, X, T, s, theta, **options):
    with ThreadEngine(objective, X, s, targets=T, **options) as evaluate:
        loss, gradient, terms = evaluate(theta)
        return loss, gradient.copy(), terms


def run_sparse(objective, X, *others, **options):
    return run(objective, scipy.sparse.csr_array(X), *others, **options)


@every_pair(case=CASES)
def test_loss_and_gradient_are_those_of_dense_rows(case):
    dense, sparse, X, T, s, theta, moved = draw(case)
    loss, gradient, terms = run(dense, X, T, s, theta, rows=4)
    value, slope, parts = run_sparse(sparse, X, T, s, moved, rows=4)
    assert value == pytest.approx(loss, rel=1e-13)
    assert parts == pytest.approx(terms, rel=1e-12)
    assert list(parts) == list(terms)
    expected = by_feature(sparse, dense, gradient)
    np.testing.assert_allclose(slope, expected, rtol=1e-11, atol=1e-14)


@every_triple(
    case=[
        LINEAR._replace(depth=d, activation=f, weighted=weighted, dropout=dropout)
        for d, f in product(range(1, len(HIDDEN) + 1), ACTIVATIONS)
        for weighted, dropout in product([False, True], [False, True])
    ]
)
def test_linear_outputs_against_central_differences(case):
    against_central_differences(case)


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize(
    ("output", "loss"), [("softmax", "cross_entropy"), ("identity", "squared_error")]
)
def test_targets_against_central_differences(output, loss, depth):
    against_central_differences(
        NetworkCase(depth, "logistic", output, loss, weighted=True, dropout=True)
    )


def against_central_differences(case):
    _, sparse, X, T, s, _, theta = draw(case)
    X = scipy.sparse.csr_array(X)
    with ThreadEngine(sparse, X, s, targets=T, rows=4) as evaluate:
        gradient = evaluate(theta)[1].copy()
    with ThreadEngine(sparse, X, s, targets=T, rows=N) as whole:
        numeric = central_differences(lambda point: whole(point)[0], theta)
    assert_same_direction_and_size(gradient, numeric)


@every_pair(case=CASES)
def test_rows_are_written_out_only_where_they_must_be(case, monkeypatch):
    """Neither beside targets of their own, nor where outputs are linear."""
    _, sparse, X, T, s, _, theta = draw(case)
    written = []
    original = SparseRows.toarray
    monkeypatch.setattr(
        SparseRows,
        "toarray",
        lambda rows, out: written.append(len(rows)) or original(rows, out),
    )
    run_sparse(sparse, X, T, s, theta, rows=4)
    linear = (case.output, case.loss) == ("identity", "squared_error")
    if case.targets:
        kind = SparseNetworkObjective
    else:
        kind = LinearOutputs if linear and case.depth else WrittenOutTargets
    assert type(sparse) is kind
    assert bool(written) == (kind is WrittenOutTargets)
    assert max(written, default=0) <= 4


@each_way
def test_the_loss_alone_is_that_of_an_evaluation(case):
    _, sparse, X, T, s, _, theta = draw(case)
    X = scipy.sparse.csr_array(X)
    with ThreadEngine(sparse, X, s, targets=T, rows=4) as engine:
        assert engine.data_loss(theta) == engine(theta)[2]["loss"]


@every_pair(case=CASES)
def test_a_batch_is_that_of_dense_rows(case):
    """All inputs centred, and with the dropout of its draw."""
    dense, sparse, X, T, s, theta, moved = draw(case)
    index = np.array([7, 3, 11, 3, 0])
    centers = [np.linspace(0.2, 0.8, units) for units in case.layer_sizes[:-1]]
    results = []
    for objective, rows, point in (
        (dense, X, theta),
        (sparse, scipy.sparse.csr_array(X), moved),
    ):
        engine = BatchEngine(objective, N, centers)
        for _ in range(2):
            targets = None if T is None else source(T)
            data = Data(source(rows), s, targets)
            loss, gradient, terms = engine(point, data, index, 5.0)
        results.append((loss, gradient, terms))
    (loss, gradient, terms), (value, slope, parts) = results
    assert value == pytest.approx(loss, rel=1e-13)
    assert parts == pytest.approx(terms, rel=1e-12)
    expected = by_feature(sparse, dense, gradient)
    np.testing.assert_allclose(slope, expected, rtol=1e-10, atol=1e-13)


@each_way
def test_coordinates_are_those_of_dense_rows(case):
    make = partial(sparse_network, reconstructs=not case.targets)
    options = {
        "output": case.output,
        "loss": case.loss,
        "alphas": case.alphas,
        "l1": case.alphas[::-1],
    }
    dense, sparse = (
        kind(case.layer_sizes, case.activations[:-1], **options)
        for kind in (NetworkObjective, make)
    )
    d, *_, n_outputs = case.layer_sizes
    centre, target = np.linspace(0.2, 0.8, d), np.linspace(0.2, 0.4, n_outputs)
    one, other = (
        Coordinates(o, *o.units(centre, 3.0, target, 2.0), 7.0) for o in (dense, sparse)
    )
    theta = np.random.default_rng(0).standard_normal(dense.layout.size)
    penalties = dense.penalty_weights, sparse.penalty_weights
    moved = partial(by_feature, sparse, dense)
    assert_same_coordinates(one, other, theta, moved, penalties)


# -- how it is computed --------------------------------------------------------------


@each_way
def test_number_of_threads_changes_no_bit(case):
    _, sparse, X, T, s, _, theta = draw(case, n=103)
    alone = run_sparse(sparse, X, T, s, theta, rows=10, n_threads=1)
    for n_threads in (2, 3):
        together = run_sparse(sparse, X, T, s, theta, rows=10, n_threads=n_threads)
        assert_same_bits(alone, together)


@each_way
def test_size_of_blocks_is_rounding_only(case):
    _, sparse, X, T, s, _, theta = draw(case, n=103)
    whole = run_sparse(sparse, X, T, s, theta, rows=103)
    for rows in (1, 10, None):
        loss, gradient, terms = run_sparse(sparse, X, T, s, theta, rows=rows)
        assert loss == pytest.approx(whole[0], rel=1e-12)
        assert terms == pytest.approx(whole[2], rel=1e-12)
        distance = np.linalg.norm(gradient - whole[1])
        assert distance < 1e-12 * np.linalg.norm(whole[1])


@each_way
def test_an_evaluation_leaves_no_trace_in_the_next(case):
    _, sparse, X, T, s, _, theta = draw(case, n=103)
    rows = scipy.sparse.csr_array(X)
    with ThreadEngine(sparse, rows, s, targets=T, rows=50) as evaluate:
        loss, gradient, terms = evaluate(theta)
        first = loss, gradient.copy(), terms
        evaluate.draw = 1  # of masks that are kept between evaluations
        evaluate(-3 * theta)
        evaluate.draw = 0
        assert_same_bits(first, evaluate(theta))
    np.testing.assert_array_equal(rows.toarray(), X)


@each_way
def test_float32_is_near_float64(case):
    _, sparse, *problem, _, theta = draw(case)
    loss, gradient, _ = run_sparse(sparse, *problem, theta)
    single = [None if a is None else a.astype(np.float32) for a in (*problem, theta)]
    loss32, gradient32, _ = run_sparse(for_sparse_rows(case, np.float32), *single)
    assert gradient32.dtype == np.float32 and isinstance(loss32, float)
    assert loss32 == pytest.approx(loss, rel=1e-5)
    assert np.linalg.norm(gradient32 - gradient) < 1e-4 * np.linalg.norm(gradient)


@each_way
def test_parameters_are_views(case):
    sparse = for_sparse_rows(case)
    theta = np.zeros(sparse.layout.size)
    p = sparse.parameters(theta)
    sizes = case.layer_sizes
    assert [W.shape for W in p.coefs] == list(zip(sizes[1:], sizes[:-1], strict=True))
    assert p.coefs[0].T.flags.c_contiguous  # which products take without a copy
    for array in (*p.coefs, *p.intercepts):
        array += 1
    np.testing.assert_array_equal(theta, 1)


def test_costs():
    """Products of the sizes d x k₁ are sparse, two of them; of d x k_L two more."""
    d, k, top = 1000, 30, 20
    given = ["tanh", "tanh"]
    rest = {"alphas": [0.0] * 3}
    supervised = sparse_network(
        *((d, k, top, 10), given),
        **{"output": "softmax", "loss": "cross_entropy", "reconstructs": False} | rest,
    )
    assert supervised.product_columns == [k, k]
    assert supervised.dense_multiplications_per_row == 3 * (k * top + top * 10)
    deep = sparse_network(
        *((d, k, top, d), given),
        **{"output": "identity", "loss": "squared_error", "reconstructs": True} | rest,
    )
    assert deep.product_columns == [k, k, top, top]
    assert deep.dense_multiplications_per_row == 3 * k * top + 2 * top**2
