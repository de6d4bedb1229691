"""Coordinates in which the solver works: centred data with unit spread.

The objective is what it is in the units of the data, but L-BFGS starts from the
identity as its guess of the curvature, and that guess is only good where data
are centred and of order one. So the solver moves θ′, the parameters that an
autoencoder of (x − m)/s would have,

    z = W′ (x − m)/s + b′             x̂ = m + s (D′ᵀ h + c′),

while the objective is evaluated at the θ that stands for the same function of
the raw x (m and s are the data's column means and overall spread):

    W = W′/s,    b = b′ − W m,    D = s D′,    c = m + s c′.

The change is linear, so ∂/∂θ′ follows by the chain rule. Nothing is
approximated and no centred copy of X is made; a minimum stays a minimum, found
sooner, and data in [0, 1], in thousands or in millionths train alike.

Codes are not of unit spread either, which makes J flat along D′ and steep along
W′. So two more constants stand in W = W′/(2 s) and D = s D′/r, with r the
typical spread of a code (a quarter for logistic units). They were chosen by
trial, for the loss after a given number of iterations with the KL penalty; they
change where the solver starts and how fast it goes, never what is minimised.

Behind a logistic output the outputs are bounded already: there D = D′/r and
c = link(m) + c′. With tied weights D is W, which cannot have two scales: W = W′,
or √s W′ where s > 1 and codes are bounded, as then W must grow to span the data.

A deep network is treated alike, layer by layer. The inputs of a layer have a centre
m and a spread s: the data's for the first, those typical of the codes of the layer
before for the others. With r the typical spread of a layer's own codes, and f′ the
slope in their middle, so that r/f′ is the spread of the z that makes such codes,

    W = (r/f′) W′/s,    b = b′ − W m,        V = s_y V′/s,    c = m_y + s_y c′ − V m,

m_y and s_y being the targets' mean and spread; V = V′/s, c = link(m_y) + c′ − V m
where the outputs are not linear. These constants were chosen by trial too, for the
evaluations that a 64-50-50-10 classifier of the digits and a 64-40-15-40-64
autoencoder of them take to a given loss from a random start. Centring counts most:
codes that are never negative add up to a large constant, which every W shares.
"""

import numpy as np


class _Affine:
    """θ = scale ∘ θ′ + shift, and then W m is taken from each centred layer's biases.

    Parameters
    ----------
    objective : object
        Gives ``parameters`` and the dtype.
    scale, shift : ndarray of shape (size,)
        In float64.
    means : list of ndarray
        m of each centred layer's inputs, in float64.
    unit : float
        What the objective is divided by.

    Attributes
    ----------
    scale : ndarray of shape (size,)
        Factors by which θ differs from θ′, in the objective's dtype.
    means : list of ndarray
        m of each centred layer's inputs, in the objective's dtype.
    """

    def __init__(self, objective, scale, shift, means, unit):
        dtype = objective.dtype
        self.objective, self.unit = objective, unit
        self.scale, self._shift = scale.astype(dtype), shift.astype(dtype)
        self._pull = (scale / unit).astype(dtype)
        self.means = [mean.astype(dtype) for mean in means]

    def _centred(self, theta):
        """(W, b, m) of each layer whose inputs are centred, views of ``theta``."""
        layers = self.objective.parameters(theta).layers
        # An autoencoder's codes are not, so its decoder is not among these.
        return [(W, b, m) for (W, b), m in zip(layers, self.means, strict=False)]

    def to_centred(self, inner, out=None):
        """θ for θ′, but with the biases b + W m, those of centred inputs."""
        theta = np.multiply(inner, self.scale, out=out)
        theta += self._shift
        return theta

    def decentred(self, centred):
        """θ from its form for centred inputs, a copy."""
        theta = centred.copy()
        for W, b, mean in self._centred(theta):
            b -= W @ mean
        return theta

    def to_data(self, inner, out=None):
        """θ for θ′, written to ``out`` if given.

        No buffer is kept here: restarts in several threads share one instance,
        and views of a buffer would come apart on their way to another process.
        """
        theta = self.to_centred(inner, out)
        for W, b, mean in self._centred(theta):
            b -= W @ mean
        return theta

    def from_data(self, theta):
        """θ′ for θ."""
        inner = theta.copy()
        for W, b, mean in self._centred(inner):
            b += W @ mean
        inner -= self._shift
        inner /= self.scale
        return inner

    def pull_weights(self, c):
        """c′ of the penalty Σ c′_j |θ′_j| that is Σ c_j |θ_j| / unit, or None.

        No biases may be penalised: only of the other parameters is θ = scale ∘ θ′, so
        that zero stays zero and the penalty stays a sum over single entries.
        """
        return None if c is None else c * self._pull

    def pull_back(self, gradient):
        """∂(J/unit)/∂θ′ for ∂J/∂θ, in place."""
        for W, b, mean in self._centred(gradient):
            # b = b′ − W m, so W′ moves b too.
            W -= np.multiply.outer(b, mean)
        gradient *= self._pull
        return gradient


