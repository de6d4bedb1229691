"""An autoencoder of one hidden layer: its parameters, their start, units and names.

Of the codes h = f(W x + b) and the outputs x̂ = g(Dᵀ h + c) this knows where W, b, D and
c lie in a flat vector, how they start at random, what the solver's coordinates make of
them, and as which attributes they are kept. What is minimised it does not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skae.core.activations import ACTIVATIONS
from skae.core.arrays import HOST
from skae.core.layout import Layout

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


@dataclass
class AutoencoderParameters:
    """A flat vector seen as the arrays of the formulas.

    ``encoder`` is W (n_components, n_features), ``hidden`` b, and ``decoder`` is
    D with c as one more row, (n_components + 1, n_features). ``slope`` is what terms
    of the mean code add to ∂J/∂h_i, (n_components, 1), ``draw`` says which noise the
    rows meet, None none, ``centers`` holds what is taken from each row that is
    encoded, and ``prepared`` what ``prepare`` has computed for all blocks.
    """

    theta: np.ndarray
    encoder: np.ndarray
    hidden: np.ndarray
    decoder: np.ndarray
    slope: np.ndarray | None = None
    draw: int | None = None
    centers: list[np.ndarray] | None = None
    prepared: Any = None

    @property
    def layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights, (units, inputs), and biases of the layers."""
        return [(self.encoder, self.hidden), (self.decoder[:-1].T, self.decoder[-1])]


class AutoencoderModel:
    """Parameters of an autoencoder with one hidden layer.

    Parameters
    ----------
    n_features, n_components : int
        Sizes of the visible and the hidden layer.
    activation, output : str
        Names in ``ACTIVATIONS``.
    tied_weights : bool
        Whether D is W itself.
    dtype : dtype
        float32 or float64.
    """

    by_feature = False  # whether the weights of a feature lie together in θ
    like: Any = HOST  # an array that lies where rows and parameters do

    def __init__(
        self,
        n_features: int,
        n_components: int,
        activation: str,
        output: str,
        tied_weights: bool,
        dtype: "DTypeLike",
    ):
        self.n_features, self.n_components = n_features, n_components
        self.activation = ACTIVATIONS[activation]
        self.output = ACTIVATIONS[output]
        self.tied_weights = tied_weights
        self.dtype = np.dtype(dtype)
        d, k = n_features, n_components
        # D and c lie together in either case: see AutoencoderParameters.
        if tied_weights:
            self.layout = Layout(decoder=(k + 1, d), hidden=(k,))
        else:
            self.layout = Layout(encoder=(k, d), hidden=(k,), decoder=(k + 1, d))

    def parameters(self, theta: np.ndarray) -> AutoencoderParameters:
        """See ``theta`` as arrays, without a copy."""
        views = self.layout.views(theta)
        encoder = views.decoder[:-1] if self.tied_weights else views.encoder
        return AutoencoderParameters(theta, encoder, views.hidden, views.decoder)

    @property
    def activations(self) -> list[Any]:
        """Of the hidden layers."""
        return [self.activation]

    def start(self, random_state: np.random.RandomState) -> np.ndarray:
        """θ′ with weights ~ U(±√(6/(n_features + n_components + 1))).

        Biases are 0; in the solver's coordinates the output's stand for the column
        means then.
        """
        start = np.zeros(self.layout.size, self.dtype)
        parameters = self.parameters(start)
        shape = parameters.encoder.shape
        bound = (6 / (sum(shape) + 1)) ** 0.5
        parameters.decoder[:-1] = random_state.uniform(-bound, bound, shape)
        if not self.tied_weights:
            parameters.encoder[:] = random_state.uniform(-bound, bound, shape)
        return start

    def units(
        self,
        mean: np.ndarray,
        spread: float,
        target_mean: np.ndarray | None = None,
        target_spread: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Scale, shift and centers of the solver's coordinates, in float64.

        The solver moves θ′, nearly the parameters that an autoencoder of the rows
        (x − m)/s would have, m being ``mean`` and s ``spread``:

            z = W′ (x − m)/s + b′             x̂ = m + s (D′ᵀ h + c′)

        is the function of the raw x that has

            W = W′/s,    b = b′ − W m,    D = s D′,    c = m + s c′.

        Codes are not of unit spread either, which makes J flat along D′ and steep
        along W′. So two more constants stand in W = W′/(2 s) and D = s D′/r, with r
        the typical spread of a code (a quarter for logistic units). They were chosen
        by trial, for the loss after a given number of iterations with the KL penalty.

        Behind a logistic output the outputs are bounded already: there D = D′/r and
        c = link(m) + c′. With tied weights D is W, which cannot have two scales:
        W = W′, or √s W′ where s > 1 and codes are bounded, as then W must grow to span
        the data.

        Parameters
        ----------
        mean : ndarray of shape (n_features,)
            m, in float64.
        spread : float
            s > 0, the root mean square of the columns' deviations from m.
        target_mean, target_spread : ndarray and float, optional
            Of what x̂ is compared with, where that is not x.
        """
        target_mean = mean if target_mean is None else target_mean
        output_scale = 1.0
        if self.output.bounds is None:
            output_scale = spread if target_spread is None else target_spread
        decoder_scale = output_scale / self.activation.code_spread
        encoder_scale = 0.5 / spread
        if self.tied_weights:
            bounded_codes = self.activation.bounds is not None
            tied_scale = max(1.0, spread) ** 0.5 if bounded_codes else 1.0
            encoder_scale = decoder_scale = tied_scale
        scale, shift = np.empty(self.layout.size), np.zeros(self.layout.size)
        parts = self.parameters(scale)
        parts.decoder[:-1] = decoder_scale
        parts.decoder[-1] = output_scale
        parts.encoder[:] = encoder_scale
        parts.hidden[:] = 1
        self.parameters(shift).decoder[-1] = self.output.link(target_mean)
        return scale, shift, [mean]

    def attributes(self, theta: np.ndarray) -> dict[str, Any]:
        """Copies of W, b, D and c by the names of fitted attributes.

        With tied weights D is W itself, the same array.
        """
        parameters = self.parameters(theta)
        components = parameters.encoder.copy()
        decoder = components if self.tied_weights else parameters.decoder[:-1].copy()
        return {
            "components_": components,
            "intercept_hidden_": parameters.hidden.copy(),
            "decoder_components_": decoder,
            "intercept_visible_": parameters.decoder[-1].copy(),
        }

    def theta_of(self, attributes: Mapping[str, Any]) -> np.ndarray:
        """θ of such attributes."""
        theta = np.empty(self.layout.size, self.dtype, like=self.like)
        parameters = self.parameters(theta)
        parameters.decoder[:-1] = attributes["decoder_components_"]
        parameters.decoder[-1] = attributes["intercept_visible_"]
        parameters.encoder[:] = attributes["components_"]
        parameters.hidden[:] = attributes["intercept_hidden_"]
        return theta
