"""Sparse rows are what the same rows are when dense: in loss, gradient and noise."""

from functools import partial

import numpy as np
import pytest
import scipy.sparse
import textbook
from compare import assert_same_direction_and_size, central_differences
from covering import every_pair
from objectives import CASES, Case, D, K, N
from sparse_data import assert_same_coordinates, with_zeros

from skae.core.autoencoder import AutoencoderObjective
from skae.core.blocks import Block
from skae.core.corruptions import Dropout, Masking, Noise
from skae.core.sparse_autoencoder import (
    LinearDecoderObjective,
    SparseRowsObjective,
    sparse_objective,
)
from skae.core.sparse_rows import SparseRows
from skae.engines.batches import BatchEngine
from skae.engines.threads import ThreadEngine
from skae.rows.data import Data
from skae.rows.source import source
from skae.training.coordinates import Coordinates

PLAIN = Case("logistic", "identity", "squared_error", "none", False, False)
MEAN = np.linspace(0.2, 0.8, D)
KINDS = [scipy.sparse.csr_array, scipy.sparse.csc_array]


def draw(case, dtype=np.float64):
    """The objectives for dense and for sparse rows, rows, weights, and θ of each."""
    dense, X, s, theta = case.draw()
    sparse = case.objective(dtype, make=sparse_objective)
    return dense, sparse, with_zeros(X), s, theta, by_feature(sparse, dense, theta)


def by_feature(sparse, dense, theta):
    """θ, or a gradient, in the order in which the other objective has it."""
    moved = np.empty(theta.size, sparse.dtype)
    here, there = dense.parameters(theta), sparse.parameters(moved)
    there.encoder[:], there.hidden[:] = here.encoder, here.hidden
    there.decoder[:] = here.decoder
    return moved


@every_pair(case=CASES)
def test_loss_and_gradient_are_those_of_dense_rows(case):
    dense, sparse, X, s, theta, moved = draw(case)
    with ThreadEngine(dense, X, s, rows=4) as evaluate:
        loss, gradient, terms = evaluate(theta)
        expected = by_feature(sparse, dense, gradient)
    with ThreadEngine(sparse, scipy.sparse.csr_array(X), s, rows=4) as evaluate:
        value, slope, parts = evaluate(moved)
    assert value == pytest.approx(loss, rel=1e-13)
    assert parts == pytest.approx(terms, rel=1e-12)
    assert list(parts) == list(terms)
    np.testing.assert_allclose(slope, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "activation", sorted(textbook.ACTIVATIONS.keys() - {"softmax"})
)
def test_linear_decoder_against_central_differences(activation, tied, weighted):
    case = Case(activation, "identity", "squared_error", "none", tied, weighted)
    _, sparse, X, s, _, theta = draw(case)
    with ThreadEngine(sparse, scipy.sparse.csr_array(X), s, rows=4) as evaluate:
        gradient = evaluate(theta)[1].copy()
        numeric = central_differences(lambda point: evaluate(point)[0], theta)
    assert_same_direction_and_size(gradient, numeric)


@every_pair(case=CASES)
def test_rows_are_written_out_only_where_they_must_be(case, monkeypatch):
    """Not where output and loss are linear and quadratic, and noise keeps zeros."""
    _, sparse, X, s, _, theta = draw(case)
    written = []
    original = SparseRows.toarray
    monkeypatch.setattr(
        SparseRows,
        "toarray",
        lambda rows, out: written.append(len(rows)) or original(rows, out),
    )
    with ThreadEngine(sparse, scipy.sparse.csr_array(X), s, rows=4) as evaluate:
        evaluate(theta)
    linear = (case.output, case.loss) == ("identity", "squared_error")
    noisy = case.extra.split()[0] in ("gaussian", "salt_and_pepper", "custom")
    keeps_zeros = not noisy and "emphasis" not in case.extra
    assert (not written) == (linear and keeps_zeros)
    assert isinstance(sparse, LinearDecoderObjective) == (not written)
    assert max(written, default=0) <= 4


