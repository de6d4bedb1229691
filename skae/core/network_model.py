"""A feed-forward network: its parameters, their start, units and names.

Of hidden layers hˡ = f_l(W_l hˡ⁻¹ + b_l), h⁰ = x, and outputs ŷ = g(V h^L + c) this
knows where the weights and biases lie in a flat vector, how they start at random, what
the solver's coordinates make of them, and as which attributes they are kept. What is
minimised it does not know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skae.core.activations import ACTIVATIONS, OUTPUTS
from skae.core.arrays import HOST
from skae.core.layers import Layers
from skae.core.layout import Layout

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


@dataclass
class NetworkParameters:
    """A flat vector seen as the arrays of the formulas.

    ``coefs`` are the W_l, (units, inputs) each, the last one V, ``intercepts`` the
    b_l, the last one c. ``draw`` says which dropout the rows meet, None none,
    ``centers`` what is taken from the inputs of each layer, if they are centred, and
    ``prepared`` what ``prepare`` has computed for all blocks.
    """

    theta: np.ndarray
    coefs: list[np.ndarray]
    intercepts: list[np.ndarray]
    draw: int | None = None
    centers: list[np.ndarray] | None = None
    prepared: Any = None

    @property
    def layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights, (units, inputs), and biases of the layers."""
        return list(zip(self.coefs, self.intercepts, strict=True))


class NetworkModel:
    """Parameters of a feed-forward network.

    Parameters
    ----------
    layer_sizes : sequence of int
        (n_features, k_1, …, k_L, n_outputs).
    activations : sequence of str
        Name in ``ACTIVATIONS`` of each of the L hidden layers.
    output : str
        Name in ``OUTPUTS``.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    names : list of str
        Of the activations of all layers, the output's last.
    depth : int
        L.
    """

    by_feature = False  # whether the weights of a feature lie together in θ
    like: Any = HOST  # an array that lies where rows and parameters do

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activations: Sequence[str],
        output: str,
        dtype: "DTypeLike",
    ):
        self.layer_sizes = tuple(layer_sizes)
        self.depth = len(self.layer_sizes) - 2
        self.names = [*activations, output]
        self.activations: list[Any] = [ACTIVATIONS[name] for name in activations]
        self.output = OUTPUTS[output]
        self.dtype = np.dtype(dtype)
        self._layers = range(self.depth + 1)
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in self._layers:
            inputs, units = self.layer_sizes[layer : layer + 2]
            shapes |= {f"W{layer}": (units, inputs), f"b{layer}": (units,)}
        self.layout = Layout(**shapes)

    @property
    def n_features(self) -> int:
        """Columns of the data."""
        return self.layer_sizes[0]

    def parameters(self, theta: np.ndarray) -> NetworkParameters:
        """See ``theta`` as arrays, without a copy."""
        views = vars(self.layout.views(theta))
        return NetworkParameters(
            theta,
            [views[f"W{layer}"] for layer in self._layers],
            [views[f"b{layer}"] for layer in self._layers],
        )

    def start(self, random_state: np.random.RandomState) -> np.ndarray:
        """θ′ with weights ~ U(±√(6/(inputs + units))), biases 0."""
        start = np.zeros(self.layout.size, self.dtype)
        for W in self.parameters(start).coefs:
            bound = (6 / sum(W.shape)) ** 0.5
            W[:] = random_state.uniform(-bound, bound, W.shape)
        return start

    def units(
        self,
        mean: np.ndarray,
        spread: float,
        target_mean: np.ndarray | None = None,
        target_spread: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Scale, shift and centers of the solver's coordinates, in float64.

        The inputs of a layer have a centre m and a spread s: the data's for the first,
        those typical of the codes of the layer before for the others. With r the
        typical spread of a layer's own codes, and f′ the slope in their middle, so that
        r/f′ is the spread of the z that makes such codes,

            W = (r/f′) W′/s,    b = b′ − W m,
            V = s_y V′/s,       c = m_y + s_y c′ − V m,

        m_y and s_y being the targets' mean and spread; V = V′/s and
        c = link(m_y) + c′ − V m where the outputs are not linear. These constants were
        chosen by trial, for the evaluations that a 64-50-50-10 classifier of the digits
        and a 64-40-15-40-64 autoencoder of them take to a given loss from a random
        start. Centring counts most: codes that are never negative add up to a large
        constant, which every W shares.

        Parameters
        ----------
        mean : ndarray of shape (n_features,)
            m of the data, in float64.
        spread : float
            s > 0, the root mean square of the columns' deviations from m.
        target_mean : ndarray of shape (n_outputs,), optional
            m_y, in float64; by default the targets are the data, and it is m.
        target_spread : float, optional
            s_y > 0; by default s.
        """
        target_mean = mean if target_mean is None else target_mean
        output_scale = 1.0
        if self.output.bounds is None:
            output_scale = spread if target_spread is None else target_spread
        scale, shift = np.empty(self.layout.size), np.zeros(self.layout.size)
        parts = self.parameters(scale)
        spreads = [spread, *(f.code_spread for f in self.activations)]
        gains = [f.code_spread / f.slope for f in self.activations]
        gains.append(output_scale)
        for layer, W in enumerate(parts.coefs):
            W[:] = gains[layer] / spreads[layer]
            parts.intercepts[layer][:] = 1
        parts.intercepts[-1][:] = output_scale
        self.parameters(shift).intercepts[-1][:] = self.output.link(target_mean)
        codes = zip(self.activations, self.layer_sizes[1:-1], strict=True)
        centers = [mean, *(np.full(k, f.code_centre) for f, k in codes)]
        return scale, shift, centers

    def attributes(self, theta: np.ndarray) -> dict[str, Any]:
        """Copies of the weights, (inputs, units), and biases, as fitted attributes."""
        parameters = self.parameters(theta.copy())
        return {
            "coefs_": [W.T for W in parameters.coefs],
            "intercepts_": parameters.intercepts,
        }

    def theta_of(self, attributes: Mapping[str, Any]) -> np.ndarray:
        """θ of such attributes."""
        theta = np.empty(self.layout.size, self.dtype, like=self.like)
        parameters = self.parameters(theta)
        for W, given in zip(parameters.coefs, attributes["coefs_"], strict=True):
            W[:] = given.T
        for b, given in zip(
            parameters.intercepts, attributes["intercepts_"], strict=True
        ):
            b[:] = given
        return theta

    def outputs(self, theta: np.ndarray) -> Layers:
        """The ``Layers`` that give a row's outputs."""
        parameters = self.parameters(theta)
        return Layers(parameters.coefs, parameters.intercepts, self.names, self.dtype)
