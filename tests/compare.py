"""Gradients against central differences, evaluations bit by bit, and scores."""

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning


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


def assert_has_score(model, rows, sample_weight=None):
    """A finite one; of a single row that counts none, as of scikit-learn's R²."""
    counted = np.shape(rows)[0]
    if sample_weight is not None:
        counted = np.count_nonzero(sample_weight)
    if counted > 1:
        assert np.isfinite(model.score(rows, sample_weight=sample_weight))
    else:
        with pytest.warns(UndefinedMetricWarning, match="less than two samples"):
            assert np.isnan(model.score(rows, sample_weight=sample_weight))
