"""The deep network's objective is the formula, and its gradient the derivative."""

import numpy as np
import pytest
import textbook
from compare import (
    assert_same_bits,
    assert_same_direction_and_size,
    central_differences,
)
from covering import every_pair, every_triple
from networks import CASES, DROPOUT, HIDDEN, N, NetworkCase, dropout_factors
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skae.core.activations import ACTIVATIONS, Softmax
from skae.core.autoencoder import AutoencoderObjective
from skae.core.blocks import Block, Sums
from skae.core.losses import LOSSES, CrossEntropy
from skae.core.network import NetworkObjective
from skae.engines.threads import ThreadEngine
from skae.solvers import minimize_lbfgs
from skae.training.coordinates import Coordinates

# What does not depend on every combination is tested with these.
FEW = [
    NetworkCase(0, "logistic", "softmax", "cross_entropy", True, True, False),
    NetworkCase(1, "tanh", "identity", "squared_error", False, False, True),
    NetworkCase(2, "logistic", "logistic", "log_loss", True, False, False),
    NetworkCase(3, "relu", "softmax", "cross_entropy", True, True, True),
    NetworkCase(4, "tanh", "tanh", "squared_error", True, True, False),
]
# The coordinates are those of the parameters: neither weights nor dropout matter.
PLAIN_CASES = [c for c in CASES if not c.weighted and not c.dropout]


def run(objective, X, T, s, theta, **options):
    """Loss, gradient and terms, copied."""
    with ThreadEngine(objective, X, s, targets=T, **options) as evaluate:
        loss, gradient, terms = evaluate(theta)
        return loss, gradient.copy(), terms


def network(sizes, output, loss, *, hidden="tanh", alpha=0.0, **options):
    """The same decay everywhere, the same activation of every hidden layer."""
    depth = len(sizes) - 2
    return NetworkObjective(
        sizes,
        [hidden] * depth,
        output=output,
        loss=loss,
        alphas=[alpha] * (depth + 1),
        **options,
    )


def test_tables_multiply():
    assert {case.activation for case in CASES} == set(ACTIVATIONS)
    assert {case.loss for case in CASES} == {*LOSSES, "cross_entropy"}
    assert {case.depth for case in CASES} == {0, 1, 2, 3, 4}
    assert "cross_entropy" not in LOSSES  # no reconstruction sums to one


class Mixed(NetworkCase):
    """Each hidden layer has an activation of its own."""

    @property
    def activations(self):
        hidden = "tanh", "logistic", "identity", "relu"
        return [*hidden[: self.depth], self.output]


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_each_layer_may_have_an_activation_of_its_own(depth):
    case = Mixed(depth, "each its own", "identity", "squared_error", dropout=True)
    test_loss_is_the_formula_and_the_gradient_its_derivative(case)


@every_triple(case=CASES)
def test_loss_is_the_formula_and_the_gradient_its_derivative(case):
    """Of four blocks; the derivative is that of their sum, computed as one."""
    objective, X, T, s, theta = case.draw()
    with ThreadEngine(objective, X, s, targets=T, rows=4) as evaluate:
        loss, gradient, terms = evaluate(theta)
        gradient = gradient.copy()
        assert evaluate.data_loss(theta) == terms["loss"]
    with ThreadEngine(objective, X, s, targets=T, rows=N) as whole:
        numeric = central_differences(lambda point: whole(point)[0], theta)
    assert_same_direction_and_size(gradient, numeric)
    p = objective.parameters(theta)
    expected = textbook.network_terms(
        *(X, X if T is None else T, p.coefs, p.intercepts),
        activations=case.activations,
        loss=case.loss,
        alphas=case.alphas,
        s=np.ones(N) if s is None else s,
        factors=dropout_factors(objective, N),
    )
    assert terms == pytest.approx(expected, rel=1e-12, abs=0)
    assert loss == pytest.approx(sum(expected.values()), rel=1e-12, abs=0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("output", "loss"), [(o, loss) for loss in LOSSES for o in LOSSES[loss].outputs]
)
def test_one_hidden_layer_is_the_autoencoder(activation, output, loss, weighted):
    case = NetworkCase(1, activation, output, loss, targets=False, weighted=weighted)
    _, X, _, s, theta = case.draw()
    d, k = X.shape[1], HIDDEN[0]
    options = {"output": output, "loss": loss}
    deep = network((d, k, d), hidden=activation, alpha=0.1, **options)
    shallow = AutoencoderObjective(d, k, activation=activation, alpha=0.1, **options)

    def as_network(theta):
        p = shallow.parameters(theta)
        W, D = p.encoder, p.decoder
        return np.concatenate([W.ravel(), p.hidden, D[:-1].T.ravel(), D[-1]])

    loss, gradient, terms = run(deep, X, None, s, as_network(theta))
    with ThreadEngine(shallow, X, s) as evaluate:
        expected = evaluate(theta)
    assert deep.multiplications_per_row == shallow.multiplications_per_row
    assert loss == pytest.approx(expected[0], rel=1e-12)
    assert terms["decay"] == pytest.approx(expected[2]["decay"], rel=1e-12)
    np.testing.assert_allclose(
        gradient, as_network(expected[1]), rtol=1e-12, atol=1e-14
    )


