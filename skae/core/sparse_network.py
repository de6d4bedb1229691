"""A deep network's loss and gradient on sparse rows.

The products of the first layer, X W₁ᵀ and its gradient Xᵀ δ¹, need the non-zeros of X
only; all above works on codes. So does all of a network with targets of its own.

A deep autoencoder is compared with X itself. Where its outputs are linear and the loss
is the squared error, they are never formed: the top layer is a linear decoder of the
codes h^L, and ``skae.core.linear_decoder`` has its loss and gradient. Any other output
or loss needs every entry of x̂, and has its targets written out, a block of rows at a
time.

Dropout of the input takes away non-zeros, the same as from dense rows. The weights of
the first layer lie by feature, (n_features, units): sparse products read and write
them along memory.
"""

from typing import Any

import numpy as np

from skae.core.blocks import Block, Sums, Workspace
from skae.core.layout import Layout
from skae.core.linear_decoder import LinearDecoder
from skae.core.network import NetworkObjective
from skae.core.network_model import NetworkParameters


def sparse_network(
    *args: Any, reconstructs: bool, by_products: bool = True, **kwargs: Any
) -> "SparseNetworkObjective":
    """The objective for sparse rows, from arguments of ``NetworkObjective``.

    ``reconstructs`` says whether the rows are their own targets, and ``by_products``
    whether errors may be differences of squared lengths.
    """
    objective = SparseNetworkObjective(*args, **kwargs)
    if not reconstructs:
        return objective
    linear = objective.output.is_linear and objective.loss.is_quadratic and by_products
    kind = LinearOutputs if linear and objective.depth else WrittenOutTargets
    return kind(*args, **kwargs)


class SparseNetworkObjective(NetworkObjective):
    """A network for ``SparseRows``, with targets of its own.

    Parameters are those of ``NetworkObjective``.
    """

    by_feature = True
    by_column = True  # the order in which blocks of rows are best stored

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        shapes = self.layout.shapes
        self.layout = Layout(**shapes | {"W0": shapes["W0"][::-1]})

    def parameters(self, theta: np.ndarray) -> NetworkParameters:
        """See ``theta`` as arrays, without a copy."""
        parameters = super().parameters(theta)
        parameters.coefs[0] = parameters.coefs[0].T
        return parameters

    @property
    def product_columns(self) -> list[int]:
        """Columns of the dense factors of an evaluation's sparse products."""
        return [self.layer_sizes[1]] * 2

    @property
    def dense_multiplications_per_row(self) -> int:
        """Of the other products."""
        d, k, *_ = self.layer_sizes
        return self.multiplications_per_row - 2 * d * k

    def _inputs(
        self, parameters: NetworkParameters, block: Block, workspace: Workspace
    ) -> Any:
        """The x that the first layer meets, as ``SparseRows``, not yet centred."""
        if self.dropout[0] is None or parameters.draw is None:
            return block.X
        return block.X.masked(self.dropout[0], block.start, parameters.draw)

    def _multiply(
        self, parameters: NetworkParameters, layer: int, H: Any, out: np.ndarray
    ) -> None:
        if layer > 0:
            super()._multiply(parameters, layer, H, out)
            return
        W = parameters.coefs[0]
        out[:] = H.times(W.T).T
        if parameters.centers is not None:
            out -= (W @ parameters.centers[0])[:, np.newaxis]

    def _pull_weights(
        self,
        parameters: NetworkParameters,
        layer: int,
        delta: np.ndarray,
        H: Any,
        gradient: NetworkParameters,
    ) -> None:
        if layer > 0:
            super()._pull_weights(parameters, layer, delta, H, gradient)
            return
        slope, bias_slope = gradient.coefs[0].T, gradient.intercepts[0]
        np.sum(delta, axis=1, out=bias_slope)
        slope[:] = H.transposed_times(delta.T)
        if parameters.centers is not None:
            slope -= np.multiply.outer(parameters.centers[0], bias_slope)


