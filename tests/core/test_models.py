"""Parameters start, move between coordinates and are kept as they are said to be."""

from functools import partial

import numpy as np
import pytest
from objectives import RHO, D, K

from skae.core.activations import ACTIVATIONS
from skae.core.autoencoder import AutoencoderObjective
from skae.core.network import NetworkObjective
from skae.core.penalties import L1, KullbackLeibler
from skae.core.sparse_autoencoder import sparse_objective
from skae.core.sparse_network import sparse_network

NETWORK = {"output": "softmax", "loss": "cross_entropy", "alphas": [0.1] * 3}
AUTOENCODERS = [
    partial(make, D, K, tied_weights=tied)
    for make in (AutoencoderObjective, sparse_objective)
    for tied in (False, True)
]
NETWORKS = [
    partial(make, (D, K, 3, 2), ["tanh", "relu"], **NETWORK)
    for make in (NetworkObjective, partial(sparse_network, reconstructs=False))
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", AUTOENCODERS + NETWORKS)
def test_attributes_go_there_and_back(make, dtype):
    objective = make(dtype=dtype)
    theta = np.random.default_rng(0).standard_normal(objective.layout.size)
    theta = theta.astype(dtype)
    before = theta.copy()
    attributes = objective.attributes(theta)
    back = objective.theta_of({**attributes, "another_": None})
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, theta)
    theta.fill(0)  # they are copies
    np.testing.assert_array_equal(objective.theta_of(attributes), before)


@pytest.mark.parametrize("make", AUTOENCODERS)
def test_attributes_of_an_autoencoder(make):
    objective = make()
    theta = np.random.default_rng(0).standard_normal(objective.layout.size)
    p, found = objective.parameters(theta), objective.attributes(theta)
    np.testing.assert_array_equal(found["components_"], p.encoder)
    np.testing.assert_array_equal(found["intercept_hidden_"], p.hidden)
    np.testing.assert_array_equal(found["decoder_components_"], p.decoder[:-1])
    np.testing.assert_array_equal(found["intercept_visible_"], p.decoder[-1])
    tied = found["components_"] is found["decoder_components_"]
    assert tied == objective.tied_weights


@pytest.mark.parametrize("make", NETWORKS)
def test_attributes_of_a_network(make):
    objective = make()
    theta = np.random.default_rng(0).standard_normal(objective.layout.size)
    p, found = objective.parameters(theta), objective.attributes(theta)
    assert [W.shape for W in found["coefs_"]] == [(D, K), (K, 3), (3, 2)]
    for W, b, coefs, intercepts in zip(
        p.coefs, p.intercepts, found["coefs_"], found["intercepts_"], strict=True
    ):
        np.testing.assert_array_equal(coefs, W.T)
        np.testing.assert_array_equal(intercepts, b)


@pytest.mark.parametrize("make", AUTOENCODERS)
def test_start_of_an_autoencoder(make):
    objective = make()
    p = objective.parameters(objective.start(np.random.RandomState(3)))
    random_state, bound = np.random.RandomState(3), (6 / (D + K + 1)) ** 0.5
    np.testing.assert_array_equal(
        p.decoder[:-1], random_state.uniform(-bound, bound, (K, D))
    )
    if not objective.tied_weights:
        np.testing.assert_array_equal(
            p.encoder, random_state.uniform(-bound, bound, (K, D))
        )
    assert not p.hidden.any() and not p.decoder[-1].any()


@pytest.mark.parametrize("activation", ["logistic", "tanh"])
def test_units_start_at_the_mean_code_that_a_term_aims_at(activation):
    f = ACTIVATIONS[activation]
    low, high = f.bounds
    terms = [L1(1.0), KullbackLeibler(RHO, 3.0, f.bounds)]
    objective = AutoencoderObjective(D, K, activation=activation, terms=terms)
    start = objective.parameters(objective.start(np.random.RandomState(0)))
    f.apply(start.hidden)
    np.testing.assert_allclose(start.hidden, low + RHO * (high - low))


@pytest.mark.parametrize("make", NETWORKS)
def test_start_of_a_network(make):
    objective = make()
    p = objective.parameters(objective.start(np.random.RandomState(3)))
    random_state = np.random.RandomState(3)
    for W, b in p.layers:
        bound = (6 / sum(W.shape)) ** 0.5
        np.testing.assert_array_equal(W, random_state.uniform(-bound, bound, W.shape))
        assert not b.any()


@pytest.mark.parametrize("make", AUTOENCODERS + NETWORKS)
def test_units_are_in_double_precision(make):
    objective = make(dtype=np.float32)
    of_targets = [np.full(2, 0.5), 2.0] if hasattr(objective, "depth") else []
    scale, shift, centers = objective.units(np.linspace(0, 1, D), 3.0, *of_targets)
    assert scale.shape == shift.shape == (objective.layout.size,)
    assert {a.dtype for a in (scale, shift, *centers)} == {np.dtype(np.float64)}
    widths = [W.shape[1] for W, _ in objective.parameters(scale).layers]
    assert [len(m) for m in centers] == widths[: len(centers)]


def test_a_network_has_no_statistics():
    objective = NETWORKS[0]()
    assert not objective.gathers and objective.n_statistics == 0
    assert int(np.prod(objective.kept_shape(7))) == 0
