"""The TopK autoencoder's loss, gradient and selection, against their definitions."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skae.core.top_k import TopKObjective
from skae.core.top_k_codes import Codes, DenseProducts, SparseProducts, products_of
from skae.core.top_k_selection import BatchSelection, RowSelection, places

N, D, ROWS = 9, 5, 12


class Fixed:
    """A selection of entries that are given: the support that gradients hold fixed."""

    def __init__(self, support):
        self.support = support

    def of_batch(self, P, weights, threshold):
        return self.support


def problem(prefixes=(N,), seed=0, selection=None, n_auxiliary=None):
    random = np.random.RandomState(seed)
    X = random.normal(1.0, 1.0, (ROWS, D))
    if selection is None:
        selection = BatchSelection(3)
    objective = TopKObjective(
        D,
        N,
        selection=selection,
        prefixes=prefixes,
        dtype=np.float64,
        matrix=csr_array,
        auxiliary_weight=0.7,
        dead_after=3,
        unit=2.5,
    )
    if n_auxiliary is not None:
        objective.n_auxiliary = n_auxiliary
    theta = objective.start(random, X.mean(axis=0), X - X.mean(axis=0))
    theta += 0.1 * random.standard_normal(theta.size)
    objective.normalise(theta)
    return objective, theta, X, random


def textbook(objective, theta, X, s, support, dead, held=None):
    """The loss by dense matrices, at a fixed support; and the errors of all units."""
    at = objective.layout.views(theta)
    P = (X - at.c) @ at.W.T + at.b
    H = np.where(support, P, 0.0)
    losses = []
    for p in objective.prefixes:
        reconstructed = H[:, :p] @ at.D[:p] + at.c
        losses.append(s @ ((reconstructed - X) ** 2).sum(axis=1) / s.sum())
    loss = np.mean(losses)
    e = X - (H @ at.D + at.c) if held is None else held
    if len(dead):
        U = np.maximum(P[:, dead], 0)
        if len(dead) > objective.n_auxiliary:
            smallest = np.sort(P[:, dead], axis=1)[:, -objective.n_auxiliary]
            U[P[:, dead] < smallest[:, np.newaxis]] = 0
        remains = s @ ((e - U @ at.D[dead]) ** 2).sum(axis=1)
        centred = e - np.average(e, axis=0, weights=s)
        ratio = remains / (s @ (centred**2).sum(axis=1))
        loss += objective.auxiliary_weight * objective.unit * ratio
    return loss, e


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("prefixes", "dead", "n_auxiliary"),
    [
        ((N,), [], None),
        ((2, 5, N), [], None),
        ((N,), [1, 4], None),
        ((3, N), [0, 2, 6, 7], 2),
    ],
)
def test_loss_and_gradient_are_those_of_the_definition(
    prefixes, dead, n_auxiliary, weighted
):
    dead = np.array(dead, dtype=int)
    objective, theta, X, random = problem(prefixes, n_auxiliary=n_auxiliary)
    s = random.uniform(0.5, 2, ROWS) if weighted else np.ones(ROWS)
    at = objective.layout.views(theta)
    P = (X - at.c) @ at.W.T + at.b
    P[:, dead] = -1  # dead units are silent here too
    flat = np.sort(np.argsort(-P.ravel())[: 3 * ROWS])
    objective.selection = Fixed(flat)
    support = np.zeros((ROWS, N), bool)
    support.flat[flat] = True

    weights = s if weighted else None
    found = objective.evaluate(theta, X, weights, s.sum(), dead)
    loss, e = textbook(objective, theta, X, s, support, dead)
    assert found.loss == pytest.approx(loss, rel=1e-12)
    assert sum(found.terms.values()) == pytest.approx(loss, rel=1e-12)

    gradient = found.gradient.copy()
    numerical = np.empty_like(gradient)
    for i in range(theta.size):
        step = np.zeros(theta.size)
        step[i] = 1e-6
        above, below = (
            textbook(objective, theta + sign * step, X, s, support, dead, held=e)[0]
            for sign in (1, -1)
        )
        numerical[i] = (above - below) / 2e-6
    # Of the atoms, only what lies across them.
    slope = objective.layout.views(numerical)
    slope.D -= (slope.D * at.D).sum(axis=1, keepdims=True) * at.D
    error = np.linalg.norm(gradient - numerical) / np.linalg.norm(gradient + numerical)
    assert error < 1e-7


def test_batch_selection_is_the_largest_of_all():
    P = np.random.RandomState(1).standard_normal((20, 30))
    expected = np.sort(np.argsort(-P.ravel())[:50])
    for threshold in (0.0, 0.5, 1.5, 100.0):
        found = BatchSelection(2.5).of_batch(P, None, threshold)
        assert (found == expected).all()


def test_row_selection_is_the_largest_of_each_row():
    P = np.random.RandomState(1).standard_normal((20, 30))
    kept = np.zeros(P.shape, bool)
    kept[np.arange(20)[:, np.newaxis], np.argsort(-P, axis=1)[:, :4]] = True
    assert (RowSelection(4).of_rows(P, 0.0) == np.flatnonzero(kept)).all()


@pytest.mark.parametrize("selection", [BatchSelection(2), RowSelection(2)])
def test_ties_go_to_those_that_come_first(selection):
    P = np.ones((2, 4))
    expected = [0, 1, 2, 3] if isinstance(selection, BatchSelection) else [0, 1, 4, 5]
    assert selection.of_batch(P, None, 0.0).tolist() == expected


@pytest.mark.parametrize("selection", [BatchSelection(3), RowSelection(3)])
def test_nothing_that_is_not_above_zero_is_kept(selection):
    P = np.array([[-1.0, 0.0, 2.0, -3.0], [-1.0, -1.0, 0.0, -2.0]])
    assert selection.of_batch(P, None, 0.0).tolist() == [2]
    assert selection.of_rows(P, -1.0).tolist() == [2]


def test_weighted_rows_are_repeated_rows():
    P = np.random.RandomState(2).standard_normal((6, 8))
    weights = np.array([1.0, 2.0, 1.0, 3.0, 1.0, 2.0])
    # One code more or less, where repetitions of one lie on either side.
    repeated = np.repeat(P, weights.astype(int), axis=0)
    least = np.sort(repeated.ravel())[-20]
    found = BatchSelection(2).of_batch(P, weights, 0.0)
    assert set(np.flatnonzero(P.ravel() > least)) <= set(found.tolist())
    assert P.ravel()[found].min() >= least


@pytest.mark.parametrize("kind", [SparseProducts, DenseProducts])
@pytest.mark.parametrize("prefixes", [(N,), (2, 5, N)])
def test_loss_and_gradient_do_not_depend_on_the_kind_of_products(
    prefixes, kind, monkeypatch
):
    objective, theta, X, random = problem(prefixes)
    s = random.uniform(0.5, 2, ROWS)
    expected = objective.evaluate(theta, X, s, ROWS, np.array([1]))
    loss, gradient = expected.loss, expected.gradient.copy()
    monkeypatch.setattr(
        "skae.core.top_k.products_of", lambda codes, prefixes, d: kind(codes, prefixes)
    )
    found = objective.evaluate(theta, X, s, ROWS, np.array([1]))
    assert found.loss == pytest.approx(loss)
    assert found.gradient == pytest.approx(gradient)


@pytest.mark.parametrize("kind", [SparseProducts, DenseProducts])
def test_residuals_of_prefixes_add_up_those_of_larger_ones(kind):
    random = np.random.RandomState(3)
    A, atoms = random.standard_normal((7, D)), random.standard_normal((N, D))
    H = random.uniform(0.5, 1, (7, N)) * (random.uniform(size=(7, N)) < 0.4)
    H[2] = 0
    support = np.flatnonzero(H)
    codes = Codes(support, H.ravel()[support], H.shape, csr_array)
    found = kind(codes, (2, 5, N)).residuals(atoms, A)
    errors = [H[:, :p] @ atoms[:p] - A for p in (2, 5, N)]
    for g in range(3):
        assert found[:, g] == pytest.approx(sum(errors[g:]))


def test_products_are_sparse_where_codes_are_few():
    few = Codes(np.arange(1000), np.ones(1000), (1000, 5000), csr_array)
    assert isinstance(products_of(few, (5000,), 50), SparseProducts)
    many = Codes(np.arange(250_000), np.ones(250_000), (100, 5000), csr_array)
    assert isinstance(products_of(many, (5000,), 50), DenseProducts)


@pytest.mark.parametrize("n", [0, 7, 8, 1001])
def test_places_are_those_of_what_is_true(n):
    mask = np.random.RandomState(n).uniform(size=n) < 0.1
    assert places(mask).tolist() == np.flatnonzero(mask).tolist()


@pytest.mark.parametrize("levels", [3, 10_000])  # with many ties, and with none
def test_row_selection_by_groups_is_that_of_a_stable_sort(levels):
    P = np.floor(np.random.RandomState(5).uniform(-0.5, 1, (30, 200)) * levels)
    order = np.argsort(-P, axis=1, kind="stable")[:, :7]
    kept = np.zeros(P.shape, bool)
    kept[np.arange(30)[:, np.newaxis], order] = True
    assert (RowSelection(7).of_rows(P, 0.0) == np.flatnonzero(kept & (P > 0))).all()


def test_start_scales_the_encoder_to_the_best_reconstruction():
    objective, _, X, _ = problem()
    A = X - X.mean(axis=0)
    theta = objective.start(np.random.RandomState(4), X.mean(axis=0), A)
    at = objective.layout.views(theta)
    assert np.linalg.norm(at.D, axis=1) == pytest.approx(1)

    def errors(factor):
        support = objective.selection.of_batch(A @ at.D.T, None, 0.0)
        H = np.zeros((ROWS, N))
        H.flat[support] = (A @ at.W.T).ravel()[support]
        return ((factor * H @ at.D - A) ** 2).sum()

    assert errors(1) < min(errors(0.99), errors(1.01))
