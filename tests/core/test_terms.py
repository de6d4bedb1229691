"""A term of the loss needs nothing of the objective but the forward pass."""

import numpy as np
import pytest
import scipy.sparse
from compare import assert_same_direction_and_size, central_differences
from objectives import RHO, D, K, N
from sparse_data import with_zeros

from skae.core.activations import ACTIVATIONS
from skae.core.autoencoder import AutoencoderObjective
from skae.core.corruptions import Masking, Noise
from skae.core.penalties import L1, Contraction, KullbackLeibler
from skae.core.sparse_autoencoder import LinearDecoderObjective, sparse_objective
from skae.core.terms import BaseTerm
from skae.engines.threads import ThreadEngine

KL = KullbackLeibler(RHO, 3.0, (0.0, 1.0))


class Product(BaseTerm):
    """(1/n) Σ_i a ‖x̂_i − x_i‖⁴ (u·h_i)² exp(v·x̃_i) (W₀₀ + 1), of all there is."""

    name = "product"
    needs_reconstruction = True
    u, v = np.linspace(-1, 1, K), np.linspace(0.5, -0.5, D)

    def __init__(self, a):
        self.a = a

    def parts(self, forward):
        X = forward.inputs
        X = X.matrix.toarray() if hasattr(X, "matrix") else X
        residual = forward.residual
        s = 1 if forward.weights is None else forward.weights
        by_inputs = self.a * s * np.exp(X @ self.v)
        size = 1 + forward.parameters.encoder[0, 0]
        return residual, np.vecdot(residual, residual), by_inputs * size, size

    def add_to_reconstruction(self, forward, slope):
        residual, square, factor, _ = self.parts(forward)
        score = self.u @ forward.codes
        slope += (4 * factor * square * score**2)[:, np.newaxis] * residual
        forward.notes[self] = square, factor, score
        return float((factor * square**2 * score**2).sum())

    def add_to_codes(self, forward, delta):
        square, factor, score = forward.notes[self]
        delta += self.u[:, np.newaxis] * (2 * factor * square**2 * score)
        return 0.0

    def add_to_parameters(self, forward, gradient):
        square, factor, score = forward.notes[self]
        size = 1 + forward.parameters.encoder[0, 0]
        gradient.encoder[0, 0] += (factor * square**2 * score**2).sum() / size
        return 0.0


class Value(BaseTerm):
    """A term of the pre-activations: (1/n) Σ_i a Σ_j sin z_ij, for logistic codes."""

    name = "value"

    def __init__(self, a):
        self.a = a

    def add_to_preactivations(self, forward, epsilon):
        H = forward.codes
        Z = np.log(H / (1 - H))
        s = 1 if forward.weights is None else forward.weights
        epsilon += self.a * s * np.cos(Z)
        return float((self.a * s * np.sin(Z)).sum())


def evaluate(objective, X, s, theta, **options):
    with ThreadEngine(objective, X, s, rows=4, **options) as engine:
        loss, gradient, terms = engine(theta)
        return loss, gradient.copy(), terms


def draw(objective, weighted):
    rng = np.random.default_rng(0)
    X = with_zeros(rng.uniform(0.1, 0.9, (N, D)))
    s = rng.uniform(0.5, 2, N) if weighted else None
    return X, s, 0.5 * rng.standard_normal(objective.layout.size)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("identity", "squared_error"),
        ("tanh", "squared_error"),
        ("logistic", "log_loss"),
    ],
)
def test_gradient_against_central_differences(output, loss, sparse, tied, weighted):
    make = sparse_objective if sparse else AutoencoderObjective
    objective = make(
        *(D, K),
        output=output,
        loss=loss,
        alpha=0.1,
        terms=[Product(0.7), KL, Value(0.3), L1(0.2)],
        noise=Noise(Masking(0.3), seed=3),
        tied_weights=tied,
    )
    X, s, theta = draw(objective, weighted)
    X = scipy.sparse.csr_array(X) if sparse else X
    with ThreadEngine(objective, X, s, rows=4) as engine:
        gradient = engine(theta)[1].copy()
        numeric = central_differences(lambda point: engine(point)[0], theta)
    assert_same_direction_and_size(gradient, numeric)