class Coordinates(_Affine):
    """The linear map θ′ → θ of an autoencoder and the pull-back of gradients.

    Parameters
    ----------
    objective : AutoencoderObjective
        Gives the layout, the activations and whether weights are tied.
    mean : ndarray of shape (n_features,)
        m, in float64.
    spread : float
        s > 0, the root mean square of the columns' deviations from m.
    unit : float
        The objective is divided by it, so that it is of order one as well.
    """

    def __init__(self, objective, mean, spread, unit):
        linear_output = objective.output.bounds is None
        output_scale = spread if linear_output else 1.0
        decoder_scale = output_scale / objective.activation.code_spread
        encoder_scale = 0.5 / spread
        if objective.tied_weights:
            bounded_codes = objective.activation.bounds is not None
            tied_scale = max(1.0, spread) ** 0.5 if bounded_codes else 1.0
            encoder_scale = decoder_scale = tied_scale
        size = objective.layout.size
        scale, shift = np.empty(size), np.zeros(size)
        parts = objective.parameters(scale)
        parts.decoder[:-1] = decoder_scale
        parts.decoder[-1] = output_scale
        parts.encoder[:] = encoder_scale
        parts.hidden[:] = 1
        objective.parameters(shift).decoder[-1] = objective.output.link(mean)
        super().__init__(objective, scale, shift, [mean], unit)


class NetworkCoordinates(_Affine):
    """The linear map θ′ → θ of a deep network and the pull-back of gradients.

    Parameters
    ----------
    objective : NetworkObjective
        Gives the layout and the activations.
    mean : ndarray of shape (n_features,)
        m, in float64.
    spread : float
        s > 0, the root mean square of the columns' deviations from m.
    unit : float
        The objective is divided by it: the loss of predicting the targets' mean.
    target_mean : ndarray of shape (n_outputs,), optional
        m_y, in float64; by default the targets are the data, and it is m.
    target_spread : float, optional
        s_y > 0; by default s.
    """

    def __init__(
        self, objective, mean, spread, unit, target_mean=None, target_spread=None
    ):
        target_mean = mean if target_mean is None else target_mean
        output_scale = 1.0
        if objective.output.bounds is None:
            output_scale = spread if target_spread is None else target_spread
        size = objective.layout.size
        scale, shift = np.empty(size), np.zeros(size)
        parts = objective.parameters(scale)
        spreads = [spread, *(f.code_spread for f in objective.activations)]
        gains = [f.code_spread / f.slope for f in objective.activations]
        gains.append(output_scale)
        for layer, W in enumerate(parts.coefs):
            W[:] = gains[layer] / spreads[layer]
            parts.intercepts[layer][:] = 1
        parts.intercepts[-1][:] = output_scale
        last = objective.parameters(shift).intercepts[-1]
        last[:] = objective.output.link(target_mean)
        means = [mean]
        for f, k in zip(objective.activations, objective.layer_sizes[1:], strict=False):
            means.append(np.full(k, f.code_centre))
        super().__init__(objective, scale, shift, means, unit)


class Unchanged:
    """θ′ = θ, of a solver that needs no other coordinates."""

    unit = 1.0

    def to_data(self, inner, out=None):
        """θ for θ′."""
        return inner