@every_pair(case=CASES)
def test_a_batch_is_that_of_dense_rows(case):
    """Centred, and with the noise of its draw."""
    dense, sparse, X, s, theta, moved = draw(case)
    index = np.array([7, 3, 11, 3, 0])
    results = []
    for objective, rows, point in (
        (dense, X, theta),
        (sparse, scipy.sparse.csr_array(X), moved),
    ):
        engine = BatchEngine(objective, N, [MEAN])
        for _ in range(2):  # what passes from one batch to the next
            loss, gradient, terms = engine(point, Data(source(rows), s), index, 5.0)
        results.append((loss, gradient, terms))
    (loss, gradient, terms), (value, slope, parts) = results
    assert value == pytest.approx(loss, rel=1e-13)
    assert parts == pytest.approx(terms, rel=1e-12)
    expected = by_feature(sparse, dense, gradient)
    np.testing.assert_allclose(slope, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("output", ["identity", "logistic"])
def test_coordinates_are_those_of_dense_rows(output, tied):
    case = Case("logistic", output, "squared_error", "sparse weights", tied, False)
    dense, sparse, _, _, theta, _ = draw(case)
    one, other = (Coordinates(o, *o.units(MEAN, 3.0), 7.0) for o in (dense, sparse))
    penalties = dense.penalty_weights, sparse.penalty_weights
    moved = partial(by_feature, sparse, dense)
    assert_same_coordinates(one, other, theta, moved, penalties)


# -- rounding ----------------------------------------------------------------------


@pytest.mark.parametrize("noise", [1e-1, 1e-2])
@pytest.mark.parametrize("activation", ["identity", "logistic"])
def test_float32_at_a_nearly_perfect_reconstruction(activation, noise):
    """The loss is a small difference of large numbers: 5e-3 and 5e-5 of ½‖x‖².

    Codes of the logistic are in its middle, where it is nearly linear, so that
    terms of 1e5 times ½‖x‖² cancel. The reference of the loss is Σ ½(x̂ − x)² itself,
    in float64, and that of the gradient the objective that forms x̂.
    """
    n, d, k = 2000, 200, 12
    rng = np.random.default_rng(0)
    A = rng.standard_normal((k, d)) * (rng.random((k, d)) < 0.2)
    S = rng.standard_normal((n, k))
    X = S @ A
    X = (X + noise * X.std() * rng.standard_normal((n, d))).astype(np.float32)
    W, b, D, c = np.linalg.pinv(A).T, np.zeros(k), A, np.zeros(d)
    if activation == "logistic":
        W, D = 0.02 * W, A / (0.02 / 4)
        c = -0.5 * D.sum(axis=0)
    W, b, D, c = (a.astype(np.float32) for a in (W, b, D, c))

    objective = sparse_objective(d, k, activation=activation, dtype=np.float32)
    theta = np.empty(objective.layout.size, np.float32)
    p = objective.parameters(theta)
    p.encoder[:], p.hidden[:], p.decoder[:-1], p.decoder[-1] = W, b, D, c
    with ThreadEngine(objective, scipy.sparse.csr_array(X)) as evaluate:
        loss, gradient, _ = evaluate(theta)
    arrays = (a.astype(np.float64) for a in (X, W, b, D, c))
    expected = textbook.terms(
        *arrays, activation=activation, output="identity", loss="squared_error", alpha=0
    )["reconstruction"]
    assert expected < noise**2 * 0.5 * (X**2).sum(axis=1).mean()
    # Codes themselves are rounded to 6e-8: what is left of them in x̂ is that.
    assert loss == pytest.approx(expected, rel=1e-5)
    assert gradient.dtype == np.float32

    dense = AutoencoderObjective(d, k, activation=activation)
    with ThreadEngine(dense, X.astype(np.float64)) as evaluate:
        slope = evaluate(by_feature(dense, objective, theta))[1]
    slope = dense.parameters(slope).decoder
    error = np.abs(objective.parameters(gradient).decoder - slope).max()
    assert error <= 3e-3 * np.abs(slope).max()


def test_loss_of_a_perfect_reconstruction_is_not_negative():
    rng = np.random.default_rng(0)
    A, S = rng.standard_normal((K, D)), 100 * rng.standard_normal((50, K))
    objective = sparse_objective(D, K, activation="identity")
    theta = np.zeros(objective.layout.size)
    p = objective.parameters(theta)
    p.encoder[:], p.decoder[:-1] = np.linalg.pinv(A).T, A
    with ThreadEngine(objective, scipy.sparse.csr_array(S @ A)) as evaluate:
        loss = evaluate(theta)[0]
    assert 0 <= loss < 1e-10


# -- noise -------------------------------------------------------------------------


@every_pair(level=[0.0, 0.4, 1.0], at_a_time=[1, 2 * D, 2**20], kind=KINDS)
def test_masking_of_entries_is_that_of_whole_rows(level, kind, at_a_time, monkeypatch):
    monkeypatch.setattr("skae.core.corruptions._NUMBERS_AT_A_TIME", at_a_time)
    X = with_zeros(np.random.default_rng(1).uniform(size=(20, D)))
    noise = Noise(Masking(level), seed=3)
    rows = SparseRows(kind(X))
    for draw in (0, 7, 7, 1):
        expected = np.empty_like(X)
        noise(X, start=5, draw=draw, out=expected)
        masked = rows.masked(noise, start=5, draw=draw)
        np.testing.assert_array_equal(masked.matrix.toarray(), expected)
    np.testing.assert_array_equal(rows.matrix.toarray(), X)  # only ever read


@every_pair(at_a_time=[1, 2 * D, 2**20], dtype=[np.float32, np.float64], kind=KINDS)
def test_dropout_of_entries_is_that_of_whole_rows(kind, dtype, at_a_time, monkeypatch):
    monkeypatch.setattr("skae.core.corruptions._NUMBERS_AT_A_TIME", at_a_time)
    X = with_zeros(np.random.default_rng(1).uniform(size=(20, D))).astype(dtype)
    dropout, rows = Dropout(0.3, seed=3, layer=1), SparseRows(kind(X))
    for draw in (0, 7, 7, 1):
        factors = np.empty_like(X)
        dropout(5, draw, out=factors)
        found = rows.masked(dropout, start=5, draw=draw).matrix
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.toarray(), X * factors)
    np.testing.assert_array_equal(rows.matrix.toarray(), X)  # only ever read


