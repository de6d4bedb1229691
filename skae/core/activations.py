"""Activations: the value in place, the derivative from the value.

Every activation here has a derivative that is a function of its own output
h = f(z), so the pre-activations z are never kept. A new activation is one
class and one entry in ``ACTIVATIONS``; what it can do is said by its attributes,
never asked of its name. ``apply`` and ``derivative`` compute with ufuncs alone:
see ``in_one_pass``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from skae._one_pass import in_one_pass

if TYPE_CHECKING:
    from skae.core import protocols


class BaseActivation:
    """What an activation is unless it says otherwise; see ``protocols.Activation``."""

    # Open interval of the codes, None where there is none.
    bounds: ClassVar[tuple[float, float] | None] = None
    # Typical of codes of inputs of order one, and f' in their middle: these set
    # the solver's units.
    code_centre: ClassVar[float] = 0.0
    code_spread: ClassVar[float] = 0.5
    slope: ClassVar[float] = 1.0
    is_linear: ClassVar[bool] = False  # whether f(z) = z
    # ``curvature(H, slope)``: f″(z), given H = f(Z) and slope = f′(Z). None where
    # f′ is piecewise constant, so that f″ says nothing of f.
    curvature: ClassVar[Any] = None

    @staticmethod
    def apply(Z: np.ndarray) -> None:
        """Replace Z by f(Z)."""
        raise NotImplementedError

    @staticmethod
    def link(mean: np.ndarray) -> np.ndarray:
        """Return the z for which f(z) is ``mean``, as near as f allows."""
        raise NotImplementedError

    @staticmethod
    def derivative(H: np.ndarray, out: np.ndarray) -> None:
        """Write f'(z) into ``out``, given H = f(Z)."""
        raise NotImplementedError

    @classmethod
    def apply_to_sum(cls, Z: np.ndarray, b: np.ndarray) -> None:
        """Replace Z by f(Z + b)."""
        in_one_pass(cls._add_and_apply, Z, b)

    @classmethod
    def _add_and_apply(cls, Z: np.ndarray, b: np.ndarray) -> None:
        Z += b
        cls.apply(Z)

    @classmethod
    def pull_back(cls, H: np.ndarray, delta: np.ndarray, scratch: np.ndarray) -> None:
        """Multiply ``delta`` by f'(z) in place, given H = f(Z)."""
        in_one_pass(cls._times_slope, delta, H, scratch=(scratch,))

    @classmethod
    def _times_slope(cls, delta: np.ndarray, H: np.ndarray, slope: np.ndarray) -> None:
        cls.derivative(H, out=slope)
        delta *= slope


class Identity(BaseActivation):
    """f(z) = z."""

    is_linear = True

    @staticmethod
    def apply(Z: np.ndarray) -> None:
        """Replace Z by f(Z)."""

    @staticmethod
    def derivative(H: np.ndarray, out: np.ndarray) -> None:
        """Write f'(z) = 1 into ``out``."""
        out.fill(1)

    @classmethod
    def pull_back(cls, H: np.ndarray, delta: np.ndarray, scratch: np.ndarray) -> None:
        """Leave ``delta`` as it is."""

    @staticmethod
    def link(mean: np.ndarray) -> np.ndarray:
        """Return the z for which f(z) is ``mean``, as near as f allows."""
        return mean


class Logistic(BaseActivation):
    """f(z) = 1/(1 + exp(−z)), f' = h (1 − h)."""

    bounds = (0.0, 1.0)
    code_centre, code_spread, slope = 0.5, 0.25, 0.25

    @staticmethod
    def apply(Z: np.ndarray) -> None:
        """Replace Z by f(Z)."""
        # f(z) = (1 + tanh(z/2))/2. NumPy vectorises tanh and not
        # scipy.special.expit: 0.2 against 2.5 ns an element in float32.
        Z *= 0.5
        np.tanh(Z, out=Z)
        Z *= 0.5
        Z += 0.5

    @staticmethod
    def derivative(H: np.ndarray, out: np.ndarray) -> None:
        """Write f'(z) into ``out``, given H = f(Z)."""
        np.subtract(1, H, out=out)
        out *= H

    @staticmethod
    def curvature(H: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """f″(z), given H = f(Z) and slope = f′(Z): f′ (1 − 2h)."""
        return slope * (1 - 2 * H)

    @staticmethod
    def link(mean: np.ndarray) -> np.ndarray:
        """Return the z for which f(z) is ``mean``, as near as f allows."""
        # A constant column of zeros or ones has no finite logit; 1e-3 is near
        # enough to start from and keeps the derivative alive.
        mean = np.clip(mean, 1e-3, 1 - 1e-3)
        return np.log(mean / (1 - mean))


class Tanh(BaseActivation):
    """f(z) = tanh(z), f' = 1 − h²."""

    bounds = (-1.0, 1.0)
    code_centre, code_spread, slope = 0.0, 0.5, 1.0

    @staticmethod
    def apply(Z: np.ndarray) -> None:
        """Replace Z by f(Z)."""
        np.tanh(Z, out=Z)

    @staticmethod
    def derivative(H: np.ndarray, out: np.ndarray) -> None:
        """Write f'(z) into ``out``, given H = f(Z)."""
        np.multiply(H, H, out=out)
        np.subtract(1, out, out=out)

    @staticmethod
    def curvature(H: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """f″(z), given H = f(Z) and slope = f′(Z): −2 h f′."""
        return -2 * H * slope

    @staticmethod
    def link(mean: np.ndarray) -> np.ndarray:
        """Return the z for which f(z) is ``mean``, as near as f allows."""
        return np.arctanh(np.clip(mean, -1 + 2e-3, 1 - 2e-3))


class Relu(BaseActivation):
    """f(z) = max(z, 0), f' = 1 where h > 0 and 0 elsewhere."""

    code_centre, code_spread, slope = 0.25, 0.5, 1.0

    @staticmethod
    def apply(Z: np.ndarray) -> None:
        """Replace Z by f(Z)."""
        np.maximum(Z, 0, out=Z)

    @staticmethod
    def derivative(H: np.ndarray, out: np.ndarray) -> None:
        """Write f'(z) into ``out``, given H = f(Z)."""
        np.greater(H, 0, out=out)

    @staticmethod
    def link(mean: np.ndarray) -> np.ndarray:
        """Return the z for which f(z) is ``mean``, as near as f allows."""
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

    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    is_linear: ClassVar[bool] = False

    @staticmethod
    def apply(Z: np.ndarray) -> None:
        """Replace Z by f(Z)."""
        Z -= Z.max(axis=-1, keepdims=True)
        np.exp(Z, out=Z)
        Z /= Z.sum(axis=-1, keepdims=True)

    @staticmethod
    def link(mean: np.ndarray) -> np.ndarray:
        """Return z for which f(z) is ``mean``, as near as f allows."""
        # A class of weight zero has no finite logit.
        return np.log(np.maximum(mean, 1e-3))


OUTPUTS: "Mapping[str, protocols.Output]" = {**ACTIVATIONS, "softmax": Softmax}