class WrittenOutTargets(SparseNetworkObjective):
    """A deep autoencoder of ``SparseRows`` that are compared as dense rows.

    Parameters are those of ``NetworkObjective``.
    """

    by_column = False  # blocks are too small for it to pay

    def _targets(self, block: Block, workspace: Workspace) -> Any:
        return block.X.toarray(out=workspace["dense", len(block.X)])


class LinearOutputs(SparseNetworkObjective):
    """A deep autoencoder of ``SparseRows`` that forms no reconstruction.

    Parameters are those of ``NetworkObjective``: linear outputs, the squared error, and
    at least one hidden layer.
    """

    @property
    def product_columns(self) -> list[int]:
        """Columns of the dense factors of an evaluation's sparse products."""
        return super().product_columns + [self.layer_sizes[-2]] * 2

    @property
    def dense_multiplications_per_row(self) -> int:
        """Of the other products."""
        k, d = self.layer_sizes[-2:]
        return super().dense_multiplications_per_row - 3 * d * k + 2 * k**2

    def prepare(self, parameters: NetworkParameters) -> None:
        """Compute what all blocks share: the last layer in float64, its Gram matrix."""
        last = np.column_stack([parameters.coefs[-1], parameters.intercepts[-1]])
        parameters.prepared = LinearDecoder(last)

    def block(
        self,
        parameters: NetworkParameters,
        block: Block,
        kept: np.ndarray | None,
        workspace: Workspace,
    ) -> Sums:
        """Sums of loss and gradient; see ``NetworkObjective``."""
        H, top, slopes, loss = self._linear_errors(parameters, block, workspace)
        if block.weights is not None:
            slopes *= block.weights
        sums = parameters.prepared.sums(top, block.X, block.weights)
        self._backward(parameters, H, slopes, workspace)
        return Sums({"loss": loss}, workspace.gradient, **sums)

    def data_loss(
        self, parameters: NetworkParameters, block: Block, workspace: Workspace
    ) -> float:
        """Σ s_i ℓ(x_i, x̂_i) over one block of rows."""
        return self._linear_errors(parameters, block, workspace)[-1]

    def _linear_errors(
        self, parameters: NetworkParameters, block: Block, workspace: Workspace
    ) -> tuple[list[Any], np.ndarray, np.ndarray, float]:
        """Inputs of every layer, the last ones above ones, ∂ℓ/∂ these, and Σ s_i ℓ."""
        H = self._hidden(parameters, block, workspace)
        top = np.ones((len(H[-1]) + 1, len(block.X)))
        top[:-1] = H[-1]
        losses, slopes = parameters.prepared.losses(top, block.X)
        if block.weights is not None:
            losses *= block.weights
        return H, top, slopes, float(losses.sum())

    def _pull_weights(
        self,
        parameters: NetworkParameters,
        layer: int,
        delta: np.ndarray,
        H: Any,
        gradient: NetworkParameters,
    ) -> None:
        if layer < self.depth:
            super()._pull_weights(parameters, layer, delta, H, gradient)
            return
        gradient.coefs[layer].fill(0)  # both are left to finish
        gradient.intercepts[layer].fill(0)

    def _pull_inputs(
        self,
        parameters: NetworkParameters,
        layer: int,
        delta: np.ndarray,
        out: np.ndarray,
    ) -> None:
        if layer < self.depth:
            super()._pull_inputs(parameters, layer, delta, out)
            return
        out[:] = delta[:-1]  # it is the gradient by the codes already

    def finish(
        self,
        parameters: NetworkParameters,
        total: Sums,
        weight_sum: float,
        mean: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray, dict[str, float]]:
        """Add the last layer's gradient, then do as ``NetworkObjective`` does."""
        slope = parameters.prepared.slope(total)
        gradient = self.parameters(total.gradient)
        gradient.coefs[-1] += slope[:, :-1]
        gradient.intercepts[-1] += slope[:, -1]
        return super().finish(parameters, total, weight_sum, mean)