# -- against scikit-learn ----------------------------------------------------


def minimum(objective, X, T):
    """Parameters at the minimum, found in the solver's coordinates."""
    mean, spread = X.mean(axis=0), np.sqrt(X.var(axis=0).mean())
    p, variance = T.mean(axis=0), T.var(axis=0).sum()
    units = objective.units(mean, spread, p, np.sqrt(variance / T.shape[1]))
    coordinates = Coordinates(objective, *units, objective.loss.at_mean(p, variance))
    with ThreadEngine(objective, X, targets=T) as engine:

        def evaluate(inner):
            loss, gradient, _ = engine(coordinates.to_data(inner))
            return loss / coordinates.unit, coordinates.pull_back(gradient), None

        start = np.zeros(objective.layout.size)
        result = minimize_lbfgs(evaluate, start, max_iter=2000, tol=1e-9, ftol=0)
    assert result.status in ("gradient", "precision")
    return objective.parameters(coordinates.to_data(result.x))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_depth_zero_is_logistic_regression(n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes], y[y < n_classes]
    alpha = 0.01
    model = LogisticRegression(C=1 / (len(X) * alpha), tol=1e-10, max_iter=10_000)
    model.fit(X, y)
    if n_classes == 2:
        T = y[:, np.newaxis].astype(float)
        objective = network((4, 1), "logistic", "log_loss", alpha=alpha)
    else:
        T = np.eye(3)[y]
        objective = network((4, 3), "softmax", "cross_entropy", alpha=alpha)
    found = minimum(objective, X, T)
    np.testing.assert_allclose(found.coefs[0], model.coef_, atol=1e-5)
    # Softmax is the same for intercepts with a constant added.
    differences = found.intercepts[0] - model.intercept_
    if n_classes == 3:
        differences -= differences.mean()
    np.testing.assert_allclose(differences, 0, atol=1e-4)


