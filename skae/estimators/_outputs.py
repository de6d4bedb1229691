"""The parameters that say what a reconstruction is and what it is compared by."""

import numpy as np

from skae._sklearn import StrOptions
from skae.core.losses import LOSSES
from skae.rows.moments import ranges_of


class OutputMixin:
    """Parameters ``output_activation`` and ``loss``."""

    _parameter_constraints: dict = {
        "output_activation": [StrOptions({"identity", "logistic"})],
        "loss": [StrOptions(set(LOSSES))],
    }

    def _check_combinations(self):
        if self.output_activation not in LOSSES[self.loss].outputs:
            raise ValueError(
                f"loss={self.loss!r} needs output_activation='logistic', got "
                f"output_activation={self.output_activation!r}; use "
                "output_activation='logistic' or loss='squared_error'."
            )

    def _check_range(self, X, weights):
        if self.output_activation != "logistic":
            return
        ranges = ranges_of(X, weights)
        low, high = float(ranges[0].min()), float(ranges[1].max())
        slack = 1e-6  # what a scaler's rounding may leave outside
        if low < -slack or high > 1 + slack:
            raise ValueError(
                "output_activation='logistic' needs X in [0, 1], got X from "
                f"{low:.6g} to {high:.6g}; scale X, for instance with MinMaxScaler, "
                "or use output_activation='identity' with loss='squared_error'."
            )


def zeros(weight):
    """The fraction of entries that are exactly zero."""
    return 1 - int(np.count_nonzero(weight)) / weight.size