@pytest.mark.parametrize("sparse", [False, True])
def test_value_is_the_formula(sparse):
    make = sparse_objective if sparse else AutoencoderObjective
    objective = make(D, K, output="tanh", terms=[Product(0.7), Value(0.3)])
    X, s, theta = draw(objective, weighted=True)
    terms = evaluate(objective, scipy.sparse.csr_array(X) if sparse else X, s, theta)[2]
    p = objective.parameters(theta)
    Z = X @ p.encoder.T + p.hidden
    H = 1 / (1 + np.exp(-Z))
    residual = np.tanh(H @ p.decoder[:-1] + p.decoder[-1]) - X
    product = 0.7 * (residual**2).sum(axis=1) ** 2 * (H @ Product.u) ** 2
    product *= np.exp(X @ Product.v) * (1 + p.encoder[0, 0])
    expected = np.average(product, weights=s)
    assert terms["product"] == pytest.approx(expected, rel=1e-12)
    expected = np.average(0.3 * np.sin(Z).sum(axis=1), weights=s)
    assert terms["value"] == pytest.approx(expected, rel=1e-12)


def test_a_term_changes_no_bit_of_another():
    plain, both = (
        AutoencoderObjective(D, K, alpha=0.1, terms=terms)
        for terms in ([KL], [KL, Product(0.0)])
    )
    X, s, theta = draw(plain, weighted=True)
    loss, gradient, terms = evaluate(plain, X, s, theta)
    found, slope, parts = evaluate(both, X, s, theta)
    assert found == loss
    np.testing.assert_array_equal(slope, gradient)
    assert parts == terms | {"product": 0.0}


def test_keys_of_the_loss_are_in_one_order():
    tanh = ACTIVATIONS["tanh"]
    everything = [Contraction(0.5, tanh), Product(0.1), L1(0.2)]
    for terms, names in (
        ([], []),
        (everything[:1], ["contraction"]),
        (everything, ["contraction", "product"]),
    ):
        objective = AutoencoderObjective(D, K, activation="tanh", l1=0.1, terms=terms)
        X, s, theta = draw(objective, weighted=False)
        loss, _, found = evaluate(objective, X, s, theta)
        assert list(found) == ["reconstruction", "decay", "sparsity", *names, "l1"]
        assert loss == sum(found.values())
        assert (found["sparsity"] == 0.0) == (len(terms) < 3)


def test_terms_of_one_name_are_added_up():
    one, two = (
        AutoencoderObjective(D, K, terms=terms) for terms in ([KL], [KL, L1(0.2), KL])
    )
    X, s, theta = draw(one, weighted=True)
    l1 = evaluate(AutoencoderObjective(D, K, terms=[L1(0.2)]), X, s, theta)
    plain = evaluate(AutoencoderObjective(D, K), X, s, theta)
    _, gradient, terms = evaluate(one, X, s, theta)
    _, slope, parts = evaluate(two, X, s, theta)
    expected = 2 * terms["sparsity"] + l1[2]["sparsity"]
    assert parts["sparsity"] == pytest.approx(expected, rel=1e-13)
    expected = 2 * gradient + l1[1] - 2 * plain[1]
    np.testing.assert_allclose(slope, expected, rtol=1e-11, atol=1e-14)


def test_terms_of_the_mean_code_alone_make_an_objective_gather():
    for terms, gathers in (([], False), ([L1(1.0)], False), ([L1(1.0), KL], True)):
        assert AutoencoderObjective(D, K, terms=terms).gathers == gathers


def test_reconstructions_are_formed_only_for_those_who_need_them(monkeypatch):
    seen = []
    original = BaseTerm.add_to_codes
    monkeypatch.setattr(
        BaseTerm,
        "add_to_codes",
        lambda term, forward, delta: (
            seen.append(forward.reconstruction) or original(term, forward, delta)
        ),
    )
    for terms in ([KL], [KL, Product(0.1)]):
        objective = AutoencoderObjective(D, K, terms=terms)
        X, s, theta = draw(objective, weighted=False)
        seen.clear()
        evaluate(objective, X, s, theta)
        assert all((x is None) == (len(terms) == 1) for x in seen) and seen
    sparse = [sparse_objective(D, K, terms=terms) for terms in ([KL], [Product(0.1)])]
    is_linear = [isinstance(each, LinearDecoderObjective) for each in sparse]
    assert is_linear == [True, False]


@pytest.mark.parametrize("n_threads", [2, 3])
def test_number_of_threads_changes_no_bit(n_threads):
    objective = AutoencoderObjective(D, K, terms=[Product(0.7), KL, Value(0.3)])
    X, s, theta = draw(objective, weighted=True)
    expected = evaluate(objective, X, s, theta, n_threads=1)
    found = evaluate(objective, X, s, theta, n_threads=n_threads)
    assert (found[0], found[2]) == (expected[0], expected[2])
    np.testing.assert_array_equal(found[1], expected[1])