def test_depth_zero_with_squared_error_is_ridge():
    X, y = load_iris(return_X_y=True)
    T = np.column_stack([np.sin(X).sum(axis=1), 50 + 20 * X[:, 0] * y])
    model = Ridge(alpha=len(X) * 0.3).fit(X, T)
    objective = network((4, 2), "identity", "squared_error", alpha=0.3)
    found = minimum(objective, X, T)
    np.testing.assert_allclose(found.coefs[0], model.coef_, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.intercepts[0], model.intercept_, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("kind", ["classes", "binary", "multilabel", "regression"])
@pytest.mark.parametrize("hidden", [(4,), (4, 3)])
def test_loss_is_that_of_scikit_learns_mlp(hidden, kind):
    X, y = load_iris(return_X_y=True)
    y, T, output, loss = {
        "classes": (y, np.eye(3)[y], "softmax", "cross_entropy"),
        "binary": (y > 0, (y > 0)[:, np.newaxis], "logistic", "log_loss"),
        "multilabel": (
            np.eye(3)[y][:, 1:],
            np.eye(3)[y][:, 1:],
            "logistic",
            "log_loss",
        ),
        "regression": (
            X[:, 0] * y,
            (X[:, 0] * y)[:, None],
            "identity",
            "squared_error",
        ),
    }[kind]
    alpha = 5.0
    # One step too short to change a weight: its loss is that of its weights.
    model = (MLPRegressor if kind == "regression" else MLPClassifier)(
        hidden_layer_sizes=hidden,
        activation="tanh",
        solver="sgd",
        learning_rate_init=1e-30,
        alpha=alpha,
        batch_size=len(X),
        max_iter=1,
        random_state=0,
    ).fit(X, y)
    sizes = (4, *hidden, T.shape[1])
    objective = network(sizes, output, loss, alpha=alpha / len(X))
    theta = np.zeros(objective.layout.size)
    p = objective.parameters(theta)
    for layer in range(len(sizes) - 1):
        p.coefs[layer][:] = model.coefs_[layer].T
        p.intercepts[layer][:] = model.intercepts_[layer]
    found, _, _ = run(objective, X, T.astype(float), None, theta)
    assert found == pytest.approx(model.loss_, rel=1e-10)


# -- how it is computed ------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", FEW, ids=str)
def test_number_of_threads_changes_no_bit(case, dtype):
    _, *problem = case.draw(n=103)
    problem = [None if a is None else a.astype(dtype) for a in problem]
    objective = case.objective(dtype)
    for rows in (1, 7, 64, None):
        alone = run(objective, *problem, rows=rows, n_threads=1)
        assert alone[1].dtype == dtype
        for n_threads in (2, 3):
            together = run(objective, *problem, rows=rows, n_threads=n_threads)
            assert_same_bits(alone, together)


@pytest.mark.parametrize("case", FEW, ids=str)
def test_size_of_blocks_is_rounding_only(case):
    problem = case.draw(n=103)
    whole = run(*problem, rows=103)
    for rows in (1, 10, 64):
        loss, gradient, terms = run(*problem, rows=rows)
        assert loss == pytest.approx(whole[0], rel=1e-12)
        assert terms == pytest.approx(whole[2], rel=1e-12)
        distance = np.linalg.norm(gradient - whole[1])
        assert distance < 1e-12 * np.linalg.norm(whole[1])


@pytest.mark.parametrize("case", FEW, ids=str)
def test_an_evaluation_leaves_no_trace_in_the_next(case):
    objective, X, T, s, theta = case.draw(n=103)
    before = X.copy()
    with ThreadEngine(objective, X, s, targets=T, rows=50) as evaluate:
        loss, gradient, terms = evaluate(theta)
        first = loss, gradient.copy(), terms
        evaluate(-3 * theta)
        assert_same_bits(first, evaluate(theta))
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("case", FEW, ids=str)
def test_batches_through_block_and_finish_are_the_whole(case):
    objective, X, T, s, theta = case.draw()
    s = np.ones(N) if s is None else s
    parameters = objective.parameters(theta)
    parameters.draw = 0
    workspace = objective.workspace(6)
    total = Sums({}, np.zeros(objective.layout.size))
    for start in range(0, N, 6):
        batch = slice(start, start + 6)
        targets = None if T is None else T[batch]
        block = Block(X[batch], s[batch], start, targets)
        total += objective.block(parameters, block, None, workspace)
    loss, gradient, _ = objective.finish(parameters, total, s.sum())
    expected = run(objective, X, T, s, theta)
    assert loss == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("case", FEW, ids=str)
def test_float32_is_near_float64(case):
    objective, *problem = case.draw()
    loss, gradient, _ = run(objective, *problem)
    single = [None if a is None else a.astype(np.float32) for a in problem]
    loss32, gradient32, _ = run(case.objective(np.float32), *single)
    assert isinstance(loss32, float)
    assert loss32 == pytest.approx(loss, rel=1e-5)
    assert np.linalg.norm(gradient32 - gradient) < 1e-4 * np.linalg.norm(gradient)


@pytest.mark.parametrize("case", [c for c in FEW if not c.dropout], ids=str)
def test_integer_weights_are_repeated_rows(case):
    objective, X, T, _, theta = case.draw()
    times = np.random.default_rng(1).integers(0, 4, N)
    repeated = [None if a is None else np.repeat(a, times, axis=0) for a in (X, T)]
    loss, gradient, _ = run(objective, X, T, times.astype(float), theta)
    expected = run(objective, *repeated, None, theta)
    assert loss == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-10, atol=1e-13)


