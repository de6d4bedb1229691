"""An autoencoder's loss and gradient on sparse rows.

The encoder's products, X Wᵀ and Xᵀ E, need the non-zeros of X only. So do all others
where the reconstruction is linear, x̂ = Dᵀ h + c, and its error squared: see
``skae.core.linear_decoder``.

Any other output or loss needs every entry of x̂, and has its targets written out,
a block of rows at a time; noise that is not masking has its inputs written out too.

Parameters lie by features, W as (n_features, n_components): sparse products read and
write them along memory.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skae.core.autoencoder import AutoencoderObjective
from skae.core.autoencoder_model import AutoencoderParameters
from skae.core.blocks import Block, Sums, Workspace
from skae.core.layout import Layout
from skae.core.linear_decoder import LinearDecoder
from skae.core.sparse_rows import SparseRows
from skae.core.terms import Forward


def sparse_objective(
    *args: Any, by_products: bool = True, **kwargs: Any
) -> "SparseRowsObjective":
    """The objective for sparse rows, from arguments of ``AutoencoderObjective``.

    ``by_products`` says whether errors may be differences of squared lengths.
    """
    objective = LinearDecoderObjective(*args, **kwargs)
    if by_products and objective.is_linear:
        return objective
    return SparseRowsObjective(*args, **kwargs)


@dataclass
class Prepared:
    """What all blocks of an evaluation share."""

    by_feature: np.ndarray  # Wᵀ, (n_features, n_components), C-contiguous
    linear: Any = None  # D and c, a LinearDecoder


class SparseRowsObjective(AutoencoderObjective):
    """An autoencoder that encodes ``SparseRows`` and compares with dense ones.

    Parameters are those of ``AutoencoderObjective``.
    """

    by_feature = True
    by_column = False  # the order in which blocks of rows are best stored

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        d, k = self.n_features, self.n_components
        if self.tied_weights:
            self.layout = Layout(decoder=(d, k + 1), hidden=(k,))
        else:
            self.layout = Layout(encoder=(d, k), hidden=(k,), decoder=(d, k + 1))

    @property
    def encodes_sparse_rows(self) -> bool:
        """Whether the inputs are as sparse as the rows."""
        if self.noise is None:
            return True
        return self.noise.corruption.keeps_zeros and self.emphasis is None

    @property
    def product_columns(self) -> list[int]:
        """Columns of the dense factors of an evaluation's sparse products."""
        return [self.n_components] * 4

    @property
    def dense_multiplications_per_row(self) -> int:
        """Of the other products."""
        return 2 * self.n_components**2

    def parameters(self, theta: np.ndarray) -> AutoencoderParameters:
        """See ``theta`` as arrays, without a copy."""
        views = self.layout.views(theta)
        decoder = views.decoder.T
        encoder = decoder[:-1] if self.tied_weights else views.encoder.T
        return AutoencoderParameters(theta, encoder, views.hidden, decoder)

    def prepare(self, parameters: AutoencoderParameters) -> None:
        """Compute what all blocks share: W by features, in one piece."""
        # With tied weights it lies beside c, and a product would copy it each time.
        parameters.prepared = Prepared(np.ascontiguousarray(parameters.encoder.T))

    def encode(self, parameters: AutoencoderParameters, X: Any, H: np.ndarray) -> None:
        """Write the codes of the rows X, and a row of ones, into H."""
        if not isinstance(X, SparseRows):
            super().encode(parameters, X, H)
            return
        codes = H[:-1]
        codes[:] = X.times(parameters.prepared.by_feature).T
        hidden = parameters.hidden
        if parameters.centers is not None:
            hidden = hidden - parameters.encoder @ parameters.centers[0]
        self.activation.apply_to_sum(codes, hidden[:, np.newaxis])
        H[-1] = 1

    def inputs(
        self, parameters: AutoencoderParameters, block: Block, workspace: Workspace
    ) -> tuple[Any, np.ndarray | None]:
        """Return the rows to encode, and which of their entries are corrupted."""
        if not self.encodes_sparse_rows:
            X = _write_out(block.X, workspace)
            return super().inputs(parameters, replace(block, X=X), workspace)
        if self.noise is None or parameters.draw is None:
            return block.X, None
        return block.X.masked(self.noise, block.start, parameters.draw), None

    def _compare(
        self, forward: Forward, workspace: Workspace
    ) -> tuple[np.ndarray, float]:
        forward.targets = _write_out(forward.targets, workspace)
        return super()._compare(forward, workspace)

    def _pull_encoder(
        self, forward: Forward, epsilon: np.ndarray, gradient: np.ndarray
    ) -> None:
        inputs, centers = forward.inputs, forward.parameters.centers
        if not isinstance(inputs, SparseRows):
            super()._pull_encoder(forward, epsilon, gradient)
            return
        slope = inputs.transposed_times(epsilon.T)
        if centers is not None:
            slope -= np.multiply.outer(centers[0], epsilon.sum(axis=1))
        if self.tied_weights:
            slope += gradient.T
        gradient.T[:] = slope


def _write_out(rows: SparseRows, workspace: Workspace) -> np.ndarray:
    return rows.toarray(out=workspace["dense", len(rows)])


class LinearDecoderObjective(SparseRowsObjective):
    """The same without a reconstruction; see the module's docstring.

    Parameters are those of ``AutoencoderObjective``, as far as ``is_linear``.
    """

    by_column = True

    @property
    def is_linear(self) -> bool:
        """Whether outputs, loss, terms and noise are such that x̂ is not needed."""
        linear = self.output.is_linear and self.loss.is_quadratic
        whole = self.emphasis is not None or self._needs_reconstruction
        return linear and not whole and self.encodes_sparse_rows

    def prepare(self, parameters: AutoencoderParameters) -> None:
        """Compute what all blocks share: Dᵀ in float64, and its Gram matrix."""
        super().prepare(parameters)
        parameters.prepared.linear = LinearDecoder(parameters.decoder.T)

    def _compare(
        self, forward: Forward, workspace: Workspace
    ) -> tuple[np.ndarray, float]:
        H = forward.columns.astype(np.float64, copy=False)
        return self._linear_errors(forward, H)

    def _linear_errors(
        self, forward: Forward, H: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """M H − P, not yet weighted, and Σ s_i ℓ, from H in float64."""
        linear = forward.parameters.prepared.linear
        losses, slopes = linear.losses(H, forward.targets)
        if forward.weights is not None:
            losses *= forward.weights
        return slopes, float(losses.sum())

    def _decode_block(
        self, forward: Forward, epsilon: np.ndarray, workspace: Workspace
    ) -> Sums:
        H = forward.columns.astype(np.float64, copy=False)
        slopes, loss = self._linear_errors(forward, H)
        forward.totals["reconstruction"] = loss
        epsilon[:] = slopes[:-1]
        if forward.weights is not None:
            epsilon *= forward.weights
        workspace.parts.decoder.fill(0)  # all of it is left to finish
        linear = forward.parameters.prepared.linear
        sums = linear.sums(H, forward.targets, forward.weights)
        return Sums(forward.totals, workspace.gradient, **sums)

    def finish(
        self,
        parameters: AutoencoderParameters,
        total: Sums,
        weight_sum: float,
        mean: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray, dict[str, float]]:
        """Add G D − Hᵀ X to the gradient, then do as ``AutoencoderObjective`` does."""
        slope = parameters.prepared.linear.slope(total)
        self.parameters(total.gradient).decoder.T[:] += slope
        return super().finish(parameters, total, weight_sum, mean)
