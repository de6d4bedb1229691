"""Pieces say what they can do, and offer what their protocols ask."""

import numpy as np
import pytest
from objectives import D, K

from skae.core import protocols
from skae.core.activations import ACTIVATIONS, OUTPUTS, BaseActivation
from skae.core.autoencoder import AutoencoderObjective
from skae.core.blocks import Block
from skae.core.corruptions import CORRUPTIONS, Custom, Gaussian, Masking, Noise
from skae.core.losses import LOSSES, TARGET_LOSSES
from skae.core.network import NetworkObjective
from skae.core.penalties import L1, Contraction, KullbackLeibler
from skae.core.sparse_autoencoder import sparse_objective
from skae.core.sparse_network import sparse_network

KL = KullbackLeibler(0.1, 3.0, (0.0, 1.0))
SHIFT = Custom(lambda X, U: X + U)


def members(protocol):
    """Names of what a protocol asks for."""
    found = set()
    for kind in protocol.__mro__:
        if kind.__module__ == protocols.__name__:
            found |= set(vars(kind)) | set(getattr(kind, "__annotations__", ()))
    return {name for name in found if not name.startswith("_")}


def network(make):
    return make(
        (D, K, D), ["tanh"], output="identity", loss="squared_error", alphas=[0.1, 0.1]
    )


PIECES = [
    *[(kind, protocols.Activation) for kind in ACTIVATIONS.values()],
    *[(kind, protocols.Output) for kind in OUTPUTS.values()],
    *[(kind, protocols.Loss) for kind in LOSSES.values()],
    *[(kind, protocols.TargetLoss) for kind in TARGET_LOSSES.values()],
    *[(kind, protocols.Corruption) for kind in CORRUPTIONS.values()],
    (SHIFT, protocols.Corruption),
    *[(t, protocols.Term) for t in (KL, L1(1.0), Contraction(1, ACTIVATIONS["tanh"]))],
]
OBJECTIVES = [
    (AutoencoderObjective(D, K), protocols.Objective),
    (network(NetworkObjective), protocols.Objective),
    (sparse_objective(D, K), protocols.SparseObjective),
    (sparse_objective(D, K, output="tanh"), protocols.SparseObjective),
] + [
    (
        sparse_network(
            (D, K, D), ["tanh"], output=output, loss="squared_error", alphas=[0.1] * 2,
            reconstructs=reconstructs,
        ),
        protocols.SparseObjective,
    )
    for output, reconstructs in [("identity", True), ("tanh", True), ("tanh", False)]
]  # fmt: skip


@pytest.mark.parametrize(("piece", "protocol"), PIECES + OBJECTIVES)
def test_everything_a_protocol_asks_for_is_there(piece, protocol):
    asked = members(protocol)
    assert len(asked) >= 3
    assert {name for name in asked if not hasattr(piece, name)} == set()


@pytest.mark.parametrize(
    "objective",
    [objective for objective, _ in OBJECTIVES],
    ids=lambda o: type(o).__name__,
)
def test_parameters_offer_what_the_protocol_asks_for(objective):
    parameters = objective.parameters(np.zeros(objective.layout.size))
    assert all(hasattr(parameters, name) for name in members(protocols.Parameters))
    shapes = [(W.shape, b.shape) for W, b in parameters.layers]
    assert shapes == [((K, D), (K,)), ((D, K), (D,))]


def test_an_activation_that_declares_nothing_has_no_curvature_and_no_bounds():
    class Softsign(BaseActivation):
        pass

    assert Softsign.curvature is None and Softsign.bounds is None
    assert not Softsign.is_linear
    with pytest.raises(ValueError, match=r"needs f″.*Softsign"):
        Contraction(1.0, Softsign)


