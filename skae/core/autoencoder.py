"""An autoencoder's loss and gradient, as a sum over blocks of rows.

With codes h_i = f(W x_i + b) and outputs x̂_i = g(Dᵀ h_i + c),

    J(θ) = (1/n) Σ_i ℓ(x_i, x̂_i) + (α/2)(‖W‖² + ‖D‖²) + λ (‖W‖₁ + ‖D‖₁)
           + β · sparsity(h_1 … h_n),

and by back-propagation, with δ_i = ∂ℓ/∂(Dᵀ h_i + c),

    ∂J/∂D = (1/n) Σ_i h_i δ_iᵀ + α D        ∂J/∂c = (1/n) Σ_i δ_i
    ε_i = (D δ_i + β ∂sparsity/∂h_i) ∘ f′
    ∂J/∂W = (1/n) Σ_i ε_i x_iᵀ + α W        ∂J/∂b = (1/n) Σ_i ε_i.

Sample weights s_i turn every mean over rows into Σ s_i (·) / Σ s_i.

The term in λ has a kink at zero, where solvers that know of it leave weights. So it
counts in J, but not in the gradients; ``penalty_weights`` tells a solver of it.

Every sum over i is a sum over blocks of rows, so the temporaries are as small
as a block, stay in cache, and blocks can be computed anywhere. A penalty on the
*mean* code needs that mean before any ε: such an objective makes two passes,
``code_sums`` over all blocks and then ``block`` over all blocks. Keeping the
codes of the first pass makes the second no dearer than a single one would be
(the alternative, one pass that also returns the derivative of the mean code,
costs a sixth matrix product beside the five).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skae.core.activations import ACTIVATIONS, Identity
from skae.core.blocks import Sums, Workspace
from skae.core.layout import Layout
from skae.core.losses import LOSSES
from skae.core.penalties import absolute_sum, add_decay


@dataclass
class Parameters:
    """A flat vector seen as the arrays of the formulas.

    ``encoder`` is W (n_components, n_features), ``hidden`` b, and ``decoder`` is
    D with c as one more row, (n_components + 1, n_features). ``slope`` is what a
    penalty on the mean code adds to ∂J/∂h_i, ``draw`` says which noise the rows
    meet, None none, and ``centers`` holds what is taken from each row that is encoded.
    """

    theta: np.ndarray
    encoder: np.ndarray
    hidden: np.ndarray
    decoder: np.ndarray
    slope: Any = None
    draw: int | None = None
    centers: list | None = None

    @property
    def layers(self):
        """Weights, (units, inputs), and biases of the layers."""
        return [(self.encoder, self.hidden), (self.decoder[:-1].T, self.decoder[-1])]


class AutoencoderObjective:
    """Loss and gradient of an autoencoder with one hidden layer.

    Codes are held as (n_components + 1, rows): each unit's codes lie together,
    so biases and sums over rows run along memory, and the last row is of ones,
    so that one matrix product adds the output's bias and another yields its
    gradient.

    Parameters
    ----------
    n_features, n_components : int
        Sizes of the visible and the hidden layer.
    activation, output : str
        Names in ``ACTIVATIONS``.
    loss : str
        Name in ``LOSSES``.
    alpha : float
        Weight decay; biases are never penalised.
    l1 : float
        λ, the weight of ‖W‖₁ + ‖D‖₁, the sums of absolute values.
    sparsity : object or None
        A penalty of ``skae.core.penalties``.
    contraction : Contraction or None
        The penalty ‖∂h/∂x‖² of ``skae.core.penalties``.
    noise : Noise or None
        Corrupts the rows that are encoded; the loss compares with clean ones.
    emphasis : tuple of float or None
        Weights (a, b) of the loss on corrupted and on kept entries.
    tied_weights : bool
        Whether D is W itself; ‖W‖² + ‖D‖² is then 2‖W‖², and ‖W‖₁ too counts twice.
    dtype : dtype
        float32 or float64, of parameters, rows and gradient.
    """

    by_feature = False  # whether the weights of a feature lie together in θ

    def __init__(
        self,
        n_features,
        n_components,
        *,
        activation="logistic",
        output="identity",
        loss="squared_error",
        alpha=0.0,
        l1=0.0,
        sparsity=None,
        contraction=None,
        noise=None,
        emphasis=None,
        tied_weights=False,
        dtype=np.float64,
    ):
        self.n_features, self.n_components = n_features, n_components
        self.activation = ACTIVATIONS[activation]
        self.output = ACTIVATIONS[output]
        self.loss = LOSSES[loss]
        self.alpha, self.l1, self.sparsity = alpha, l1, sparsity
        self.contraction = contraction
        self.noise, self.emphasis = noise, emphasis
        self.tied_weights = tied_weights
        self.dtype = np.dtype(dtype)
        d, k = n_features, n_components
        # D and c lie together in either case: see Parameters.
        if tied_weights:
            self.layout = Layout(decoder=(k + 1, d), hidden=(k,))
        else:
            self.layout = Layout(encoder=(k, d), hidden=(k,), decoder=(k + 1, d))

    @property
    def needs_mean_code(self):
        """Whether ``code_sums`` must be gathered before ``block``."""
        return self.sparsity is not None and self.sparsity.of_mean

    @property
    def penalty_weights(self):
        """c of the penalty Σ_j c_j |θ_j|, (size,), or None where there is none."""
        if not self.l1:
            return None
        c = np.zeros(self.layout.size, self.dtype)
        parts = self.parameters(c)
        parts.encoder += self.l1
        parts.decoder[:-1] += self.l1  # tied weights are both
        return c

    def prepare(self, parameters):
        """Compute what all blocks share; here nothing."""

    def parameters(self, theta):
        """See ``theta`` as arrays, without a copy."""
        views = self.layout.views(theta)
        encoder = views.decoder[:-1] if self.tied_weights else views.encoder
        return Parameters(theta, encoder, views.hidden, views.decoder)

    @property
    def numbers_per_row(self):
        """Numbers that a row keeps in cache, which sets the size of the blocks."""
        return self.n_features + self.n_components

    @property
    def multiplications_per_row(self):
        """Of the matrix products, for loss and gradient."""
        return 5 * self.n_features * self.n_components

    def workspace(self, max_rows):
        """Return room for the blocks that one thread computes."""
        d, k = self.n_features, self.n_components
        shapes = {
            "codes": lambda rows: (k + 1, rows),
            "hidden": lambda rows: (2, k, rows),
            "visible": lambda rows: (rows, d),
            "inputs": lambda rows: (rows, d),
            "dense": lambda rows: (rows, d),  # of sparse rows
            "gathered": lambda rows: (rows, d),
            "spare": lambda rows: (2, rows, d),
        }
        return Workspace(self, shapes, max_rows)

    def encode(self, parameters, X, H):
        """Write the codes of the rows X, and a row of ones, into H."""
        codes = H[:-1]
        np.matmul(parameters.encoder, X.T, out=codes)
        codes += parameters.hidden[:, np.newaxis]
        self.activation.apply(codes)
        H[-1] = 1

    def inputs(self, parameters, block, workspace):
        """Return the rows to encode, and which of their entries are corrupted."""
        noisy = self.noise is not None and parameters.draw is not None
        if not noisy and parameters.centers is None:
            return block.X, None
        inputs = workspace["inputs", len(block.X)]
        corrupted, X = None, block.X
        if noisy:
            corrupted = self.noise(X, block.start, parameters.draw, out=inputs)
            X = inputs
        if parameters.centers is not None:
            np.subtract(X, parameters.centers[0], out=inputs)
        return inputs, corrupted

    def code_sums(self, parameters, block, H, workspace):
        """Encode into H and return Σ s_i h_i, (n_components,) in float64."""
        inputs, _ = self.inputs(parameters, block, workspace)
        self.encode(parameters, inputs, H)
        codes = H[:-1]
        sums = codes.sum(axis=1) if block.weights is None else codes @ block.weights
        return sums.astype(np.float64, copy=False)

    def set_mean_code(self, parameters, mean):
        """Give ``parameters`` the slope of the penalty at the mean code."""
        slope = self.sparsity.slope(mean).astype(self.dtype)
        parameters.slope = slope[:, np.newaxis]

    def block(self, parameters, block, H, workspace):
        """Sums of loss and gradient over one block of rows.

        Parameters
        ----------
        parameters : Parameters
            Where to evaluate.
        block : Block
            The rows.
        H : ndarray of shape (n_components + 1, rows) or None
            Their codes, if ``code_sums`` has kept them.
        workspace : Workspace
            Holds every temporary and the returned gradient.

        Returns
        -------
        sums : Sums
            Overwritten by the next call with the same workspace.
        """
        weights = block.weights
        inputs, H, corrupted = self._encoded(parameters, block, H, workspace)
        gradient = workspace.parts
        epsilon, scratch = workspace["hidden", len(block.X)]
        sums = self._decode(parameters, block, H, corrupted, epsilon, workspace)
        sums.terms["sparsity"] = self._add_sparsity(
            parameters, H[:-1], epsilon, weights, scratch
        )
        self.activation.pull_back(H[:-1], epsilon, scratch)
        if self.contraction is not None:
            sums.terms["contraction"], slope = self.contraction.add_rows(
                parameters.encoder, H[:-1], epsilon, weights, scratch
            )
        self._pull_encoder(parameters, epsilon, inputs, gradient.encoder)
        if self.contraction is not None:
            gradient.encoder += slope[:, np.newaxis] * parameters.encoder
        np.sum(epsilon, axis=1, out=gradient.hidden)
        return sums

    def data_loss(self, parameters, block, workspace):
        """Σ s_i ℓ(x_i, x̂_i) over one block of rows: two matrix products of five."""
        _, H, corrupted = self._encoded(parameters, block, None, workspace)
        return self._decoded(parameters, block, H, corrupted, workspace)[-1]

    def _encoded(self, parameters, block, H, workspace):
        """What was encoded, its codes, and which of its entries are corrupted."""
        inputs, corrupted = self.inputs(parameters, block, workspace)
        if H is None:
            H = workspace["codes", len(block.X)]
            self.encode(parameters, inputs, H)
        return inputs, H, corrupted

    def _decoded(self, parameters, block, H, corrupted, workspace):
        """The δ_i, not yet weighted, and Σ s_i ℓ."""
        delta = workspace["visible", len(block.X)]
        np.matmul(H.T, parameters.decoder, out=delta)
        losses = self._losses(delta, block.X, corrupted, workspace)
        if block.weights is not None:
            losses = losses * block.weights
        return delta, float(losses.sum(dtype=np.float64))

    def _decode(self, parameters, block, H, corrupted, epsilon, workspace):
        """Sums of the loss and ∂/∂D; writes D δ_i, by columns, into ``epsilon``."""
        delta, loss = self._decoded(parameters, block, H, corrupted, workspace)
        if block.weights is not None:
            delta *= block.weights[:, np.newaxis]
        np.matmul(parameters.decoder[:-1], delta.T, out=epsilon)
        np.matmul(H, delta, out=workspace.parts.decoder)
        return Sums({"reconstruction": loss}, workspace.gradient)

    def _pull_encoder(self, parameters, epsilon, inputs, gradient):
        """Write Σ_i ε_i x_iᵀ into ``gradient``, or add it to that of tied weights."""
        if self.tied_weights:
            gradient += epsilon @ inputs
        else:
            np.matmul(epsilon, inputs, out=gradient)

    def _losses(self, Z, X, corrupted, workspace):
        """Loss of each row; Z becomes its derivative by Z."""
        spare = entry_weights = None
        if self.output is not Identity or self.emphasis is not None:
            spare = workspace["spare", len(X)]
        if self.emphasis is not None:
            on_corrupted, on_kept = map(self.dtype.type, self.emphasis)
            entry_weights = np.multiply(corrupted, on_corrupted - on_kept)
            entry_weights += on_kept
        return self.loss.rows(Z, X, self.output, spare, entry_weights)

    def _add_sparsity(self, parameters, codes, epsilon, weights, scratch):
        if self.sparsity is None:
            return 0.0
        if not self.sparsity.of_mean:
            return self.sparsity.add_rows(codes, epsilon, weights, scratch)
        if weights is None:
            epsilon += parameters.slope
        else:
            np.multiply(parameters.slope, weights, out=scratch)
            epsilon += scratch
        return 0.0

    def finish(self, parameters, total, weight_sum, mean=None):
        """Turn sums over all rows into the mean, and add what is not a sum.

        Parameters
        ----------
        parameters : Parameters
            Where ``total`` was evaluated.
        total : Sums
            Added up over all blocks; its gradient is changed in place.
        weight_sum : float
            n, or the sum of the sample weights.
        mean : ndarray of shape (n_components,), optional
            The mean code, if the penalty is a function of it.

        Returns
        -------
        loss : float
            J(θ).
        gradient : ndarray
            ``total.gradient``, now ∂J/∂θ without the term ``"l1"``.
        terms : dict of str to float
            ``"reconstruction"``, ``"decay"``, ``"sparsity"`` and, where there is
            one, ``"contraction"`` and ``"l1"``; they sum to J.
        """
        total.gradient *= 1 / weight_sum
        gradient = self.parameters(total.gradient)
        decay = add_decay(self.alpha, parameters.encoder, gradient.encoder)
        decay += add_decay(self.alpha, parameters.decoder[:-1], gradient.decoder[:-1])
        means = {name: value / weight_sum for name, value in total.terms.items()}
        if mean is not None:
            means["sparsity"] += self.sparsity.value(mean)
        # In this order everywhere: floating-point sums depend on it.
        terms = {"reconstruction": means.pop("reconstruction"), "decay": decay, **means}
        if self.l1:
            matrices = (parameters.encoder, parameters.decoder[:-1])
            terms["l1"] = self.l1 * sum(map(absolute_sum, matrices))
        return sum(terms.values()), total.gradient, terms
