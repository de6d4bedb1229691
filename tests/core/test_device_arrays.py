"""The core and an engine on an array that lies on a device, against NumPy's."""

import numpy as np
import pytest
from device_array import TRANSFERS, DeviceArray, on_test_device

from skae.core.activations import ACTIVATIONS
from skae.core.arrays import beside, on_device, on_host, to_host
from skae.core.autoencoder import AutoencoderObjective
from skae.core.corruptions import CORRUPTIONS, Noise
from skae.core.device_noise import integers_beside
from skae.core.penalties import L1, Contraction, KullbackLeibler
from skae.engines.threads import ThreadEngine
from skae.rows.dense import DenseRows
from skae.rows.device import DeviceRows

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(size=(150, 12))
WEIGHTS = {
    "none": None,
    "positive": RANDOM.uniform(0.5, 2, len(X)),
    "zeros": RANDOM.integers(0, 3, len(X)).astype(float),
}
K = 5


def terms(activation):
    f = ACTIVATIONS[activation]
    some = [L1(0.1)]
    if f.bounds is not None:
        some.append(KullbackLeibler(0.3, 0.2, f.bounds))
    if f.curvature is not None:
        some.append(Contraction(0.1, f))
    return some


OBJECTIVES = {
    "plain": {},
    "terms": {"terms": terms("logistic"), "alpha": (0.1, 0.2)},
    "tanh": {"terms": terms("tanh"), "activation": "tanh", "output": "tanh"},
    "relu, tied": {
        **{"terms": terms("relu"), "activation": "relu"},
        **{"tied_weights": True, "l1": 0.1},
    },
    "log loss": {"terms": terms("logistic"), "output": "logistic", "loss": "log_loss"},
}


def evaluate(rows, options, weights, theta, block=None):
    objective = rows.autoencoder(12, K, dtype=rows.dtype, **options)
    with ThreadEngine(objective, rows, weights, rows=block) as engine:
        del TRANSFERS[:]
        value, gradient, parts = engine(theta)
        transfers = [*TRANSFERS]
        gradient = to_host(gradient).copy()
        return value, gradient, parts, engine.data_loss(theta), transfers


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_evaluation_is_that_of_numpy_in_one_transfer(name, weights):
    options, s = OBJECTIVES[name], WEIGHTS[weights]
    theta = AutoencoderObjective(12, K, **options).start(np.random.RandomState(0))
    theta += 0.1
    here = evaluate(DenseRows(X), options, s, theta)
    rows = DeviceRows(on_test_device(X))
    for block in (None, 40):
        there = evaluate(rows, options, s, on_test_device(theta), block)
        assert there[0] == pytest.approx(here[0], rel=1e-12)
        np.testing.assert_allclose(there[1], here[1], atol=1e-13)
        assert there[2] == pytest.approx(here[2], rel=1e-12)
        assert there[3] == pytest.approx(here[3], rel=1e-12)
        assert all(type(value) is float for value in there[2].values())
        # However many blocks: the sums of all terms, and no more.
        (numbers,) = there[4]
        assert numbers <= 10