def test_curvature_is_the_second_derivative_where_there_is_one():
    Z = np.linspace(-3, 3, 61)
    step = 1e-5
    found = {}
    for name, f in ACTIVATIONS.items():
        slopes = []
        for shift in (-step, 0, step):
            H = Z + shift
            f.apply(H)
            slopes.append(np.empty_like(H))
            f.derivative(H, out=slopes[-1])
        if f.curvature is not None:
            H = Z.copy()
            f.apply(H)
            found[name] = f.curvature(H, slopes[1])
            numeric = (slopes[2] - slopes[0]) / (2 * step)
            np.testing.assert_allclose(found[name], numeric, atol=1e-9)
    assert set(found) >= {"logistic", "tanh"}
    assert not set(found) & {"relu", "identity"}


def test_linear_is_what_leaves_everything_as_it_is():
    Z = np.linspace(-2, 2, 12).reshape(3, 4)
    for f in OUTPUTS.values():
        H = Z.copy()
        f.apply(H)
        assert f.is_linear == np.array_equal(H, Z)


def test_quadratic_is_what_is_the_squared_error():
    rng = np.random.default_rng(0)
    Z, T = rng.standard_normal((3, 4)), rng.uniform(0.1, 0.9, (3, 4))
    for loss in TARGET_LOSSES.values():
        for name in loss.outputs:
            output = Z.copy()
            OUTPUTS[name].apply(output)
            losses = loss.rows(Z.copy(), T, OUTPUTS[name], np.empty((2, 3, 4)))
            squares = 0.5 * ((output - T) ** 2).sum(axis=1)
            assert loss.is_quadratic == np.allclose(losses, squares)


def corruptions():
    for kind in CORRUPTIONS.values():
        yield kind(0.4, np.full(D, 0.05), np.full(D, 0.95))
    yield SHIFT


@pytest.mark.parametrize("corruption", [*corruptions()], ids=lambda c: type(c).__name__)
def test_corruptions_are_what_they_say(corruption):
    rng = np.random.default_rng(0)
    X = rng.uniform(0.1, 0.9, (200, D)) * (rng.random((200, D)) < 0.5)
    u = rng.integers(0, 2**16, X.shape, dtype=np.uint16)
    out = np.empty_like(X)
    corrupted = corruption(X, u, out)
    assert (corrupted is not None) == corruption.selects
    assert corruption.keeps_zeros == (out[X == 0] == 0).all()
    if corruption.keeps_zeros:
        np.testing.assert_array_equal(out, X * corruption.factors(u))
    if corruption.is_fraction:
        assert corrupted.mean() == pytest.approx(0.4, abs=0.06)


@pytest.mark.parametrize("make", [AutoencoderObjective, sparse_objective])
@pytest.mark.parametrize(
    ("noise", "given"), [(None, "None"), (Noise(Gaussian(0.1), 0), "Gaussian")]
)
def test_emphasis_needs_noise_that_keeps_some_entries(make, noise, given):
    with pytest.raises(ValueError, match=rf"emphasis.*keep some.* corruption {given}"):
        make(D, K, noise=noise, emphasis=(1.0, 0.5))


def test_without_a_draw_emphasis_counts_every_entry_as_kept():
    noise = Noise(Masking(0.4), 0)
    emphasised = AutoencoderObjective(D, K, noise=noise, emphasis=(1.0, 0.25))
    plain = AutoencoderObjective(D, K)
    rng = np.random.default_rng(0)
    X, theta = rng.uniform(size=(7, D)), rng.standard_normal(plain.layout.size)
    losses = [
        objective.data_loss(
            objective.parameters(theta),
            Block(X, None, 0),
            objective.workspace(len(X)),
        )
        for objective in (plain, emphasised)
    ]
    assert losses[1] == pytest.approx(0.25 * losses[0], rel=1e-14)


@pytest.mark.parametrize("make", [AutoencoderObjective, sparse_objective])
def test_a_loss_takes_its_outputs_only(make):
    with pytest.raises(ValueError, match="loss='log_loss' needs an output among"):
        make(D, K, output="tanh", loss="log_loss")
