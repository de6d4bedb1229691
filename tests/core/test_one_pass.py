"""Functions in one pass: what they may compute with, and what they leave alone."""

import numpy as np
import pytest
from device_array import on_test_device

from skae._one_pass import in_one_pass
from skae.core.activations import ACTIVATIONS
from skae.core.arrays import to_host
from skae.core.losses import SquaredError

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(5, 3))


def softplus(x, b, scale, spare):
    np.multiply(x, scale, out=spare)
    spare += b
    np.exp(spare, out=spare)
    np.log1p(spare, out=x)


def test_here_and_there_the_same():
    here, spare = X.copy(), np.zeros_like(X)
    there, spare_there = on_test_device(X), on_test_device(spare)
    in_one_pass(softplus, here, X[:1], 0.5, scratch=(spare,))
    in_one_pass(softplus, there, on_test_device(X[:1]), 0.5, scratch=(spare_there,))
    np.testing.assert_allclose(here, np.log1p(np.exp(0.5 * X + X[:1])), rtol=1e-15)
    np.testing.assert_array_equal(there.get(), here)
    assert spare.all()
    # What a device needs in between never goes to its memory.
    assert not spare_there.get().any()


def numbers_alone(x, scale):
    x *= 1 - scale


def a_sum(x):
    x -= np.add.reduce(x)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [(numbers_alone, (0.05,), "numbers alone"), (a_sum, (), "reduce")],
)
def test_what_cupy_would_not_compute_is_refused(function, arguments, message):
    with pytest.raises(TypeError, match=message):
        in_one_pass(function, on_test_device(X), *arguments)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_numpy(name):
    f, b = ACTIVATIONS[name], X[:, :1]
    here, there = X.copy(), on_test_device(X)
    f.apply_to_sum(here, b)
    f.apply_to_sum(there, on_test_device(b))
    expected = X + b
    f.apply(expected)
    np.testing.assert_array_equal(here, expected)
    np.testing.assert_array_equal(there.get(), expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["tanh", "relu", "logistic"])
def test_outputs_are_compared_with_rows(name, weighted):
    rows = RANDOM.uniform(size=X.shape)
    w = RANDOM.uniform(0.5, 2, X.shape) if weighted else np.ones_like(X)
    value, slope = {
        "tanh": (np.tanh(X), 1 / np.cosh(X) ** 2),
        "relu": (X * (X > 0), X > 0),
        "logistic": (1 / (1 + np.exp(-X)), 1 / (2 + 2 * np.cosh(X))),
    }[name]
    for place in (np.copy, on_test_device):
        Z, scratch = place(X), (place(X), place(X))
        entry_weights = place(w) if weighted else None
        output = ACTIVATIONS[name]
        losses = SquaredError.rows(Z, place(rows), output, scratch, entry_weights)
        expected = (w * (value - rows) ** 2).sum(axis=1) / 2
        np.testing.assert_allclose(to_host(losses), expected, rtol=1e-13)
        expected = w * (value - rows) * slope
        np.testing.assert_allclose(to_host(Z), expected, rtol=1e-12, atol=1e-15)