@pytest.mark.parametrize("draw", ["none", "there"])
@pytest.mark.parametrize(
    "output",
    [
        ("softmax", "cross_entropy"),
        ("logistic", "log_loss"),
        ("identity", "squared_error"),
    ],
    ids=lambda output: output[0],
)
def test_a_networks_evaluation_is_that_of_numpy_in_one_transfer(output, draw):
    kind, loss = output
    targets = np.eye(3)[np.arange(len(X)) % 3]
    sizes, s = (12, 6, 4, 3), WEIGHTS["zeros"]
    options = {
        **{"output": kind, "loss": loss, "alphas": [0.1, 0.0, 0.2]},
        **{"reconstructs": False, "l1": [0, 0.1, 0]},
    }
    found = []
    for rows in (DenseRows(X), DeviceRows(on_test_device(X))):
        # Dropout is other noise there, if there is any.
        dropout = [0.2, 0.0, 0.3] if draw == "there" else None
        network = rows.network(sizes, ["logistic", "tanh"], dropout=dropout, **options)
        theta = beside(network.start(np.random.RandomState(0)), rows.like)
        y = beside(targets, rows.like)
        with ThreadEngine(network, rows, s, targets=y) as engine:
            engine.draw = 0 if draw == "there" else None
            del TRANSFERS[:]
            value, gradient, parts = engine(theta)
            transfers = [*TRANSFERS]
            found.append((value, to_host(gradient).copy(), parts))
            assert type(engine.data_loss(theta)) is float
    here, there = found
    (numbers,) = transfers
    assert numbers <= 10
    if draw == "there":
        assert there[0] == pytest.approx(here[0], rel=0.2)
        return
    assert there[0] == pytest.approx(here[0], rel=1e-12)
    np.testing.assert_allclose(there[1], here[1], atol=1e-13)
    assert there[2] == pytest.approx(here[2], rel=1e-12)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_moments_and_ranges_come_to_the_host(weights):
    rows, s = DeviceRows(on_test_device(X)), WEIGHTS[weights]
    there, here = rows.moments(s), DenseRows(X).moments(s)
    assert isinstance(there.mean, np.ndarray)
    np.testing.assert_allclose(there.mean, here.mean, rtol=1e-13)
    assert there.variance == pytest.approx(here.variance, rel=1e-13)
    np.testing.assert_array_equal(rows.ranges(s), DenseRows(X).ranges(s))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_noise_is_a_function_of_seed_draw_and_row(name):
    low, high = X.min(axis=0), X.max(axis=0)
    noise = Noise(CORRUPTIONS[name](0.3, low, high), seed=7)

    def corrupted(first, last, draw=2):
        rows = on_test_device(X[first:last])
        out = on_test_device(np.empty_like(X[first:last]))
        where = noise(rows, first, draw, out)
        return to_host(out), None if where is None else to_host(where)

    whole, where = corrupted(0, 150)
    part, _ = corrupted(60, 90)
    np.testing.assert_array_equal(part, whole[60:90])
    other, _ = corrupted(0, 150, draw=3)
    assert (other != whole).mean() > 0.2
    if where is not None:
        assert where.mean() == pytest.approx(0.3, abs=0.05)
        np.testing.assert_array_equal(whole[~where], X[~where])
    else:
        assert (whole - X).std() == pytest.approx(0.3, abs=0.02)


def test_bits_on_a_device_are_uniform_and_uncorrelated():
    like = on_test_device(np.empty(0))
    u = to_host(integers_beside(like, 3, 0, 0, (2000, 50))).astype(float) / 2**16
    assert u.shape == (2000, 50)
    assert u.mean() == pytest.approx(0.5, abs=0.005)
    counts, _ = np.histogram(u, 16, (0, 1))
    # χ² of 15 degrees of freedom exceeds 45 once in 10,000.
    expected = u.size / 16
    assert ((counts - expected) ** 2 / expected).sum() < 45
    correlations = np.corrcoef(u, rowvar=False) - np.eye(50)
    assert np.abs(correlations).max() < 5 / 2000**0.5
    follows = np.corrcoef(u[:-1].ravel(), u[1:].ravel())[0, 1]
    assert abs(follows) < 5 / u.size**0.5


def test_host_and_device_are_told_apart():
    array = on_test_device(X)
    assert on_device(array)
    assert not any(map(on_device, [X, [1.0], 1.0, np.float64(1), None, "x"]))
    assert beside(array, X[:0]) is array
    assert beside(X, X[:0]) is X
    assert isinstance(beside(X, array), DeviceArray)
    assert to_host(X) is X
    with pytest.raises(TypeError, match="Implicit"):
        np.asarray(array)
    with pytest.raises(TypeError):
        np.add(array, X)
    del TRANSFERS[:]
    mixed = on_host([array.sum(), 1.0], [], [array.max()])
    assert mixed == [[pytest.approx(X.sum()), 1.0], [], [X.max()]]
    assert TRANSFERS == [2]
