"""alpha="scale" in the stacks: the same network in whatever units."""

import numpy as np
import pytest
import textbook
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import StandardScaler

from skae import (
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore:Fine-tuning stopped")

X, NUMBERS = load_diabetes(return_X_y=True)
X = StandardScaler().fit_transform(X)[:200]
# Of one mean variance: what a single unit of y is the unit of.
NUMBERS = np.stack([NUMBERS[:200], 5 * NUMBERS[:200][::-1] + NUMBERS[:200]], axis=1)
CHAIN = {"autoencoder": None, "random_state": 0, "max_iter": 20}


def of_unit_spread(A):
    return A / np.sqrt(A.var(axis=0).mean())


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("unit", [2.0**-12, 2.0**7])
def test_predictions_change_with_the_unit_of_y_as_y_does(unit, solver, l1_ratio):
    options = {"solver": solver, "l1_ratio": l1_ratio, **CHAIN}
    for autoencoder in (None, "sparse"):
        stack = StackedAutoencoderRegressor((8, 4), **options)
        stack.set_params(autoencoder=autoencoder)
        one = stack.fit(X, NUMBERS).predict(X)
        other = stack.fit(X, unit * NUMBERS).predict(X)
        # Powers of two round alike, but for ε in Adam and what is squared.
        np.testing.assert_allclose(other, unit * one, rtol=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("x_unit, y_unit", [(1.0, 1.0), (1e-3, 30.0), (500.0, 0.02)])
def test_scale_is_the_number_for_data_of_unit_spread(x_unit, y_unit, l1_ratio):
    """J in units is s_y² times J of unit-free data with the network rescaled."""
    rows, numbers = of_unit_spread(X), of_unit_spread(NUMBERS)
    options = {"l1_ratio": l1_ratio, **CHAIN}
    stack = StackedAutoencoderRegressor((4, 3), **options)
    stack.fit(x_unit * rows, y_unit * numbers)
    coefs = [W.copy() for W in stack.coefs_]
    intercepts = [b.copy() for b in stack.intercepts_]
    coefs[0] *= x_unit
    coefs[-1] /= y_unit
    intercepts[-1] /= y_unit
    expected = textbook.network_loss(
        *(rows, numbers, coefs, intercepts, ["logistic", "logistic", "identity"]),
        loss="squared_error",
        alphas=[(1 - l1_ratio) * 2e-3] * 3,
        l1=[l1_ratio * 2e-3] * 3,
    )
    assert stack.loss_ / y_unit**2 == pytest.approx(expected, rel=1e-9)
    plain = StackedAutoencoderRegressor((4, 3), alpha=2e-3, **options)
    if x_unit == y_unit == 1:
        np.testing.assert_allclose(
            plain.fit(rows, numbers).predict(rows), stack.predict(rows), rtol=1e-6
        )


@pytest.mark.parametrize("unit", [2.0**-10, 2.0**8])
@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"output_activation": "logistic"},
        {"output_activation": "logistic", "loss": "log_loss"},
    ],
    ids=["linear", "logistic", "log loss"],
)
def test_reconstructions_change_with_the_unit_of_x(outputs, unit):
    rows = load_iris().data / 8
    stack = StackedAutoencoder((4, 2), **outputs, **CHAIN)
    if not outputs:
        one = stack.fit(rows).predict(rows)
        other = stack.fit(unit * rows).predict(unit * rows)
        np.testing.assert_allclose(other, unit * one, rtol=1e-6)
        return
    s2 = rows.var(axis=0).mean()
    expected = [s2**2, s2, s2, s2] if len(outputs) == 1 else [s2, 1, 1, 1]
    given = stack.fit(rows).penalties_
    np.testing.assert_allclose(given["squares"], 1e-3 * np.array(expected))
    assert given["absolute"] == [0.0] * 4


@pytest.mark.parametrize("unit", [2.0**-10, 2.0**8])
def test_classes_do_not_depend_on_the_unit_of_x(unit):
    rows, y = load_iris(return_X_y=True)
    stack = StackedAutoencoderClassifier((4,), alpha="scale", **CHAIN)
    one = stack.fit(rows, y).predict_proba(rows)
    other = stack.fit(unit * rows, y).predict_proba(unit * rows)
    np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-12)


def test_decay_output_reaches_the_output_alone():
    stack = StackedAutoencoderRegressor((4, 3), decay="output", l1_ratio=0.25, **CHAIN)
    given = stack.fit(of_unit_spread(X), 3 * of_unit_spread(NUMBERS)).penalties_
    np.testing.assert_allclose(given["squares"], [0, 0, 0.75 * 2e-3], rtol=1e-9)
    np.testing.assert_allclose(given["absolute"], [0, 0, 3 * 0.25 * 2e-3], rtol=1e-9)


def test_nothing_that_varies_counts_as_unit_spread():
    stack = StackedAutoencoderRegressor((3,), **CHAIN)
    stack.fit(np.full((9, 2), 7.0), np.full(9, -3.0))
    np.testing.assert_allclose(stack.penalties_["squares"], [2e-3, 2e-3])
    np.testing.assert_allclose(stack.predict(np.full((1, 2), 7.0)), -3.0, rtol=1e-3)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_penalties_follow_the_share_of_the_loss_that_is_there(l1_ratio):
    """Rows without an entry halve the loss of a row, and so they halve the penalties.

    All targets of a regressor are there, whatever is missing of X.
    """
    options = {"alpha": "scale", "l1_ratio": l1_ratio, **CHAIN, "max_iter": 1}
    empty = np.concatenate([X, np.full(X.shape, np.nan)])
    reconstructs = StackedAutoencoder((4, 3), **options)
    predicts = StackedAutoencoderRegressor((4, 3), **options)
    whole, half = (reconstructs.fit(rows).penalties_ for rows in (X, empty))
    y = np.tile(NUMBERS, (2, 1))
    same, again = (
        predicts.fit(rows, numbers).penalties_
        for rows, numbers in ((X, NUMBERS), (empty, y))
    )
    for kind in ("squares", "absolute"):
        np.testing.assert_allclose(half[kind], np.array(whole[kind]) / 2, rtol=1e-12)
        np.testing.assert_allclose(again[kind], same[kind], rtol=1e-12)
    assert half["squares"][0] > 0
