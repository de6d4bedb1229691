"""Layers give the activations that the formulas give."""

from itertools import pairwise

import numpy as np
import pytest
import textbook
from networks import NetworkCase

from skae.core.layers import Layers


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_layers_give_the_activations_of_the_last_one(depth):
    case = NetworkCase(depth, "tanh", "softmax", "cross_entropy")
    objective, X, _, _, theta = case.draw(n=2500)
    p = objective.parameters(theta)
    names = case.activations
    ones = [1.0] * len(names)
    Z = textbook.pre_activations(X, p.coefs, p.intercepts, names, ones)
    expected = textbook.ACTIVATIONS["softmax"](Z[-1])
    outputs = np.empty_like(expected)
    assert objective.outputs(theta)(X, out=outputs) is outputs
    np.testing.assert_allclose(outputs, expected)
    first = p.coefs[:depth], p.intercepts[:depth], names[:depth]
    codes = Layers(*first, X.dtype)(X)
    np.testing.assert_allclose(codes, np.tanh(Z[depth - 1]) if depth else X)
    layers = Layers(p.coefs, p.intercepts, names, np.float32)
    single = layers(X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=1e-4)
    sizes = case.layer_sizes
    products = [a * b for a, b in pairwise(sizes)]
    assert layers.multiplications_per_row == sum(products)
    assert layers.n_outputs == sizes[-1]
