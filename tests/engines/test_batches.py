"""Mini-batches: the objective on centred rows, and what passes between batches."""

import numpy as np
import pytest
from covering import every_pair, every_triple
from objectives import CASES, ONE_OUTPUT, Case, D, K, is_noisy

from skae.core.network import NetworkObjective
from skae.engines.batches import BatchEngine, shuffled_batches
from skae.engines.threads import ThreadEngine
from skae.rows.data import Data
from skae.rows.source import source
from skae.training.coordinates import Coordinates

KL = Case("logistic", "identity", "squared_error", "kl", tied=False, weighted=True)
PLAIN = Case("relu", "logistic", "squared_error", "none", tied=False, weighted=False)
MASKED = Case("tanh", "identity", "squared_error", "masking", False, False)
CENTER = np.linspace(0.2, 0.8, D)
N = 60


def problem(case, n=N, dtype=np.float64):
    rng = np.random.default_rng(0)
    objective = case.objective(dtype)
    X = rng.uniform(0.1, 0.9, (n, D)).astype(dtype)
    s = rng.uniform(0.5, 2, n).astype(dtype) if case.weighted else None
    theta = (0.5 * rng.standard_normal(objective.layout.size)).astype(dtype)
    return objective, Data(source(X), s), theta


def weight_sum(data):
    return len(data.X) if data.weights is None else float(data.weights.sum())


def whole(objective, data, theta, index=None):
    """One batch of all rows, in a fresh engine; the gradient is copied."""
    index = np.arange(len(data.X)) if index is None else index
    center = CENTER.astype(objective.dtype)
    engine = BatchEngine(objective, len(index), [center])
    loss, gradient, terms = engine(theta, data, index, weight_sum(data))
    return loss, gradient.copy(), terms


# -- one batch -------------------------------------------------------------------


@every_triple(case=[case for case in CASES if not is_noisy(case)])
def test_a_batch_of_all_rows_is_the_objective_at_decentred_parameters(case):
    """In value; and in slope, along random directions of the centred parameters."""
    objective, data, theta = problem(case)
    coordinates = Coordinates(objective, *objective.units(CENTER, 1.0), unit=1.0)

    def value(centred):
        with ThreadEngine(objective, data.X, data.weights) as evaluate:
            return evaluate(coordinates.decentred(centred))[0]

    loss, gradient, terms = whole(objective, data, theta)
    assert loss == pytest.approx(value(theta), rel=1e-12)
    assert sum(terms.values()) == pytest.approx(loss, rel=1e-12)
    if objective.penalty_weights is not None:  # left to the solver
        gradient = gradient + objective.penalty_weights * np.sign(theta)
    rng, step = np.random.default_rng(1), 1e-5
    for _ in range(3):
        direction = rng.standard_normal(theta.size)
        ahead, behind = (value(theta + s * step * direction) for s in (1, -1))
        slope = (ahead - behind) / (2 * step)
        assert gradient @ direction == pytest.approx(slope, rel=1e-6, abs=1e-8)