def test_parameters_are_views():
    objective = network((5, 4, 3), "softmax", "cross_entropy")
    theta = np.zeros(objective.layout.size)
    p = objective.parameters(theta)
    assert [W.shape for W in p.coefs] == [(4, 5), (3, 4)]
    assert [b.shape for b in p.intercepts] == [(4,), (3,)]
    for array in (*p.coefs, *p.intercepts):
        array += 1
    np.testing.assert_array_equal(theta, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activations": ["tanh"]}, "activations needs 2 entries"),
        ({"alphas": [0.1]}, "alphas needs 3 entries"),
        ({"l1": [0.1]}, "l1 needs 3 entries"),
        ({"dropout": [0.1]}, "dropout needs 3 entries"),
        ({"output": "identity"}, "needs an output among"),
    ],
)
def test_what_does_not_fit_together_is_refused(options, message):
    valid = {
        "activations": ["tanh", "relu"],
        "output": "softmax",
        "loss": "cross_entropy",
        "alphas": [0.1, 0.1, 0.1],
    }
    with pytest.raises(ValueError, match=message):
        NetworkObjective((5, 4, 3, 2), **(valid | options))


# -- softmax -----------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_huge_logits(dtype):
    Z = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype)
    T = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype)
    losses = CrossEntropy.rows(Z, T, Softmax, None)
    assert losses.dtype == dtype
    np.testing.assert_allclose(losses, [0, 2e4, np.log(3)], rtol=1e-6)
    third = 1 / 3
    expected = [[0, 0, 0], [1, -1, 0], [third, third, third - 1]]
    np.testing.assert_allclose(Z, expected, rtol=1e-6)


@pytest.mark.parametrize("margin", [5.0, 20.0, 60.0])
def test_cross_entropy_of_rows_well_classified_is_exact(margin):
    Z = np.array([[margin, 0.0]], np.float32)
    losses = CrossEntropy.rows(Z, np.array([[1, 0]], np.float32), Softmax, None)
    np.testing.assert_allclose(losses, np.log1p(np.exp(-margin)), rtol=1e-5)


def test_loss_at_the_mean_is_that_of_the_constant_prediction():
    T = np.eye(3)[[0, 0, 1, 2, 2, 2, 2, 2]]
    p = T.mean(axis=0)
    Z = np.tile(Softmax.link(p), (len(T), 1))
    losses = CrossEntropy.rows(Z, T, Softmax, None)
    assert CrossEntropy.at_mean(p, None) == pytest.approx(losses.mean(), rel=1e-12)


@pytest.mark.parametrize(("output", "loss"), [c[2:4] for c in FEW[:3]])
def test_huge_weights_give_finite_numbers(output, loss):
    case = NetworkCase(2, "relu", output, loss)
    _, X, T, _, theta = case.draw()
    single = [a.astype(np.float32) for a in (X, T)]
    huge = (30 * theta).astype(np.float32)
    found, gradient, _ = run(case.objective(np.float32), *single, None, huge)
    assert np.isfinite(found) and np.isfinite(gradient).all()


# -- dropout -----------------------------------------------------------------


def test_dropout_without_a_draw_is_the_plain_network():
    case = FEW[3]
    objective, X, T, s, theta = case.draw()
    plain = case._replace(dropout=False).objective()
    parameters = objective.parameters(theta)
    assert parameters.draw is None
    block = Block(X, s, 0, T)
    sums = objective.block(parameters, block, None, objective.workspace(N))
    expected = plain.block(parameters, block, None, plain.workspace(N))
    assert sums.terms == expected.terms
    np.testing.assert_array_equal(sums.gradient, expected.gradient)


def test_dropout_is_drawn_afresh_and_can_be_drawn_again():
    objective, X, T, s, theta = FEW[3].draw()
    losses = []
    with ThreadEngine(objective, X, s, targets=T) as engine:
        for engine.draw in (0, 1, 0):
            losses.append(engine(theta)[0])
    assert losses[0] == losses[2] != losses[1]


