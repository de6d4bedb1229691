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
"""

import numpy as np


class Coordinates:
    """The linear map θ′ → θ and the pull-back of gradients.

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

    Attributes
    ----------
    scale : ndarray
        The factors by which θ differs from θ′, in the objective's dtype.
    mean : ndarray of shape (n_features,)
        m, in the objective's dtype.
    """

    def __init__(self, objective, mean, spread, unit):
        self.objective = objective
        self.unit = unit
        linear_output = objective.output.bounds is None
        output_scale = spread if linear_output else 1.0
        decoder_scale = output_scale / objective.activation.code_spread
        encoder_scale = 0.5 / spread
        if objective.tied_weights:
            bounded_codes = objective.activation.bounds is not None
            tied_scale = max(1.0, spread) ** 0.5 if bounded_codes else 1.0
            encoder_scale = decoder_scale = tied_scale
        size, dtype = objective.layout.size, objective.dtype
        size, dtype = objective.layout.size, objective.dtype
        self.scale, self._shift = np.empty(size), np.zeros(size)
        scale = objective.parameters(self.scale)
        scale.decoder[:-1] = decoder_scale
        scale.decoder[-1] = output_scale
        scale.encoder[:] = encoder_scale
        scale.hidden[:] = 1
        objective.parameters(self._shift).decoder[-1] = objective.output.link(mean)
        self._pull = (self.scale / unit).astype(dtype)
        self.scale, self._shift = self.scale.astype(dtype), self._shift.astype(dtype)
        self.mean = mean.astype(dtype)

    def to_centred(self, inner, out=None):
        """θ for θ′, but with the hidden biases b + W m of centred rows."""
        theta = np.multiply(inner, self.scale, out=out)
        theta += self._shift
        return theta

    def decentred(self, centred):
        """θ from its form for centred rows, a copy."""
        theta = centred.copy()
        self._move_biases(theta, -1)
        return theta

    def to_data(self, inner, out=None):
        """θ for θ′, written to ``out`` if given.

        No buffer is kept here: restarts in several threads share one instance,
        and views of a buffer would come apart on their way to another process.
        """
        theta = self.to_centred(inner, out)
        self._move_biases(theta, -1)
        return theta

    def from_data(self, theta):
        """θ′ for θ."""
        centred = theta.copy()
        self._move_biases(centred, 1)
        return (centred - self._shift) / self.scale

    def _move_biases(self, theta, sign):
        parameters = self.objective.parameters(theta)
        parameters.hidden += sign * (parameters.encoder @ self.mean)

    def pull_back(self, gradient):
        """∂(J/unit)/∂θ′ for ∂J/∂θ, in place."""
        parts = self.objective.parameters(gradient)
        # b = b′ − W m, so W′ moves b too.
        parts.encoder -= np.multiply.outer(parts.hidden, self.mean)
        gradient *= self._pull
        return gradient
