"""An autoencoder's loss and gradient on sparse rows.

The encoder's products, X Wᵀ and Xᵀ E, need the non-zeros of X only. So do all others
where the reconstruction is linear, x̂ = Dᵀ h + c, and its error squared: see
``skae.core.linear_decoder``.

Any other output or loss needs every entry of x̂, and has its targets written out,
a block of rows at a time; noise that is not masking has its inputs written out too.

Parameters lie by features, W as (n_features, n_components): sparse products read and
write them along memory.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skae.core.activations import Identity
from skae.core.autoencoder import AutoencoderObjective, Parameters
from skae.core.blocks import Block, Sums
from skae.core.corruptions import Masking
from skae.core.layout import Layout
from skae.core.linear_decoder import LinearDecoder
from skae.core.losses import SquaredError
from skae.core.sparse_rows import SparseRows


def sparse_objective(*args, **kwargs):
    """The objective for sparse rows, from arguments of ``AutoencoderObjective``."""
    objective = LinearDecoderObjective(*args, **kwargs)
    return objective if objective.is_linear else SparseRowsObjective(*args, **kwargs)


@dataclass
class SparseParameters(Parameters):
    """Parameters, and what ``prepare`` adds."""

    by_feature: Any = None  # Wᵀ, (n_features, n_components), C-contiguous
    linear: Any = None  # D and c, a LinearDecoder


class SparseRowsObjective(AutoencoderObjective):
    """An autoencoder that encodes ``SparseRows`` and compares with dense ones.

    Parameters are those of ``AutoencoderObjective``.
    """

    by_feature = True
    by_column = False  # the order in which blocks of rows are best stored

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        d, k = self.n_features, self.n_components
        if self.tied_weights:
            self.layout = Layout(decoder=(d, k + 1), hidden=(k,))
        else:
            self.layout = Layout(encoder=(d, k), hidden=(k,), decoder=(d, k + 1))

    @property
    def encodes_sparse_rows(self):
        """Whether the inputs are as sparse as the rows."""
        masking = self.noise is not None and isinstance(self.noise.corruption, Masking)
        return self.noise is None or (masking and self.emphasis is None)

    @property
    def product_columns(self):
        """Columns of the dense factors of an evaluation's sparse products."""
        return [self.n_components] * 4

    @property
    def dense_multiplications_per_row(self):
        """Of the other products."""
        return 2 * self.n_components**2

    def parameters(self, theta):
        """See ``theta`` as arrays, without a copy."""
        views = self.layout.views(theta)
        decoder = views.decoder.T
        encoder = decoder[:-1] if self.tied_weights else views.encoder.T
        return SparseParameters(theta, encoder, views.hidden, decoder)

    def prepare(self, parameters):
        """Compute what all blocks share: W by features, in one piece."""
        # With tied weights it lies beside c, and a product would copy it each time.
        parameters.by_feature = np.ascontiguousarray(parameters.encoder.T)

    def encode(self, parameters, X, H):
        """Write the codes of the rows X, and a row of ones, into H."""
        if not isinstance(X, SparseRows):
            super().encode(parameters, X, H)
            return
        codes = H[:-1]
        codes[:] = X.times(parameters.by_feature).T
        hidden = parameters.hidden
        if parameters.centers is not None:
            hidden = hidden - parameters.encoder @ parameters.centers[0]
        codes += hidden[:, np.newaxis]
        self.activation.apply(codes)
        H[-1] = 1

    def inputs(self, parameters, block, workspace):
        """Return the rows to encode, and which of their entries are corrupted."""
        if not self.encodes_sparse_rows:
            block = self._dense(block, workspace)
            return super().inputs(parameters, block, workspace)
        if self.noise is None or parameters.draw is None:
            return block.X, None
        return block.X.masked(self.noise, block.start, parameters.draw), None

    def _dense(self, block, workspace):
        X = block.X.toarray(out=workspace["dense", len(block.X)])
        return Block(X, block.weights, block.start)

    def _decoded(self, parameters, block, H, corrupted, workspace):
        block = self._dense(block, workspace)
        return super()._decoded(parameters, block, H, corrupted, workspace)

    def _pull_encoder(self, parameters, epsilon, inputs, gradient):
        if not isinstance(inputs, SparseRows):
            super()._pull_encoder(parameters, epsilon, inputs, gradient)
            return
        slope = inputs.transposed_times(epsilon.T)
        if parameters.centers is not None:
            slope -= np.multiply.outer(parameters.centers[0], epsilon.sum(axis=1))
        if self.tied_weights:
            slope += gradient.T
        gradient.T[:] = slope


class LinearDecoderObjective(SparseRowsObjective):
    """The same without a reconstruction; see the module's docstring.

    Parameters are those of ``AutoencoderObjective``, as far as ``is_linear``.
    """

    by_column = True

    @property
    def is_linear(self):
        """Whether outputs, loss and noise are such that no entry of x̂ is needed."""
        linear = self.output is Identity and self.loss is SquaredError
        return linear and self.emphasis is None and self.encodes_sparse_rows

    def prepare(self, parameters):
        """Compute what all blocks share: Dᵀ in float64, and its Gram matrix."""
        super().prepare(parameters)
        parameters.linear = LinearDecoder(parameters.decoder.T)

    def _decoded(self, parameters, block, H, corrupted, workspace):
        """M H − P, not yet weighted, and Σ s_i ℓ."""
        H = H.astype(np.float64, copy=False)
        losses, slopes = parameters.linear.losses(H, block.X)
        if block.weights is not None:
            losses *= block.weights
        return slopes, float(losses.sum())

    def _decode(self, parameters, block, H, corrupted, epsilon, workspace):
        H = H.astype(np.float64, copy=False)
        slopes, loss = self._decoded(parameters, block, H, corrupted, workspace)
        epsilon[:] = slopes[:-1]
        if block.weights is not None:
            epsilon *= block.weights
        workspace.parts.decoder.fill(0)  # all of it is left to finish
        sums = parameters.linear.sums(H, block.X, block.weights)
        return Sums({"reconstruction": loss}, workspace.gradient, **sums)

    def finish(self, parameters, total, weight_sum, mean=None):
        """Add G D − Hᵀ X to the gradient, then do as ``AutoencoderObjective`` does."""
        slope = parameters.linear.slope(total)
        self.parameters(total.gradient).decoder.T[:] += slope
        return super().finish(parameters, total, weight_sum, mean)
