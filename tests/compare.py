"""Gradients against central differences, and evaluations bit by bit."""

import numpy as np


def central_differences(value, theta, step=1e-5):
    numeric = np.empty_like(theta)
    for i in range(len(theta)):
        ahead, behind = theta.copy(), theta.copy()
        ahead[i] += step
        behind[i] -= step
        numeric[i] = (value(ahead) - value(behind)) / (ahead[i] - behind[i])
    return numeric


def assert_same_direction_and_size(gradient, numeric):
    difference = np.linalg.norm(gradient - numeric)
    assert difference < 1e-8 * np.linalg.norm(gradient + numeric)


def assert_same_bits(one, other):
    """Of two evaluations: loss, gradient and terms."""
    assert one[0] == other[0]
    assert one[1].dtype == other[1].dtype
    assert one[1].tobytes() == other[1].tobytes()
    assert one[2] == other[2]