def test_dropout_keeps_the_expected_output_of_a_linear_network():
    """And each layer, row and draw meets factors of its own."""
    objective = network((6, 6, 1), "identity", "squared_error", dropout=(0.3, 0.3))
    n, draws = 400, 30
    factors = np.array([dropout_factors(objective, n, draw) for draw in range(draws)])
    kept = factors > 0
    assert kept.mean() == pytest.approx(0.7, abs=0.005)
    np.testing.assert_allclose(factors[kept], 1 / 0.7, rtol=1e-4)
    # Of any two, the share in which both are kept is 0.7².
    first, second = kept[:, 0], kept[:, 1]
    for one, other in (
        (first, second),
        (first[1:], first[:-1]),
        (first[:, 1:], first[:, :-1]),
        (first[..., 1:], first[..., :-1]),
    ):
        assert (one & other).mean() == pytest.approx(0.49, abs=0.01)


def test_levels_of_dropout_are_those_of_the_layers():
    case = NetworkCase(4, "relu", "identity", "squared_error", dropout=True)
    for factor, level in zip(
        dropout_factors(case.objective(), 20_000), DROPOUT, strict=True
    ):
        assert np.mean(factor == 0) == pytest.approx(level, abs=0.01)


# -- coordinates -------------------------------------------------------------


def in_coordinates(case, spread):
    objective, X, T, s, theta = case.draw(seed=2)
    n_outputs = objective.layer_sizes[-1]
    of_targets = (np.linspace(0.3, 0.6, n_outputs), 11.0) if case.targets else ()
    units = objective.units(np.linspace(0.2, 0.8, X.shape[1]), spread, *of_targets)
    coordinates = Coordinates(objective, *units, 7.0)
    return objective, X, T, s, theta, coordinates


@every_triple(case=PLAIN_CASES, spread=[0.3, 40.0])
def test_gradient_in_the_solvers_coordinates(case, spread):
    objective, X, T, s, theta, coordinates = in_coordinates(case, spread)
    inner = coordinates.from_data(theta)

    with ThreadEngine(objective, X, s, targets=T, rows=N) as evaluate:

        def value(point):
            return evaluate(coordinates.to_data(point))[0] / coordinates.unit

        _, gradient, _ = evaluate(coordinates.to_data(inner))
        gradient = coordinates.pull_back(gradient).copy()
        numeric = central_differences(value, inner, step=1e-6)
    assert_same_direction_and_size(gradient, numeric)


