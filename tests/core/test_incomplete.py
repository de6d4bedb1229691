"""Objectives of rows with missing entries: the formula over observed entries alone."""

import numpy as np
import pytest
import textbook
from compare import (
    assert_same_bits,
    assert_same_direction_and_size,
    central_differences,
)
from covering import every_pair
from networks import NetworkCase
from objectives import ALPHA, CASES, IN_TEXTBOOK, D, is_noisy
from scipy.sparse import csr_array

from skae.core.activations import ACTIVATIONS
from skae.core.autoencoder import AutoencoderObjective
from skae.core.incomplete import (
    IncompleteAutoencoder,
    IncompleteNetwork,
    as_bits,
    filled,
    write_observed,
)
from skae.core.losses import LOSSES
from skae.core.network import NetworkObjective
from skae.core.terms import BaseTerm
from skae.engines.threads import ThreadEngine
from skae.rows.incomplete import incomplete

FILL = np.linspace(0.3, 0.7, D)
NETWORKS = [
    NetworkCase(depth, activation, output, loss, targets, weighted, dropout)
    for depth in (1, 2, 3)
    for activation in ACTIVATIONS
    for loss in LOSSES
    for output in LOSSES[loss].outputs
    for targets in (False, True)
    for weighted in (False, True)
    for dropout in (False, True)
]


def with_fill(**options):
    return lambda *args, **kwargs: IncompleteAutoencoder(
        *args, fill=FILL, **kwargs, **options
    )


def network(*args, **kwargs):
    return IncompleteNetwork(*args, fill=FILL, **kwargs)


def holes(X, seed=5):
    """A copy in which 30 % is missing, all of row 2 included."""
    missing = np.random.default_rng(seed).uniform(size=X.shape) < 0.3
    missing[2] = True
    return np.where(missing, np.nan, X)


def draw(case):
    """Objective, rows with holes, weights, and a θ with no kink within 1e-3."""
    for seed in range(100):
        objective = case.objective(make=with_fill())
        _, X, s, theta = case.draw(seed)
        X = holes(X)
        inputs = np.where(np.isnan(X), FILL, X)
        if objective.noise is not None:
            objective.noise(inputs.copy(), start=0, draw=0, out=inputs)
        p = objective.parameters(theta)
        before = inputs @ p.encoder.T + p.hidden
        codes = textbook.ACTIVATIONS[case.activation](before)
        after = codes @ p.decoder[:-1] + p.decoder[-1]
        if min(np.abs(before).min(), np.abs(after).min()) > 1e-3:
            return objective, X, s, theta
    raise AssertionError("kinks everywhere")


def textbook_terms(case, objective, X, s, theta):
    """Those of the complete, filled rows, but for errors of entries never seen."""
    p = objective.parameters(theta)
    observed, inputs = ~np.isnan(X), np.where(np.isnan(X), FILL, X)
    layers = p.encoder, p.hidden, p.decoder[:-1], p.decoder[-1]
    terms = textbook.terms(
        *(inputs, *layers),
        activation=case.activation,
        output=case.output,
        loss=case.loss,
        alpha=ALPHA,
        s=s,
        **IN_TEXTBOOK[case.extra],
    )
    codes = textbook.codes(inputs, p.encoder, p.hidden, case.activation)
    output = textbook.ACTIVATIONS[case.output](codes @ p.decoder[:-1] + p.decoder[-1])
    errors = textbook.LOSSES[case.loss](inputs, output)
    errors = np.where(observed, errors, 0).sum(axis=1)
    return terms | {"reconstruction": np.average(errors, weights=s)}


@every_pair(case=CASES)
def test_loss_is_the_formula_and_the_gradient_its_derivative(case):
    objective, X, s, theta = draw(case)
    with ThreadEngine(objective, X, s, rows=4) as evaluate:
        loss, gradient, terms = evaluate(theta)
        c = objective.penalty_weights
        gradient = gradient + (0 if c is None else c * np.sign(theta))
        assert evaluate.data_loss(theta) == terms["reconstruction"]
    with ThreadEngine(objective, X, s, rows=len(X)) as whole:
        numeric = central_differences(lambda point: whole(point)[0], theta)
    assert_same_direction_and_size(gradient, numeric)
    assert loss == pytest.approx(sum(terms.values()), rel=1e-12, abs=0)
    if not is_noisy(case):
        expected = textbook_terms(case, objective, X, s, theta)
        assert terms == pytest.approx(expected, rel=1e-12, abs=0)


@every_pair(case=NETWORKS)
def test_gradient_of_a_network(case):
    for seed in range(100):
        _, X, T, s, theta = case.draw(seed)
        objective = case.objective(make=network)
        X = holes(X)
        with ThreadEngine(objective, X, s, targets=T, rows=4) as evaluate:
            _, gradient, terms = evaluate(theta)
            assert evaluate.data_loss(theta) == terms["loss"]
        with ThreadEngine(objective, X, s, targets=T, rows=len(X)) as evaluate:
            numeric = central_differences(lambda point: evaluate(point)[0], theta)
        difference = np.linalg.norm(numeric - gradient)
        if difference < 1e-8 * np.linalg.norm(numeric + gradient):
            return
        assert case.activation == "relu" or case.output == "relu"  # a kink is near
    raise AssertionError("kinks everywhere")


