"""Activations: the value in place, the derivative from the value.

Every activation here has a derivative that is a function of its own output
h = f(z), so the pre-activations z are never kept. A new activation is one
class and one entry in ``ACTIVATIONS``.
"""

import numpy as np


class Identity:
    """f(z) = z."""

    bounds = None  # open interval of the codes, None where there is none
    # Typical of codes of inputs of order one, and f' in their middle: these set
    # the solver's units.
    code_centre, code_spread, slope = 0.0, 0.5, 1.0

    @staticmethod
    def apply(Z):
        """Replace Z by f(Z)."""

    @staticmethod
    def derivative(H, out):
        """Write f'(z) into ``out``, given H = f(Z)."""
        out.fill(1)

    @staticmethod
    def pull_back(H, delta, scratch):
        """Multiply ``delta`` by f'(z) in place, given H = f(Z)."""

    @staticmethod
    def link(mean):
        """Return the z for which f(z) is ``mean``, as near as f allows."""
        return mean


class Logistic:
    """f(z) = 1/(1 + exp(−z)), f' = h (1 − h)."""

    bounds = (0.0, 1.0)
    code_centre, code_spread, slope = 0.5, 0.25, 0.25

    @staticmethod
    def apply(Z):
        # f(z) = (1 + tanh(z/2))/2. NumPy vectorises tanh and not
        # scipy.special.expit: 0.2 against 2.5 ns an element in float32.
        Z *= 0.5
        np.tanh(Z, out=Z)
        Z *= 0.5
        Z += 0.5

    @staticmethod
    def derivative(H, out):
        np.subtract(1, H, out=out)
        out *= H

    @classmethod
    def pull_back(cls, H, delta, scratch):
        cls.derivative(H, out=scratch)
        delta *= scratch

    @staticmethod
    def curvature(H, slope):
        """f″(z), given H = f(Z) and slope = f′(Z): f′ (1 − 2h)."""
        return slope * (1 - 2 * H)

    @staticmethod
    def link(mean):
        # A constant column of zeros or ones has no finite logit; 1e-3 is near
        # enough to start from and keeps the derivative alive.
        mean = np.clip(mean, 1e-3, 1 - 1e-3)
        return np.log(mean / (1 - mean))


class Tanh:
    """f(z) = tanh(z), f' = 1 − h²."""

    bounds = (-1.0, 1.0)
    code_centre, code_spread, slope = 0.0, 0.5, 1.0

    @staticmethod
    def apply(Z):
        np.tanh(Z, out=Z)

    @staticmethod
    def derivative(H, out):
        np.multiply(H, H, out=out)
        np.subtract(1, out, out=out)

    @classmethod
    def pull_back(cls, H, delta, scratch):
        cls.derivative(H, out=scratch)
        delta *= scratch

    @staticmethod
    def curvature(H, slope):
        """f″(z), given H = f(Z) and slope = f′(Z): −2 h f′."""
        return -2 * H * slope

    @staticmethod
    def link(mean):
        return np.arctanh(np.clip(mean, -1 + 2e-3, 1 - 2e-3))


class Relu:
    """f(z) = max(z, 0), f' = 1 where h > 0 and 0 elsewhere."""

    bounds = None
    code_centre, code_spread, slope = 0.25, 0.5, 1.0

    @staticmethod
    def apply(Z):
        np.maximum(Z, 0, out=Z)

    @staticmethod
    def derivative(H, out):
        np.greater(H, 0, out=out)

    @classmethod
    def pull_back(cls, H, delta, scratch):
        cls.derivative(H, out=scratch)
        delta *= scratch

    @staticmethod
    def link(mean):
        return np.maximum(mean, 0)


ACTIVATIONS = {
    "logistic": Logistic,
    "tanh": Tanh,
    "relu": Relu,
    "identity": Identity,
}


class Softmax:
    """f(z)_k = exp(z_k)/Σ_l exp(z_l) of each row, along the last axis.

    An output only: its derivative is not a function of one entry.
    """

    bounds = (0.0, 1.0)

    @staticmethod
    def apply(Z):
        Z -= Z.max(axis=-1, keepdims=True)
        np.exp(Z, out=Z)
        Z /= Z.sum(axis=-1, keepdims=True)

    @staticmethod
    def link(mean):
        # A class of weight zero has no finite logit.
        return np.log(np.maximum(mean, 1e-3))


OUTPUTS = ACTIVATIONS | {"softmax": Softmax}