@every_pair(case=PLAIN_CASES)
def test_coordinates_go_there_and_back(case):
    *_, theta, coordinates = in_coordinates(case, spread=3.0)
    back = coordinates.to_data(coordinates.from_data(theta))
    np.testing.assert_allclose(back, theta, rtol=1e-12, atol=1e-12)
    there = coordinates.from_data(coordinates.to_data(theta))
    np.testing.assert_allclose(there, theta, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_coordinates_centre_and_scale_the_inputs_of_every_layer(activation):
    """The stated change of variables, written out for two hidden layers."""
    case = NetworkCase(2, activation, "identity", "squared_error")
    objective, _, _, _, inner, coordinates = in_coordinates(case, spread=3.0)
    p = objective.parameters(coordinates.to_data(inner))
    q = objective.parameters(inner)
    f = ACTIVATIONS[activation]
    rng = np.random.default_rng(0)
    mean = np.linspace(0.2, 0.8, 5)
    for layer, (centre, spread, gain, scale, shift) in enumerate(
        [
            (mean, 3.0, f.code_spread / f.slope, 1.0, 0.0),
            (f.code_centre, f.code_spread, f.code_spread / f.slope, 1.0, 0.0),
            (f.code_centre, f.code_spread, 11.0, 11.0, np.linspace(0.3, 0.6, 3)),
        ]
    ):
        W, b = p.coefs[layer], p.intercepts[layer]
        H = rng.standard_normal((6, W.shape[1]))
        Z = gain * (H - centre) / spread @ q.coefs[layer].T
        Z += scale * q.intercepts[layer] + shift
        np.testing.assert_allclose(H @ W.T + b, Z, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slope_of_an_activation_is_its_derivative_in_the_middle(name):
    activation = ACTIVATIONS[name]
    slope = np.empty(1)
    activation.derivative(np.array([activation.code_centre]), out=slope)
    assert slope == activation.slope


@pytest.mark.parametrize(("depth", "targets"), [(0, True), (2, True), (2, False)])
def test_scale_and_place_of_the_data_do_not_matter(depth, targets):
    """Without decay, 1000 X + 5000 trains as X does, step for step."""
    X, _ = load_iris(return_X_y=True)
    curves = []
    for scale, shift in ((1.0, 0.0), (1e3, 5e3)):
        Z = scale * X + shift
        T = scale * np.sin(X[:, :2]) + shift if targets else Z
        moments = [(A.mean(axis=0), np.sqrt(A.var(axis=0).mean())) for A in (Z, T)]
        sizes = (4, *[3] * depth, T.shape[1])
        objective = network(sizes, "identity", "squared_error")
        unit = objective.loss.at_mean(T.mean(axis=0), T.var(axis=0).sum())
        of_targets = moments[1] if targets else ()
        units = objective.units(*moments[0], *of_targets)
        coordinates = Coordinates(objective, *units, unit)
        losses = []
        with ThreadEngine(objective, Z, targets=T if targets else None) as engine:

            def evaluate(inner, engine=engine, coordinates=coordinates):
                loss, gradient, _ = engine(coordinates.to_data(inner))
                return loss / coordinates.unit, coordinates.pull_back(gradient), None

            rng = np.random.default_rng(0)
            minimize_lbfgs(
                evaluate,
                rng.uniform(-0.7, 0.7, objective.layout.size),
                max_iter=15,
                callback=lambda iteration, losses=losses: losses.append(
                    iteration.value
                ),
            )
        curves.append(losses)
    assert len(curves[0]) > 5 and curves[0][-1] < 0.5
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)


def test_decay_towards_anchors():
    objective = network((5, 4, 3), "softmax", "cross_entropy", alpha=0.3)
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(N, 5)), np.eye(3)[rng.integers(0, 3, N)]
    theta = rng.normal(size=objective.layout.size)
    W, V = objective.parameters(theta).coefs
    A = rng.normal(size=W.shape)
    objective.anchors[0] = A
    expected = 0.15 * (((W - A) ** 2).sum() + (V**2).sum())
    assert run(objective, X, T, None, theta)[2]["decay"] == pytest.approx(expected)
    with ThreadEngine(objective, X, targets=T) as evaluate:
        gradient = evaluate(theta)[1].copy()
        numeric = central_differences(lambda point: evaluate(point)[0], theta)
    assert_same_direction_and_size(gradient, numeric)


@pytest.mark.parametrize("l1", [(0.2, 0.0, 0.5), (0.0, 0.3, 0.0)])
def test_absolute_values_of_each_layers_weights(l1):
    sizes, rng = (5, 4, 3, 2), np.random.default_rng(0)
    X, T = rng.normal(size=(N, 5)), rng.normal(size=(N, 2))
    options = {"output": "identity", "loss": "squared_error", "alphas": [0.1] * 3}
    smooth, kinked = (
        NetworkObjective(sizes, ["tanh"] * 2, l1=weights, **options)
        for weights in (None, l1)
    )
    theta = rng.normal(size=smooth.layout.size)
    loss, gradient, terms = run(smooth, X, T, None, theta)
    with_kinks = run(kinked, X, T, None, theta)
    coefs = smooth.parameters(theta).coefs
    expected = sum(c * np.abs(W).sum() for c, W in zip(l1, coefs, strict=True))
    assert with_kinks[2] == {**terms, "l1": pytest.approx(expected, rel=1e-12)}
    assert with_kinks[0] == pytest.approx(loss + expected, rel=1e-12)
    np.testing.assert_array_equal(with_kinks[1], gradient)
    with ThreadEngine(kinked, X, targets=T) as evaluate:
        numeric = central_differences(lambda point: evaluate(point)[0], theta)
    c = kinked.penalty_weights
    assert_same_direction_and_size(gradient + c * np.sign(theta), numeric)
    assert smooth.penalty_weights is None and c.dtype == theta.dtype