@every_pair(case=ONE_OUTPUT)
def test_center_zero_is_the_objective_itself(case):
    """Noise included: a batch's rows meet that of the rows 0, 1, … of its draw."""
    objective, data, theta = problem(case)
    engine = BatchEngine(objective, N, [np.zeros(D)])
    loss, gradient, terms = engine(theta, data, np.arange(N), weight_sum(data))
    with ThreadEngine(objective, data.X, data.weights, rows=N) as evaluate:
        expected, slope, parts = evaluate(theta)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert terms == pytest.approx(parts, rel=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("tied", [False, True])
def test_only_the_encoder_sees_centred_rows(tied):
    """f(W (x − m) + b) by hand; the output is compared with x itself."""
    case = Case("tanh", "identity", "squared_error", "none", tied, False)
    objective, data, theta = problem(case)
    p = objective.parameters(theta)
    H = np.tanh((data.X - CENTER) @ p.encoder.T + p.hidden)
    residual = H @ p.decoder[:-1] + p.decoder[-1] - data.X
    _, _, terms = whole(objective, data, theta)
    expected = 0.5 * (residual**2).sum(axis=1).mean()
    assert terms["reconstruction"] == pytest.approx(expected, rel=1e-12)


def test_noise_comes_before_centring():
    objective, data, theta = problem(MASKED)
    corrupted = np.empty_like(data.X)
    objective.noise(data.X, start=0, draw=0, out=corrupted)
    p = objective.parameters(theta)
    H = np.tanh((corrupted - CENTER) @ p.encoder.T + p.hidden)
    residual = H @ p.decoder[:-1] + p.decoder[-1] - data.X
    _, _, terms = whole(objective, data, theta)
    expected = 0.5 * (residual**2).sum(axis=1).mean()
    assert terms["reconstruction"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("case", [KL, PLAIN, MASKED], ids=str)
def test_a_batch_is_its_rows_in_its_order(case):
    objective, data, theta = problem(case)
    index = np.array([7, 3, 51, 3, 0])
    weights = None if data.weights is None else data.weights[index]
    picked = Data(data.X.picked(index), weights)
    engine = BatchEngine(objective, 30, [CENTER])  # with room for more
    total = weight_sum(picked)
    loss, gradient, terms = engine(theta, data, index, total)
    expected = whole(objective, picked, theta)
    assert (loss, terms) == (expected[0], expected[2])
    np.testing.assert_array_equal(gradient, expected[1])


def test_float32_stays_and_rows_are_only_read():
    for case in ONE_OUTPUT:
        objective, data, theta = problem(case, dtype=np.float32)
        before = data.X.given.copy()
        loss, gradient, _ = whole(objective, data, theta)
        assert gradient.dtype == np.float32 and isinstance(loss, float)
        np.testing.assert_array_equal(data.X.given, before)


# -- from batch to batch ---------------------------------------------------------


def test_running_mean_of_the_codes():
    """ρ̂ ← 0.9 ρ̂ + 0.1 (mean of the batch), which the first batch starts."""
    objective, data, theta = problem(KL)
    engine = BatchEngine(objective, 20, [CENTER])
    expected = None
    for step, index in enumerate(np.split(np.arange(N), 3)):
        point = theta * (1 + step)
        _, _, terms = engine(point, data, index, 1.0)
        p = objective.parameters(point)
        codes = 1 / (1 + np.exp(-(data.X[index] - CENTER) @ p.encoder.T - p.hidden))
        mean = np.average(codes, axis=0, weights=data.weights[index])
        expected = mean if expected is None else 0.9 * expected + 0.1 * mean
        np.testing.assert_allclose(engine.mean_statistics, expected, rtol=1e-12)
        value = objective.terms[0].value(expected)
        assert terms["sparsity"] == pytest.approx(value, rel=1e-12)


def test_the_penalty_pulls_at_the_running_mean():
    """Its part of ∂/∂h is the slope at ρ̂, whichever batch ρ̂ is of."""
    objective, data, theta = problem(KL)
    engine = BatchEngine(objective, N, [CENTER])
    engine.mean_statistics = np.full(K, 0.9)
    index = np.arange(N)
    with_penalty = engine(theta, data, index, weight_sum(data))[1].copy()
    slope = objective.terms[0].slope(engine.mean_statistics)
    objective.terms = ()
    without = whole(objective, data, theta)[1]
    p = objective.parameters(theta)
    codes = 1 / (1 + np.exp(-(data.X - CENTER) @ p.encoder.T - p.hidden))
    s = data.weights / data.weights.sum()
    epsilon = s[:, np.newaxis] * slope * codes * (1 - codes)
    difference = objective.parameters(with_penalty - without)
    np.testing.assert_allclose(
        difference.encoder, epsilon.T @ (data.X - CENTER), atol=1e-12
    )
    np.testing.assert_allclose(difference.hidden, epsilon.sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(difference.decoder, 0, atol=1e-12)


def test_every_batch_meets_noise_of_its_own():
    objective, data, theta = problem(MASKED)
    index = np.arange(N)
    engine = BatchEngine(objective, N, [CENTER])
    losses = [engine(theta, data, index, N)[0] for _ in range(4)]
    assert engine.draw == 4
    assert len(set(losses)) == 4
    for draw, loss in enumerate(losses):
        again = BatchEngine(objective, N, [CENTER])
        again.draw = draw
        assert again(theta, data, index, N)[0] == loss


@every_pair(
    case=[case for case in CASES if case.extra in ("none", "l1", "contraction")]
)
def test_batches_weighted_by_their_rows_make_up_the_whole_gradient(case):
    """At one θ, rows of unequal weight: no batch counts for more than its rows."""
    objective, data, theta = problem(case)
    mean_weight = weight_sum(data) / N
    engine = BatchEngine(objective, 25, [CENTER])
    total, loss = np.zeros(theta.size), 0.0
    for index in np.split(np.random.default_rng(2).permutation(N), [25, 42]):
        weight = mean_weight * len(index)
        part, gradient, _ = engine(theta, data, index, weight)
        total += weight * gradient
        loss += weight * part
    expected = whole(objective, data, theta)
    assert loss / weight_sum(data) == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(
        total / weight_sum(data), expected[1], rtol=1e-9, atol=1e-13
    )


# -- the order of the rows -------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    ("n_rows", "batch_size"), [(1, 1), (10, 3), (10, 10), (7, 20), (401, 200)]
)
def test_every_row_once_an_epoch_in_batches_of_nearly_one_size(
    n_rows, batch_size, shuffle
):
    random_state = np.random.RandomState(0)
    batches = shuffled_batches(n_rows, batch_size, random_state, shuffle)
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
    assert len(batches) == np.ceil(n_rows / batch_size)
    rows = np.concatenate(batches)
    np.testing.assert_array_equal(np.sort(rows), np.arange(n_rows))
    if not shuffle:
        np.testing.assert_array_equal(rows, np.arange(n_rows))


def test_another_order_every_epoch_and_the_same_by_seed():
    def epochs(seed):
        random_state = np.random.RandomState(seed)
        return [np.concatenate(shuffled_batches(50, 8, random_state)) for _ in "12"]

    first, second = epochs(0)
    assert (first != second).any()
    np.testing.assert_array_equal(epochs(0), [first, second])
    assert (epochs(1)[0] != first).any()


def test_a_network_is_centred_in_every_layer():
    rng = np.random.default_rng(0)
    X, T = rng.normal(3, 2, (N, 5)), np.eye(4)[rng.integers(0, 4, N)]
    objective = NetworkObjective(
        (5, 6, 7, 4),
        ["logistic", "relu"],
        output="softmax",
        loss="cross_entropy",
        alphas=[0.1, 0.2, 0.3],
    )
    units = objective.units(X.mean(axis=0), 2.0, T.mean(axis=0))
    coordinates = Coordinates(objective, *units, 1.0)
    inner = rng.normal(size=objective.layout.size)
    engine = BatchEngine(objective, N, coordinates.means)
    theta = coordinates.to_centred(inner)
    loss, gradient, _ = engine(theta, Data(source(X), None, source(T)), np.arange(N), N)
    with ThreadEngine(objective, X, targets=T) as whole:
        expected, slope, _ = whole(coordinates.to_data(inner))
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(
        gradient * coordinates.scale, coordinates.pull_back(slope), atol=1e-12
    )