@every_pair(case=CASES[::7], dtype=[np.float32, np.float64])
def test_complete_rows_have_the_bits_of_the_plain_objective(case, dtype):
    _, X, s, theta = case.draw()
    X, theta = X.astype(dtype), theta.astype(dtype)
    s = None if s is None else s.astype(dtype)
    plain, other = (
        case.objective(dtype, make) for make in (AutoencoderObjective, with_fill())
    )
    results = []
    for objective in (plain, other):
        with ThreadEngine(objective, X, s, rows=5) as evaluate:
            loss, gradient, terms = evaluate(theta)
            results.append((loss, gradient.copy(), terms))
    assert_same_bits(*results)


@pytest.mark.parametrize("case", NETWORKS[::17], ids=str)
def test_complete_rows_have_the_bits_of_the_plain_network(case):
    _, X, T, s, theta = case.draw()
    results = []
    for make in (NetworkObjective, network):
        objective = case.objective(make=make)
        with ThreadEngine(objective, X, s, targets=T, rows=5) as evaluate:
            loss, gradient, terms = evaluate(theta)
            results.append((loss, gradient.copy(), terms))
    assert_same_bits(*results)


@pytest.mark.parametrize("case", [c for c in CASES if c.weighted][::23], ids=str)
def test_integer_weights_are_repeated_rows(case):
    if is_noisy(case):
        return  # each repetition meets noise of its own
    objective, X, s, theta = draw(case)
    s = np.arange(len(X)) % 3.0
    with ThreadEngine(objective, X, s, rows=4) as weighted:
        loss, gradient, _ = weighted(theta)
        gradient = gradient.copy()
    with ThreadEngine(objective, np.repeat(X, s.astype(int), axis=0)) as repeated:
        same, its_gradient, _ = repeated(theta)
        np.testing.assert_allclose(gradient, its_gradient, rtol=1e-10, atol=1e-13)
    assert loss == pytest.approx(same, rel=1e-12)


@pytest.mark.parametrize("case", NETWORKS[::17], ids=str)
def test_rows_filled_once_have_the_bits_of_rows_filled_on_the_way(case, monkeypatch):
    """As those of a large memory map are."""
    _, X, T, s, theta = case.draw()
    results = []
    for large in (False, True):
        monkeypatch.setattr(
            "skae.rows.incomplete.is_large_map", lambda X, large=large: large
        )
        rows, objective = incomplete(holes(X), FILL), case.objective(make=network)
        with ThreadEngine(objective, rows, s, targets=T, rows=5) as evaluate:
            loss, gradient, terms = evaluate(theta)
            results.append((loss, gradient.copy(), terms))
    assert_same_bits(*results)


@pytest.mark.parametrize("case", CASES[::37], ids=str)
def test_rows_of_a_matrix_are_as_those_of_an_array(case):
    """Explicit NaN is missing, what is not stored is zero."""
    objective, X, s, theta = draw(case)
    X[3] = np.where(np.isnan(X[3]), X[3], 0)
    X[:, 1] = np.where(np.isnan(X[:, 1]), X[:, 1], 0)
    results = []
    for rows in (X, csr_array(X)):
        with ThreadEngine(objective, incomplete(rows, FILL), s, rows=4) as evaluate:
            loss, gradient, terms = evaluate(theta)
            results.append((loss, gradient.copy(), terms))
    assert_same_bits(*results)


def test_a_term_of_the_reconstruction_finds_no_error_where_nothing_was_seen():
    seen = []

    class Looks(BaseTerm):
        needs_reconstruction = True

        def add_to_parameters(self, forward, gradient):
            seen.append(forward.residual)
            return 0.0

    objective = IncompleteAutoencoder(D, 3, terms=[Looks()], fill=FILL)
    rng = np.random.default_rng(0)
    X = holes(rng.uniform(size=(6, D)))
    with ThreadEngine(objective, X) as evaluate:
        evaluate(rng.standard_normal(objective.layout.size))
    (residual,) = seen
    assert (residual[np.isnan(X)] == 0).all()
    assert (residual[~np.isnan(X)] != 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits(dtype):
    X = holes(np.random.default_rng(1).standard_normal((7, D))).astype(dtype)
    X[0, :3] = 0.0, -0.0, np.finfo(dtype).max
    fill = FILL.astype(dtype)
    expected = np.where(np.isnan(X), fill, X)
    assert filled(X, fill).tobytes() == expected.tobytes()
    assert filled(np.asfortranarray(X), fill).tobytes() == expected.tobytes()
    bits = as_bits(np.empty_like(X))
    write_observed(X, bits)
    np.testing.assert_array_equal(bits, np.where(np.isnan(X), 0, -1))
