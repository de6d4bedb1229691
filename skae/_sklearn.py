"""The only file that imports private scikit-learn names or bridges versions.

Everything else uses scikit-learn's public interface. Tried on 1.6 to 1.9.
"""

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_sample_weight",
    "validate_params",
]


def validate_params(estimator):
    """Check the constructor's parameters against ``_parameter_constraints``."""
    estimator._validate_params()


def check_sample_weight(sample_weight, X):
    """Non-negative weights in X's dtype, not all of them zero; None stays None."""
    if sample_weight is None:
        return None
    # scikit-learn checks this itself from 1.9.
    if np.all(np.asarray(sample_weight) == 0):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return _check_sample_weight(
        sample_weight, X, dtype=X.dtype, ensure_non_negative=True
    )