def test_the_noise_of_rows_is_kept_for_the_same_noise_only():
    """Another one, another draw or another place in the data meets noise of its own."""
    X = np.ones((20, D))
    rows = SparseRows(scipy.sparse.csr_array(X))
    places = [(0.4, 3, 0, 0), (0.4, 4, 0, 0), (0.4, 3, 0, 1), (0.7, 3, 0, 0)]
    seen = set()
    for level, seed, start, draw in [*places, (0.4, 3, 5, 0), *places]:
        noise = Noise(Masking(level), seed)  # the one before may lie where it lay
        expected = np.empty_like(X)
        noise(X, start=start, draw=draw, out=expected)
        masked = rows.masked(noise, start, draw)
        np.testing.assert_array_equal(masked.matrix.toarray(), expected)
        assert rows.masked(noise, start, draw) is masked
        seen.add(expected.tobytes())
        del noise
    assert len(seen) == 5


def test_squared_norms():
    X = with_zeros(np.random.default_rng(1).uniform(size=(20, D)))
    for kind in (scipy.sparse.csr_array, scipy.sparse.csc_matrix):
        norms = SparseRows(kind(X.astype(np.float32))).squared_norms
        assert norms.dtype == np.float64
        np.testing.assert_allclose(norms, (X**2).sum(axis=1), rtol=1e-6)


def test_other_outputs_still_encode_sparse_rows():
    """A block of targets is dense, its inputs are not."""
    case = Case("tanh", "logistic", "log_loss", "none", False, False)
    _, sparse, X, _, _, theta = draw(case)
    assert type(sparse) is SparseRowsObjective
    block = SparseRows(scipy.sparse.csr_array(X))
    parameters = sparse.parameters(theta)
    inputs, _ = sparse.inputs(parameters, Block(block, None, 0), sparse.workspace(N))
    assert inputs is block
