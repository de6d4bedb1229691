"""Layers give the activations that the formulas give."""

from itertools import pairwise

import numpy as np
import pytest
import textbook
from networks import NetworkCase
from scipy.sparse import csr_array

from skae.core.layers import Layers, SparseLayers


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


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_layers_followed_by_others_are_the_whole(depth):
    objective, X, _, _, theta = NetworkCase(
        3, "tanh", "identity", "squared_error"
    ).draw()
    whole = objective.outputs(theta)
    p = objective.parameters(theta)
    parts = p.coefs[:depth], p.intercepts[:depth], objective.names[:depth]
    first = Layers(*parts, X.dtype)
    both = first.followed_by(whole.layers[depth:])
    np.testing.assert_array_equal(both(X), whole(X))
    assert both.n_outputs == whole.n_outputs
    assert first(X).shape == (len(X), len(p.intercepts[depth - 1]))  # as it was
    sparse = SparseLayers(first, entries_per_row=5).followed_by(whole.layers[depth:])
    np.testing.assert_allclose(sparse(csr_array(X)), whole(X), rtol=1e-13)
    inputs, *above = objective.layer_sizes
    products = [5 * above[0], *(a * b for a, b in pairwise(above))]  # 5 of the inputs
    assert sparse.multiplications_per_row == sum(products) < inputs * sum(products)
