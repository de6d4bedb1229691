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

Behind a logistic output the outputs are bounded already: there D = D′ and
c = link(m) + c′. With tied weights D is W and the scales of both cannot be
chosen: W = W′, or W′/s where the codes would otherwise saturate.
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
    """

    def __init__(self, objective, mean, spread, unit):
        self.objective = objective
        self.unit = unit
        linear_output = objective.output.bounds is None
        decoder_scale = spread if linear_output else 1.0
        encoder_scale = 1 / spread
        if objective.tied_weights:
            bounded_codes = objective.activation.bounds is not None
            encoder_scale = decoder_scale = encoder_scale if bounded_codes else 1.0
        size, dtype = objective.layout.size, objective.dtype
        self._scale, self._shift = np.empty(size), np.zeros(size)
        scale = objective.parameters(self._scale)
        scale.decoder[:-1] = decoder_scale
        scale.decoder[-1] = spread if linear_output else 1.0
        scale.encoder[:] = encoder_scale
        scale.hidden[:] = 1
        objective.parameters(self._shift).decoder[-1] = objective.output.link(mean)
        self._pull = (self._scale / unit).astype(dtype)
        self._scale, self._shift = self._scale.astype(dtype), self._shift.astype(dtype)
        self._mean = mean.astype(dtype)
        self._theta = np.empty(size, dtype)
        self._parameters = objective.parameters(self._theta)

    def to_data(self, inner):
        """θ for θ′; a buffer that the next call overwrites."""
        np.multiply(inner, self._scale, out=self._theta)
        self._theta += self._shift
        self._parameters.hidden -= self._parameters.encoder @ self._mean
        return self._theta

    def from_data(self, theta):
        """θ′ for θ."""
        inner = (theta - self._shift) / self._scale
        original = self.objective.parameters(theta)
        self.objective.parameters(inner).hidden[:] = (
            original.hidden + original.encoder @ self._mean
        )
        return inner

    def pull_back(self, gradient):
        """∂(J/unit)/∂θ′ for ∂J/∂θ, in place."""
        parts = self.objective.parameters(gradient)
        # b = b′ − W m, so W′ moves b too.
        parts.encoder -= np.multiply.outer(parts.hidden, self._mean)
        gradient *= self._pull
        return gradient
