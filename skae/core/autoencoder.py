"""An autoencoder's loss and gradient, as a sum over blocks of rows.

With codes h_i = f(W x_i + b) and outputs x̂_i = g(Dᵀ h_i + c),

    J(θ) = (1/n) Σ_i ℓ(x_i, x̂_i) + (α/2)(‖W‖² + ‖D‖²) + λ (‖W‖₁ + ‖D‖₁)
           + Σ_t term_t(h_1 … h_n, θ),

and by back-propagation, with δ_i = ∂ℓ/∂(Dᵀ h_i + c),

    ∂J/∂D = (1/n) Σ_i h_i δ_iᵀ + α D        ∂J/∂c = (1/n) Σ_i δ_i
    ε_i = (D δ_i + Σ_t ∂term_t/∂h_i) ∘ f′
    ∂J/∂W = (1/n) Σ_i ε_i x_iᵀ + α W        ∂J/∂b = (1/n) Σ_i ε_i.

Sample weights s_i turn every mean over rows into Σ s_i (·) / Σ s_i.

The term in λ has a kink at zero, where solvers that know of it leave weights. So it
counts in J, but not in the gradients; ``penalty_weights`` tells a solver of it.

Every sum over i is a sum over blocks of rows, so the temporaries are as small
as a block, stay in cache, and blocks can be computed anywhere. A term of the
*mean* code needs that mean before any ε: such an objective makes two passes,
``statistics`` over all blocks and then ``block`` over all blocks. Keeping the
codes of the first pass makes the second no dearer than a single one would be
(the alternative, one pass that also returns the derivative of the mean code,
costs a sixth matrix product beside the five).
"""

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from skae.core.arrays import number, on_host
from skae.core.autoencoder_model import AutoencoderModel, AutoencoderParameters
from skae.core.blocks import Block, Sums, Workspace
from skae.core.losses import LOSSES, check_output
from skae.core.penalties import absolute_sum, add_decay
from skae.core.terms import Forward

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from skae.core import protocols
    from skae.core.corruptions import Noise


