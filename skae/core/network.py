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

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from skae.core.activations import ACTIVATIONS, OUTPUTS, Identity
from skae.core.blocks import Sums, Workspace
from skae.core.corruptions import Dropout
from skae.core.layers import Layers
from skae.core.layout import Layout
from skae.core.losses import TARGET_LOSSES
from skae.core.penalties import absolute_sum, add_decay


@dataclass
class NetworkParameters:
    """A flat vector seen as the arrays of the formulas.

    ``coefs`` are the W_l, (units, inputs) each, the last one V, ``intercepts`` the
    b_l, the last one c. ``draw`` says which dropout the rows meet, None none, and
    ``centers`` what is taken from the inputs of each layer, if they are centred.
    """

    theta: np.ndarray
    coefs: list
    intercepts: list
    draw: int | None = None
    centers: list | None = None

    @property
    def layers(self):
        """Weights, (units, inputs), and biases of the layers."""
        return list(zip(self.coefs, self.intercepts, strict=True))


class NetworkObjective:
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
    names : list of str
        Of the activations of all layers, the output's last.
    anchors : list of ndarray or None
        A_l of each of the L + 1 layers, None for 0; to be set by who has them.
    """

    needs_mean_code = False
    by_feature = False  # whether the weights of a feature lie together in θ

    def __init__(
        self,
        layer_sizes,
        activations,
        *,
        output,
        loss,
        alphas,
        l1=None,
        dropout=None,
        seed=0,
        dtype=np.float64,
    ):
        self.layer_sizes = tuple(layer_sizes)
        self.depth = len(self.layer_sizes) - 2
        self.names = [*activations, output]
        self.activations = [ACTIVATIONS[name] for name in activations]
        self.output, self.loss = OUTPUTS[output], TARGET_LOSSES[loss]
        self.alphas = tuple(alphas)
        self.l1 = (0.0,) * len(self.alphas) if l1 is None else tuple(l1)
        self.anchors = [None] * len(self.alphas)  # the A_l that are not 0
        levels = [0.0] * (self.depth + 1) if dropout is None else dropout
        for name, given, length in (
            ("activations", self.activations, self.depth),
            ("alphas", self.alphas, self.depth + 1),
            ("l1", self.l1, self.depth + 1),
            ("dropout", levels, self.depth + 1),
        ):
            if len(given) != length:
                raise ValueError(
                    f"{name} needs {length} entries for layer_sizes="
                    f"{self.layer_sizes}, got {len(given)}."
                )
        if output not in self.loss.outputs:
            raise ValueError(
                f"loss={loss!r} needs an output among {self.loss.outputs}, got "
                f"output={output!r}."
            )
        self.dropout = [
            Dropout(level, seed, layer) if level else None
            for layer, level in enumerate(levels)
        ]
        self.dtype = np.dtype(dtype)
        self._layers = range(self.depth + 1)
        shapes = {}
        for layer in self._layers:
            inputs, units = self.layer_sizes[layer : layer + 2]
            shapes |= {f"W{layer}": (units, inputs), f"b{layer}": (units,)}
        self.layout = Layout(**shapes)

    @property
    def penalty_weights(self):
        """c of the penalty Σ_j c_j |θ_j|, (size,), or None where there is none."""
        if not any(self.l1):
            return None
        c = np.zeros(self.layout.size, self.dtype)
        for weight, W in zip(self.l1, self.parameters(c).coefs, strict=True):
            W += weight
        return c

    def prepare(self, parameters):
        """Compute what all blocks share; here nothing."""

    def parameters(self, theta):
        """See ``theta`` as arrays, without a copy."""
        views = vars(self.layout.views(theta))
        return NetworkParameters(
            theta,
            [views[f"W{layer}"] for layer in self._layers],
            [views[f"b{layer}"] for layer in self._layers],
        )

    @property
    def n_features(self):
        """Columns of the data."""
        return self.layer_sizes[0]

    @property
    def numbers_per_row(self):
        """Numbers that a row keeps in cache, which sets the size of the blocks.

        Those of the two layers that a product joins: of all layers, blocks are
        smaller and, in two threads, a little slower.
        """
        return max(a + b for a, b in pairwise(self.layer_sizes))

    @property
    def multiplications_per_row(self):
        """Of the matrix products, for loss and gradient."""
        d, k, *_ = sizes = self.layer_sizes
        return 3 * sum(a * b for a, b in pairwise(sizes)) - d * k

    def outputs(self, theta):
        """The ``Layers`` that give a row's outputs."""
        parameters = self.parameters(theta)
        return Layers(parameters.coefs, parameters.intercepts, self.names, self.dtype)

    def workspace(self, max_rows):
        """Return room for the blocks that one thread computes."""
        d, *hidden, n_outputs = self.layer_sizes
        widest = max(hidden, default=0)
        shapes = {
            "inputs": lambda rows: (rows, d),
            "dense": lambda rows: (rows, d),  # of sparse rows
            "gathered": lambda rows: (rows, d),
            "outputs": lambda rows: (rows, n_outputs),
            "spare": lambda rows: (2, rows, n_outputs),
            "epsilon": lambda rows: (2, widest * rows),
        }
        for layer, k in enumerate(hidden, 1):
            shapes["codes", layer] = lambda rows, k=k: (k, rows)
            shapes["factors", layer] = lambda rows, k=k: (k, rows)
        return Workspace(self, shapes, max_rows)

    def block(self, parameters, block, codes, workspace):
        """Sums of loss and gradient over one block of rows.

        Parameters
        ----------
        parameters : NetworkParameters
            Where to evaluate.
        block : Block
            The rows and their targets.
        codes : None
            A network has none that are known beforehand.
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

    def data_loss(self, parameters, block, workspace):
        """Σ s_i ℓ(y_i, ŷ_i) over one block of rows: a product a layer."""
        return self._forward(parameters, block, workspace)[-1]

    def _forward(self, parameters, block, workspace):
        """Inputs of every layer, δ of the outputs, not yet weighted, and Σ s_i ℓ."""
        H = self._hidden(parameters, block, workspace)
        delta = workspace["outputs", len(block.X)]
        self._multiply(parameters, self.depth, H[-1], out=delta.T)
        delta += parameters.intercepts[-1]
        targets, spare = self._targets(block, workspace), None
        if self.output is not Identity:
            spare = workspace["spare", len(block.X)]
        losses = self.loss.rows(delta, targets, self.output, spare)
        if block.weights is not None:
            losses = losses * block.weights
        return H, delta, float(losses.sum(dtype=np.float64))

    def _targets(self, block, workspace):
        return block.X if block.targets is None else block.targets

    def _multiply(self, parameters, layer, H, out):
        """Write the products W h of a layer's weights with its inputs to ``out``."""
        np.matmul(parameters.coefs[layer], H, out=out)

    def _hidden(self, parameters, block, workspace):
        """The inputs of every layer, each (units, rows): x, h¹, …, h^L."""
        rows, draw = len(block.X), parameters.draw
        H = [self._inputs(parameters, block, workspace)]
        for layer, activation in enumerate(self.activations, 1):
            codes = workspace[("codes", layer), rows]
            self._multiply(parameters, layer - 1, H[-1], out=codes)
            codes += parameters.intercepts[layer - 1][:, np.newaxis]
            activation.apply(codes)
            if self.dropout[layer] is not None and draw is not None:
                factors = workspace[("factors", layer), rows]
                self.dropout[layer](block.start, draw, out=factors.T)
                codes *= factors
            if parameters.centers is not None:
                codes -= parameters.centers[layer][:, np.newaxis]
            H.append(codes)
        return H

    def _inputs(self, parameters, block, workspace):
        """The x that the first layer meets, (n_features, rows)."""
        drops = self.dropout[0] is not None and parameters.draw is not None
        if not drops and parameters.centers is None:
            return block.X.T
        X, inputs = block.X, workspace["inputs", len(block.X)]
        if drops:
            self.dropout[0](block.start, parameters.draw, out=inputs)
            X = np.multiply(X, inputs, out=inputs)
        if parameters.centers is not None:
            X = np.subtract(X, parameters.centers[0], out=inputs)
        return X.T

    def _backward(self, parameters, H, delta, workspace):
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
            if self.dropout[layer] is not None and parameters.draw is not None:
                epsilon *= workspace[("factors", layer), rows]
                # f′ is a function of f(z): as it was where it was kept. Elsewhere
                # ε is 0.
                H[layer] *= self.dropout[layer].keep
            # Done with the δ of before: its buffer is the scratch.
            self.activations[layer - 1].pull_back(H[layer], epsilon, scratch)
            delta = epsilon
            here, there = there, here

    def _pull_weights(self, parameters, layer, delta, H, gradient):
        """Write the gradient of a layer's weights and biases."""
        np.matmul(delta, H.T, out=gradient.coefs[layer])
        np.sum(delta, axis=1, out=gradient.intercepts[layer])

    def _pull_inputs(self, parameters, layer, delta, out):
        """Write the gradient by a layer's inputs to ``out``."""
        np.matmul(parameters.coefs[layer].T, delta, out=out)

    def finish(self, parameters, total, weight_sum, mean=None):
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
            There is no penalty on the mean code.

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
        terms = {
            "loss": total.terms["loss"] / weight_sum,
            "decay": sum(add_decay(*layer) for layer in layers),
        }
        if any(self.l1):
            layers = zip(self.l1, parameters.coefs, strict=True)
            terms["l1"] = sum(weight * absolute_sum(W) for weight, W in layers)
        return sum(terms.values()), total.gradient, terms
