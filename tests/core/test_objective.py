"""The objective is the formula, and its gradient is the formula's derivative."""

import numpy as np
import pytest
import textbook
from compare import assert_same_direction_and_size, central_differences
from covering import every_pair, every_triple
from objectives import (
    ALPHA,
    CASES,
    IN_TEXTBOOK,
    Case,
    D,
    N,
    is_noisy,
)

from skae.core.penalties import KullbackLeibler
from skae.engines.threads import ThreadEngine
from skae.training.coordinates import Coordinates

MEAN = np.linspace(0.2, 0.8, D)

# The coordinates are those of the parameters: neither weights nor noise matter.
PLAIN_CASES = [c for c in CASES if not c.weighted and not is_noisy(c)]


def with_kinks(gradient, c, theta):
    """The gradient with that of Σ c_j |θ_j|, which objectives leave to the solver."""
    return gradient if c is None else gradient + c * np.sign(theta)


def test_tables_multiply():
    assert {case.activation for case in CASES} >= {"logistic", "tanh", "relu"}
    assert {case.loss for case in CASES} >= {"squared_error", "log_loss"}
    assert len(CASES) >= 200


@every_triple(case=CASES)
def test_loss_is_the_formula_and_the_gradient_its_derivative(case):
    """Of four blocks; the derivative is that of their sum, computed as one."""
    objective, X, s, theta = case.draw()
    with ThreadEngine(objective, X, s, rows=4) as evaluate:
        loss, gradient, terms = evaluate(theta)
        gradient = with_kinks(gradient, objective.penalty_weights, theta).copy()
        assert evaluate.data_loss(theta) == terms["reconstruction"]
    with ThreadEngine(objective, X, s, rows=N) as whole:
        numeric = central_differences(lambda point: whole(point)[0], theta)
    assert_same_direction_and_size(gradient, numeric)
    assert loss == pytest.approx(sum(terms.values()), rel=1e-12, abs=0)
    if not is_noisy(case):
        expected = formula(case, objective, X, s, theta)
        assert terms == pytest.approx(expected, rel=1e-12, abs=0)


def formula(case, objective, X, s, theta):
    """The terms of the objective as the textbook has them."""
    p = objective.parameters(theta)
    return textbook.terms(
        *(X, p.encoder, p.hidden, p.decoder[:-1], p.decoder[-1]),
        activation=case.activation,
        output=case.output,
        loss=case.loss,
        alpha=ALPHA,
        s=s,
        **IN_TEXTBOOK[case.extra],
    )


def in_coordinates(case, spread):
    objective, X, s, theta = case.draw(seed=2)
    units = objective.units(MEAN, spread)
    return objective, X, s, theta, Coordinates(objective, *units, unit=7.0)


@every_triple(case=PLAIN_CASES, spread=[0.3, 40.0])
def test_gradient_in_the_solvers_coordinates(case, spread):
    objective, X, s, theta, coordinates = in_coordinates(case, spread)
    inner = coordinates.from_data(theta)

    with ThreadEngine(objective, X, s, rows=N) as evaluate:

        def value(point):
            return evaluate(coordinates.to_data(point))[0] / coordinates.unit

        _, gradient, _ = evaluate(coordinates.to_data(inner))
        gradient = coordinates.pull_back(gradient).copy()
        numeric = central_differences(value, inner, step=1e-6)
    c = coordinates.pull_weights(objective.penalty_weights)
    gradient = with_kinks(gradient, c, inner)
    assert_same_direction_and_size(gradient, numeric)


@every_pair(case=PLAIN_CASES)
def test_coordinates_go_there_and_back(case):
    *_, theta, coordinates = in_coordinates(case, spread=3.0)
    back = coordinates.to_data(coordinates.from_data(theta))
    np.testing.assert_allclose(back, theta, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu", "identity"])
def test_coordinates_stand_for_a_network_of_standardised_data(activation):
    """W x + b of θ is a multiple of W′ (x − m)/s plus b′, and x̂ − m of s D′ᵀ h + s c′.

    The stated change of variables, up to the two constants of the scales.
    """
    case = Case(activation, "identity", "squared_error", "none", False, False)
    objective, X, _, inner, coordinates = in_coordinates(case, spread=3.0)
    p = objective.parameters(coordinates.to_data(inner))
    q = objective.parameters(inner)
    Z = (X - MEAN) / 3.0
    np.testing.assert_allclose(
        X @ p.encoder.T + p.hidden, Z @ (q.encoder / 2).T + q.hidden, rtol=1e-10
    )
    spread_of_codes = objective.activation.code_spread
    np.testing.assert_allclose(
        p.decoder[:-1], 3.0 * q.decoder[:-1] / spread_of_codes, rtol=1e-12
    )
    np.testing.assert_allclose(p.decoder[-1], MEAN + 3.0 * q.decoder[-1], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0)])
def test_kl_of_saturated_units_is_finite(bounds, dtype):
    penalty = KullbackLeibler(0.05, 3.0, bounds)
    low, high = bounds
    mean = np.array([low, high, low + 1e-30, high - 1e-16])
    assert np.isfinite(penalty.value(mean))
    slope = penalty.slope(mean).astype(dtype)
    assert np.isfinite(slope).all()
    # Downhill is away from the wall.
    assert (slope[[0, 2]] < 0).all() and (slope[[1, 3]] > 0).all()


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0)])
def test_kl_is_zero_and_flat_at_its_target_alone(bounds):
    penalty = KullbackLeibler(0.2, 3.0, bounds)
    at_target = np.full(3, penalty.target)
    assert penalty.value(at_target) == pytest.approx(0, abs=1e-14)
    np.testing.assert_allclose(penalty.slope(at_target), 0, atol=1e-13)
    assert penalty.value(at_target + 0.1) > 0


def test_log_loss_of_saturated_outputs_is_finite():
    case = Case("tanh", "logistic", "log_loss", "none", tied=False, weighted=False)
    objective, X, _, theta = case.draw()
    with ThreadEngine(objective, X) as evaluate:
        loss, gradient, _ = evaluate(1e4 * theta)
    assert np.isfinite(loss) and np.isfinite(gradient).all()