class AutoencoderObjective(AutoencoderModel):
    """Loss and gradient of an autoencoder with one hidden layer.

    Codes are held as (n_components + 1, rows): each unit's codes lie together,
    so biases and sums over rows run along memory, and the last row is of ones,
    so that one matrix product adds the output's bias and another yields its
    gradient.

    Its statistics are the sums of the codes, whether a term needs them or not.

    Parameters
    ----------
    n_features, n_components : int
        Sizes of the visible and the hidden layer.
    activation, output : str
        Names in ``ACTIVATIONS``.
    loss : str
        Name in ``LOSSES``, one that takes this output.
    alpha : float or pair of float
        Weight decay, that of W and that of D; biases are never penalised.
    l1 : float or pair of float
        λ, the weight of ‖W‖₁ and of ‖D‖₁, the sums of absolute values.
    terms : sequence of objects
        What else the loss has: see ``skae.core.terms``.
    noise : Noise or None
        Corrupts the rows that are encoded; the loss compares with clean ones.
    emphasis : tuple of float or None
        Weights (a, b) of the loss on corrupted and on kept entries; for noise that
        keeps some.
    tied_weights : bool
        Whether D is W itself; ‖W‖² + ‖D‖² is then 2‖W‖², and ‖W‖₁ too counts twice.
    dtype : dtype
        float32 or float64, of parameters, rows and gradient.
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        *,
        activation: str = "logistic",
        output: str = "identity",
        loss: str = "squared_error",
        alpha: float | tuple[float, float] = 0.0,
        l1: float | tuple[float, float] = 0.0,
        terms: "Sequence[protocols.Term]" = (),
        noise: "Noise | None" = None,
        emphasis: tuple[float, float] | None = None,
        tied_weights: bool = False,
        dtype: "DTypeLike" = np.float64,
    ):
        check_output(loss, output)
        selects = noise is not None and noise.corruption.selects
        if emphasis is not None and not selects:
            given = None if noise is None else type(noise.corruption).__name__
            raise ValueError(
                "emphasis weighs corrupted against kept entries, so the noise must "
                "keep some: use emphasis=None or a corruption that selects entries; "
                f"got emphasis={emphasis!r} with the corruption {given}."
            )
        super().__init__(
            n_features, n_components, activation, output, tied_weights, dtype
        )
        self.loss = LOSSES[loss]
        self.alpha, self.l1, self.terms = _pair(alpha), _pair(l1), tuple(terms)
        self.noise, self.emphasis = noise, emphasis

    @property
    def penalty_weights(self) -> np.ndarray | None:
        """c of the penalty Σ_j c_j |θ_j|, (size,), or None where there is none."""
        if not any(self.l1):
            return None
        c = np.zeros(self.layout.size, self.dtype)
        parts = self.parameters(c)
        with np.errstate(over="ignore"):  # the solver refuses what is not finite
            parts.encoder += self.l1[0]
            parts.decoder[:-1] += self.l1[1]  # tied weights are both
        return c

    def start(self, random_state: np.random.RandomState) -> np.ndarray:
        """θ′ to begin with, drawn at random; see ``AutoencoderModel``.

        Where a term has a mean code to aim at, units start there, which saves the
        solver the way.
        """
        start = super().start(random_state)
        for term in self._mean_terms[:1]:
            self.parameters(start).hidden[:] = self.activation.link(term.target)
        return start

    # -- what an evaluation costs ----------------------------------------------

    @property
    def numbers_per_row(self) -> int:
        """Numbers that a row keeps in cache, which sets the size of the blocks."""
        return self.n_features + self.n_components

    @property
    def multiplications_per_row(self) -> int:
        """Of the matrix products, for loss and gradient."""
        return 5 * self.n_features * self.n_components

    def workspace(self, max_rows: int) -> Workspace:
        """Return room for the blocks that one thread computes."""
        d, k = self.n_features, self.n_components
        shapes = {
            "kept": self.kept_shape,
            "hidden": lambda rows: (2, k, rows),
            "visible": lambda rows: (rows, d),
            "reconstruction": lambda rows: (rows, d),
            "inputs": lambda rows: (rows, d),
            "dense": lambda rows: (rows, d),  # of sparse rows
            "filled": lambda rows: (rows, d),  # of incomplete ones
            "observed": lambda rows: (rows, d),
            "gathered": lambda rows: (rows, self.block_width),
            "spare": lambda rows: (2, rows, d),
        }
        return Workspace(self, shapes, max_rows, self.like)

    @property
    def block_width(self) -> int:
        """Numbers of a row as blocks have them."""
        return self.n_features

    def kept_shape(self, rows: int) -> tuple[int, int]:
        """Of the codes of so many rows, which are what a block may keep."""
        return self.n_components + 1, rows

    # -- evaluation ------------------------------------------------------------

    def prepare(self, parameters: AutoencoderParameters) -> None:
        """Compute what all blocks share; here nothing."""

    @property
    def _mean_terms(self) -> list[Any]:
        return [term for term in self.terms if term.of_mean]

    @property
    def _needs_reconstruction(self) -> bool:
        return any(term.needs_reconstruction for term in self.terms)

    @property
    def gathers(self) -> bool:
        """Whether ``statistics`` must be gathered before ``block``."""
        return any(term.of_mean for term in self.terms)

    @property
    def n_statistics(self) -> int:
        """One for each unit: the sum of its codes."""
        return self.n_components

    def statistics(
        self,
        parameters: AutoencoderParameters,
        block: Block,
        kept: np.ndarray,
        workspace: Workspace,
    ) -> np.ndarray:
        """Encode into ``kept`` and return Σ s_i h_i, (n_components,) in float64."""
        inputs, _ = self.inputs(parameters, block, workspace)
        self.encode(parameters, inputs, kept)
        codes = kept[:-1]
        sums = codes.sum(axis=1) if block.weights is None else codes @ block.weights
        return sums.astype(np.float64, copy=False)

    def set_statistics(
        self, parameters: AutoencoderParameters, mean: np.ndarray
    ) -> None:
        """Give ``parameters`` the slope of the terms of the mean code at ``mean``."""
        slopes = [term.slope(mean) for term in self._mean_terms]
        if slopes:
            slope = reduce(np.add, slopes).astype(self.dtype)
            parameters.slope = slope[:, np.newaxis]

    def encode(self, parameters: AutoencoderParameters, X: Any, H: np.ndarray) -> None:
        """Write the codes of the rows X, and a row of ones, into H."""
        codes = H[:-1]
        np.matmul(parameters.encoder, X.T, out=codes)
        self.activation.apply_to_sum(codes, parameters.hidden[:, np.newaxis])
        H[-1] = 1

    def inputs(
        self, parameters: AutoencoderParameters, block: Block, workspace: Workspace
    ) -> tuple[Any, np.ndarray | None]:
        """Return the rows to encode, and which of their entries are corrupted."""
        X, corrupted = block.X, None
        if self.noise is not None and parameters.draw is not None:
            inputs = workspace["inputs", len(X)]
            corrupted = self.noise(X, block.start, parameters.draw, out=inputs)
            X = inputs
        if parameters.centers is not None:
            inputs = workspace["inputs", len(X)]
            X = np.subtract(X, parameters.centers[0], out=inputs)
        return X, corrupted

    def block(
        self,
        parameters: AutoencoderParameters,
        block: Block,
        kept: np.ndarray | None,
        workspace: Workspace,
    ) -> Sums:
        """Sums of loss and gradient over one block of rows.

        Parameters
        ----------
        parameters : AutoencoderParameters
            Where to evaluate.
        block : Block
            The rows.
        kept : ndarray of shape (n_components + 1, rows) or None
            Their codes, if they have been kept since ``statistics``.
        workspace : Workspace
            Holds every temporary and the returned gradient.

        Returns
        -------
        sums : Sums
            Overwritten by the next call with the same workspace.
        """
        forward = self._encode_block(parameters, block, kept, workspace)
        codes, gradient, totals = forward.codes, workspace.parts, forward.totals
        # "sparsity" is there even where nothing is asked of the codes.
        totals.update(dict.fromkeys(["reconstruction", "sparsity"], 0.0))
        totals.update({term.name: 0.0 for term in self.terms})
        epsilon, forward.scratch = workspace["hidden", len(block.X)]
        sums = self._decode_block(forward, epsilon, workspace)
        self._add_mean_slope(forward, epsilon)
        for term in self.terms:
            totals[term.name] += term.add_to_codes(forward, epsilon)
        self.activation.pull_back(codes, epsilon, forward.scratch)
        for term in self.terms:
            totals[term.name] += term.add_to_preactivations(forward, epsilon)
        self._pull_encoder(forward, epsilon, gradient.encoder)
        np.sum(epsilon, axis=1, out=gradient.hidden)
        for term in self.terms:
            totals[term.name] += term.add_to_parameters(forward, gradient)
        return sums

    def data_loss(
        self, parameters: AutoencoderParameters, block: Block, workspace: Workspace
    ) -> float:
        """Σ s_i ℓ(x_i, x̂_i) over one block of rows: two matrix products of five."""
        forward = self._encode_block(parameters, block, None, workspace)
        return self._compare(forward, workspace)[1]

    def _encode_block(
        self,
        parameters: AutoencoderParameters,
        block: Block,
        H: np.ndarray | None,
        workspace: Workspace,
    ) -> Forward:
        inputs, corrupted = self.inputs(parameters, block, workspace)
        if H is None:
            H = workspace["kept", len(block.X)]
            self.encode(parameters, inputs, H)
        return Forward(parameters, inputs, H, block.weights, block.X, corrupted)

    def _compare(
        self, forward: Forward, workspace: Workspace
    ) -> tuple[np.ndarray, float]:
        """The δ_i, not yet weighted, and Σ s_i ℓ."""
        Z = workspace["visible", forward.columns.shape[1]]
        np.matmul(forward.columns.T, forward.parameters.decoder, out=Z)
        if self._needs_reconstruction:
            forward.reconstruction = workspace["reconstruction", len(Z)]
            np.copyto(forward.reconstruction, Z)
            self.output.apply(forward.reconstruction)
        losses = self._losses(Z, forward, workspace)  # Z is δ from here on
        if forward.weights is not None:
            losses = losses * forward.weights
        return Z, number(losses.sum(dtype=np.float64))

    def _losses(
        self, Z: np.ndarray, forward: Forward, workspace: Workspace
    ) -> np.ndarray:
        """Loss of each row; Z becomes its derivative by Z."""
        entry_weights = None
        if self.emphasis is not None:
            on_corrupted, on_kept = map(self.dtype.type, self.emphasis)
            # Without a draw of the noise all entries are kept.
            where = False if forward.corrupted is None else forward.corrupted
            entry_weights = np.multiply(where, on_corrupted - on_kept)
            entry_weights += on_kept
        return self._losses_of_rows(Z, forward.targets, workspace, entry_weights)

    def _losses_of_rows(
        self,
        Z: np.ndarray,
        X: np.ndarray,
        workspace: Workspace,
        entry_weights: np.ndarray | None,
    ) -> np.ndarray:
        spare = None
        if not self.output.is_linear or entry_weights is not None:
            spare = workspace["spare", len(Z)]
        return self.loss.rows(Z, X, self.output, spare, entry_weights)

    def _decode_block(
        self, forward: Forward, epsilon: np.ndarray, workspace: Workspace
    ) -> Sums:
        """Sums of the loss and ∂/∂D; writes D δ_i, by columns, into ``epsilon``."""
        delta, loss = self._compare(forward, workspace)
        forward.totals["reconstruction"] = loss
        if forward.weights is not None:
            delta *= forward.weights[:, np.newaxis]
        if forward.reconstruction is not None:
            delta += self._output_slopes(forward, forward.reconstruction, workspace)
        np.matmul(forward.parameters.decoder[:-1], delta.T, out=epsilon)
        np.matmul(forward.columns, delta, out=workspace.parts.decoder)
        return Sums(forward.totals, workspace.gradient)

    def _output_slopes(
        self, forward: Forward, reconstruction: np.ndarray, workspace: Workspace
    ) -> np.ndarray:
        """What the terms that need x̂ add to the δ_i, weighted."""
        slope, scratch = workspace["spare", len(reconstruction)]
        slope.fill(0)
        for term in self.terms:
            if term.needs_reconstruction:
                value = term.add_to_reconstruction(forward, slope)
                forward.totals[term.name] += value
        self.output.pull_back(reconstruction, slope, scratch)
        return slope

    def _add_mean_slope(self, forward: Forward, epsilon: np.ndarray) -> None:
        slope, weights = forward.parameters.slope, forward.weights
        if slope is None:
            return
        if weights is None:
            epsilon += slope
        else:
            np.multiply(slope, weights, out=forward.scratch)
            epsilon += forward.scratch

    def _pull_encoder(
        self, forward: Forward, epsilon: np.ndarray, gradient: np.ndarray
    ) -> None:
        """Write Σ_i ε_i x_iᵀ into ``gradient``, or add it to that of tied weights."""
        if self.tied_weights:
            gradient += epsilon @ forward.inputs
        else:
            np.matmul(epsilon, forward.inputs, out=gradient)

    def finish(
        self,
        parameters: AutoencoderParameters,
        total: Sums,
        weight_sum: float,
        mean: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray, dict[str, float]]:
        """Turn sums over all rows into the mean, and add what is not a sum.

        Parameters
        ----------
        parameters : AutoencoderParameters
            Where ``total`` was evaluated.
        total : Sums
            Added up over all blocks; its gradient is changed in place.
        weight_sum : float
            n, or the sum of the sample weights.
        mean : ndarray of shape (n_components,), optional
            The mean code, if a term is a function of it.

        Returns
        -------
        loss : float
            J(θ).
        gradient : ndarray
            ``total.gradient``, now ∂J/∂θ without the term ``"l1"``.
        terms : dict of str to float
            ``"reconstruction"``, ``"decay"``, ``"sparsity"``, those of other terms
            by name and, where there is one, ``"l1"``; they sum to J.
        """
        total.gradient *= 1 / weight_sum
        gradient = self.parameters(total.gradient)
        D, its_gradient = parameters.decoder[:-1], gradient.decoder[:-1]
        sums, of_mean = total.terms, [] if mean is None else self._mean_terms
        decays = [
            add_decay(self.alpha[0], parameters.encoder, gradient.encoder),
            add_decay(self.alpha[1], D, its_gradient),
        ]
        values = [term.value(mean) for term in of_mean]
        sizes = [*map(absolute_sum, (parameters.encoder, D))] if any(self.l1) else []
        if not isinstance(total.gradient, np.ndarray):
            totals, decays, values, sizes = on_host(
                [*sums.values()], decays, values, sizes
            )
            sums = dict(zip(sums, totals, strict=True))
        means = {name: value / weight_sum for name, value in sums.items()}
        for term, value in zip(of_mean, values, strict=True):
            means[term.name] += value
        # In this order everywhere: floating-point sums depend on it.
        terms = {
            "reconstruction": means.pop("reconstruction"),
            "decay": decays[0] + decays[1],
            **means,
        }
        if sizes:
            l1 = zip(self.l1, sizes, strict=True)
            terms["l1"] = sum(weight * size for weight, size in l1)
        return sum(terms.values()), total.gradient, terms


def _pair(weight: float | tuple[float, float]) -> tuple[float, float]:
    return weight if isinstance(weight, tuple) else (weight, weight)
