"""A deep network's loss and gradient, as a sum over blocks of rows.

With h⁰ = x, hidden layers hˡ = f_l(W_l hˡ⁻¹ + b_l) for l = 1 … L and outputs
ŷ = g(V h^L + c), where V and c are the weights and biases of layer L + 1,

    J(θ) = (1/n) Σ_i ℓ(y_i, ŷ_i) + Σ_l (α_l/2) ‖W_l − A_l‖² + Σ_l λ_l ‖W_l‖₁,

and by back-propagation, with δ^{L+1} = ∂ℓ/∂(V h^L + c),

    δˡ = (W_{l+1}ᵀ δ^{l+1}) ∘ f_l′
    ∂J/∂W_l = (1/n) Σ_i δˡ_i hˡ⁻¹_iᵀ + α_l (W_l − A_l)    ∂J/∂b_l = (1/n) Σ_i δˡ_i.

A_l is 0, or given: weights that the layer is to stay near. The terms in λ_l have
kinks at zero: they count in J, but not in the gradients, and ``penalty_weights`` tells
a solver of them.

Sample weights s_i turn every mean over rows into Σ s_i (·) / Σ s_i. The targets y
are the rows x themselves if none are given: a deep autoencoder. L = 0 is a linear
model. With dropout a layer's hˡ, or x, is multiplied by factors that are 0 or
1/(1 − p), the same in both directions.

That is three matrix products a layer and two for the first, whose gradient by the
input nobody needs.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from skae.core.arrays import number, on_host
from skae.core.blocks import Block, Sums, Workspace
from skae.core.corruptions import Dropout
from skae.core.losses import TARGET_LOSSES, check_output
from skae.core.network_model import NetworkModel, NetworkParameters
from skae.core.penalties import absolute_sum, add_decay

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def _columns(k: int, rows: int) -> tuple[int, int]:
    return k, rows


class NetworkObjective(NetworkModel):
    """Loss and gradient of a feed-forward network.

    Codes are held as (units, rows), so that biases and their gradients run along
    memory; outputs, targets and inputs as (rows, columns).

    Parameters
    ----------
    layer_sizes : sequence of int
        (n_features, k_1, …, k_L, n_outputs).
    activations : sequence of str
        Name in ``ACTIVATIONS`` of each of the L hidden layers.
    output : str
        Name in ``OUTPUTS``.
    loss : str
        Name in ``TARGET_LOSSES``, one that takes this output.
    alphas : sequence of float
        Weight decay of each of the L + 1 layers; biases are never penalised.
    l1 : sequence of float, optional
        λ_l of each of the L + 1 layers.
    dropout : sequence of float, optional
        Probability, in [0, 1), that an entry of the input and of each of the L
        hidden layers is set to 0; only where ``parameters.draw`` is not None.
    seed : int
        Of dropout, in [0, 2⁶⁴).
    dtype : dtype
        float32 or float64, of parameters, rows, targets and gradient.

    Attributes
    ----------
    anchors : list of ndarray or None
        A_l of each of the L + 1 layers, None for 0; to be set by who has them.
    """

    gathers = False  # whether ``statistics`` must be gathered before ``block``
    n_statistics = 0

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activations: Sequence[str],
        *,
        output: str,
        loss: str,
        alphas: Sequence[float],
        l1: Sequence[float] | None = None,
        dropout: Sequence[float] | None = None,
        seed: int = 0,
        dtype: "DTypeLike" = np.float64,
    ):
        super().__init__(layer_sizes, activations, output, dtype)
        self.loss = TARGET_LOSSES[loss]
        self.alphas = tuple(alphas)
        self.l1 = (0.0,) * len(self.alphas) if l1 is None else tuple(l1)
        # The A_l that are not 0.
        self.anchors: list[np.ndarray | None] = [None] * len(self.alphas)
        levels = [0.0] * (self.depth + 1) if dropout is None else dropout
        lengths: list[tuple[str, Sequence[Any], int]] = [
            ("activations", self.activations, self.depth),
            ("alphas", self.alphas, self.depth + 1),
            ("l1", self.l1, self.depth + 1),
            ("dropout", levels, self.depth + 1),
        ]
        for name, given, length in lengths:
            if len(given) != length:
                raise ValueError(
                    f"{name} needs {length} entries for layer_sizes="
                    f"{self.layer_sizes}, got {len(given)}."
                )
        check_output(loss, output)
        self.dropout = [
            Dropout(level, seed, layer) if level else None
            for layer, level in enumerate(levels)
        ]

    @property
    def penalty_weights(self) -> np.ndarray | None:
        """c of the penalty Σ_j c_j |θ_j|, (size,), or None where there is none."""
        if not any(self.l1):
            return None
        c = np.zeros(self.layout.size, self.dtype)
        for weight, W in zip(self.l1, self.parameters(c).coefs, strict=True):
            with np.errstate(over="ignore"):  # the solver refuses what is not finite
                W += weight
        return c

    # -- what an evaluation costs ----------------------------------------------

    @property
    def numbers_per_row(self) -> int:
        """Numbers that a row keeps in cache, which sets the size of the blocks.

        Those of the two layers that a product joins: of all layers, blocks are
        smaller and, in two threads, a little slower.
        """
        return max(a + b for a, b in pairwise(self.layer_sizes))

    @property
    def multiplications_per_row(self) -> int:
        """Of the matrix products, for loss and gradient."""
        d, k, *_ = sizes = self.layer_sizes
        return 3 * sum(a * b for a, b in pairwise(sizes)) - d * k

    def workspace(self, max_rows: int) -> Workspace:
        """Return room for the blocks that one thread computes."""
        d, *hidden, n_outputs = self.layer_sizes
        widest = max(hidden, default=0)
        shapes: dict[Any, Callable[[int], tuple[int, ...]]] = {
            "kept": self.kept_shape,
            "inputs": lambda rows: (rows, d),
            "dense": lambda rows: (rows, d),  # of sparse rows
            "filled": lambda rows: (rows, d),  # of incomplete ones
            "observed": lambda rows: (rows, d),
            "gathered": lambda rows: (rows, d),
            "outputs": lambda rows: (rows, n_outputs),
            "spare": lambda rows: (2, rows, n_outputs),
            "epsilon": lambda rows: (2, widest * rows),
        }
        for layer, k in enumerate(hidden, 1):
            for name in ("codes", "factors"):
                shapes[name, layer] = partial(_columns, k)
        return Workspace(self, shapes, max_rows, self.like)

    def kept_shape(self, rows: int) -> tuple[int, int]:
        """A network keeps nothing."""
        return 0, rows

    # -- evaluation ------------------------------------------------------------

    def prepare(self, parameters: NetworkParameters) -> None:
        """Compute what all blocks share; here nothing."""

    def statistics(
        self,
        parameters: NetworkParameters,
        block: Block,
        kept: np.ndarray,
        workspace: Workspace,
    ) -> np.ndarray:
        """None: an array of shape (0,)."""
        return np.zeros(0)

    def set_statistics(self, parameters: NetworkParameters, mean: np.ndarray) -> None:
        """There are none."""

    def block(
        self,
        parameters: NetworkParameters,
        block: Block,
        kept: np.ndarray | None,
        workspace: Workspace,
    ) -> Sums:
        """Sums of loss and gradient over one block of rows.

        Parameters
        ----------
        parameters : NetworkParameters
            Where to evaluate.
        block : Block
            The rows and their targets.
        kept : None
            A network keeps nothing.
        workspace : Workspace
            Holds every temporary and the returned gradient.

        Returns
        -------
        sums : Sums
            Overwritten by the next call with the same workspace.
        """
        H, delta, loss = self._forward(parameters, block, workspace)
        if block.weights is not None:
            delta *= block.weights[:, np.newaxis]
        self._backward(parameters, H, delta.T, workspace)
        return Sums({"loss": loss}, workspace.gradient)

    def data_loss(
        self, parameters: NetworkParameters, block: Block, workspace: Workspace
    ) -> float:
        """Σ s_i ℓ(y_i, ŷ_i) over one block of rows: a product a layer."""
        return self._forward(parameters, block, workspace)[-1]

    def _forward(
        self, parameters: NetworkParameters, block: Block, workspace: Workspace
    ) -> tuple[list[Any], np.ndarray, float]:
        """Inputs of every layer, δ of the outputs, not yet weighted, and Σ s_i ℓ."""
        H = self._hidden(parameters, block, workspace)
        delta = workspace["outputs", len(block.X)]
        self._multiply(parameters, self.depth, H[-1], out=delta.T)
        delta += parameters.intercepts[-1]
        losses = self._losses(delta, block, workspace)
        if block.weights is not None:
            losses = losses * block.weights
        return H, delta, number(losses.sum(dtype=np.float64))

    def _losses(
        self, delta: np.ndarray, block: Block, workspace: Workspace
    ) -> np.ndarray:
        """Loss of each row; ``delta``, of outputs until now, becomes its derivative."""
        targets, spare = self._targets(block, workspace), None
        if not self.output.is_linear:
            spare = workspace["spare", len(delta)]
        return self.loss.rows(delta, targets, self.output, spare)

    def _targets(self, block: Block, workspace: Workspace) -> Any:
        return block.X if block.targets is None else block.targets

    def _multiply(
        self, parameters: NetworkParameters, layer: int, H: Any, out: np.ndarray
    ) -> None:
        """Write the products W h of a layer's weights with its inputs to ``out``."""
        np.matmul(parameters.coefs[layer], H, out=out)

    def _hidden(
        self, parameters: NetworkParameters, block: Block, workspace: Workspace
    ) -> list[Any]:
        """The inputs of every layer, each (units, rows): x, h¹, …, h^L."""
        rows, draw = len(block.X), parameters.draw
        H = [self._inputs(parameters, block, workspace)]
        for layer, activation in enumerate(self.activations, 1):
            codes = workspace[("codes", layer), rows]
            self._multiply(parameters, layer - 1, H[-1], out=codes)
            intercept = parameters.intercepts[layer - 1]
            activation.apply_to_sum(codes, intercept[:, np.newaxis])
            dropout = self.dropout[layer]
            if dropout is not None and draw is not None:
                factors = workspace[("factors", layer), rows]
                dropout(block.start, draw, out=factors.T)
                codes *= factors
            if parameters.centers is not None:
                codes -= parameters.centers[layer][:, np.newaxis]
            H.append(codes)
        return H

    def _inputs(
        self, parameters: NetworkParameters, block: Block, workspace: Workspace
    ) -> Any:
        """The x that the first layer meets, (n_features, rows)."""
        X, dropout = block.X, self.dropout[0]
        if dropout is not None and parameters.draw is not None:
            inputs = workspace["inputs", len(X)]
            dropout(block.start, parameters.draw, out=inputs)
            X = np.multiply(X, inputs, out=inputs)
        if parameters.centers is not None:
            inputs = workspace["inputs", len(X)]
            X = np.subtract(X, parameters.centers[0], out=inputs)
        return X.T

    def _backward(
        self,
        parameters: NetworkParameters,
        H: list[Any],
        delta: np.ndarray,
        workspace: Workspace,
    ) -> None:
        """Write the gradient, given δ of the outputs, (n_outputs, rows)."""
        rows = delta.shape[1]
        # δ of a layer and of the next lie in turns in these two.
        here, there = workspace["epsilon", rows]
        for layer in reversed(self._layers):
            self._pull_weights(parameters, layer, delta, H[layer], workspace.parts)
            if layer == 0:
                return
            k = self.layer_sizes[layer]
            epsilon, scratch = (
                buffer[: k * rows].reshape(k, rows) for buffer in (here, there)
            )
            self._pull_inputs(parameters, layer, delta, out=epsilon)
            if parameters.centers is not None:
                H[layer] += parameters.centers[layer][:, np.newaxis]
            dropout = self.dropout[layer]
            if dropout is not None and parameters.draw is not None:
                epsilon *= workspace[("factors", layer), rows]
                # f′ is a function of f(z): as it was where it was kept. Elsewhere
                # ε is 0.
                H[layer] *= dropout.keep
            # Done with the δ of before: its buffer is the scratch.
            self.activations[layer - 1].pull_back(H[layer], epsilon, scratch)
            delta = epsilon
            here, there = there, here

    def _pull_weights(
        self,
        parameters: NetworkParameters,
        layer: int,
        delta: np.ndarray,
        H: Any,
        gradient: NetworkParameters,
    ) -> None:
        """Write the gradient of a layer's weights and biases."""
        np.matmul(delta, H.T, out=gradient.coefs[layer])
        np.sum(delta, axis=1, out=gradient.intercepts[layer])

    def _pull_inputs(
        self,
        parameters: NetworkParameters,
        layer: int,
        delta: np.ndarray,
        out: np.ndarray,
    ) -> None:
        """Write the gradient by a layer's inputs to ``out``."""
        np.matmul(parameters.coefs[layer].T, delta, out=out)

    def finish(
        self,
        parameters: NetworkParameters,
        total: Sums,
        weight_sum: float,
        mean: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray, dict[str, float]]:
        """Turn sums over all rows into the mean, and add the penalties.

        Parameters
        ----------
        parameters : NetworkParameters
            Where ``total`` was evaluated.
        total : Sums
            Added up over all blocks; its gradient is changed in place.
        weight_sum : float
            n, or the sum of the sample weights.
        mean : None
            There are no statistics.

        Returns
        -------
        loss : float
            J(θ).
        gradient : ndarray
            ``total.gradient``, now ∂J/∂θ without the term ``"l1"``.
        terms : dict of str to float
            ``"loss"``, ``"decay"`` and, where there is one, ``"l1"``; they sum to J.
        """
        total.gradient *= 1 / weight_sum
        gradient = self.parameters(total.gradient)
        layers = zip(
            self.alphas, parameters.coefs, gradient.coefs, self.anchors, strict=True
        )
        loss, decays = total.terms["loss"], [add_decay(*layer) for layer in layers]
        sizes = [*map(absolute_sum, parameters.coefs)] if any(self.l1) else []
        if not isinstance(total.gradient, np.ndarray):
            (loss,), decays, sizes = on_host([loss], decays, sizes)
        terms = {"loss": loss / weight_sum, "decay": sum(decays)}
        if sizes:
            l1 = zip(self.l1, sizes, strict=True)
            terms["l1"] = sum(weight * size for weight, size in l1)
        return sum(terms.values()), total.gradient, terms
