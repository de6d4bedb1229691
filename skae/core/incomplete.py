"""Objectives of rows with missing entries, which are NaN.

The loss of a row is a sum over its observed entries,

    ℓ_i = Σ_{j observed} ℓ(x_ij, x̂_ij),

so that ∂ℓ_i/∂x̂_ij = 0 for all others: a missing entry has weight zero. What is encoded
in its place is a value of the column's, such as the mean of what was observed there.
The codes' terms and the penalties are what they are without missing entries.

Rows come with their NaN, and are filled block by block unless that has been done once
for all. Entries are told apart by *bits*, integers as wide as the numbers, of which all
bits are ones where an entry was observed and zeros where it is missing: ``np.where``
with a random mask takes five times as long.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from skae.core.autoencoder import AutoencoderObjective
from skae.core.autoencoder_model import AutoencoderParameters
from skae.core.blocks import Block, Workspace
from skae.core.network import NetworkObjective
from skae.core.network_model import NetworkParameters
from skae.core.terms import Forward

_INTEGERS: dict[int, Any] = {4: np.int32, 8: np.int64}


def as_bits(array: np.ndarray) -> np.ndarray:
    """The same memory seen as integers."""
    return array.view(_INTEGERS[array.itemsize])


def write_observed(X: np.ndarray, bits: np.ndarray) -> None:
    """Write ones to all bits of ``bits`` where X is not NaN, and zeros elsewhere."""
    missing = np.isnan(X)
    np.subtract(missing.view(np.int8), 1, out=bits)


def fill_in(
    X: np.ndarray, fill: np.ndarray, bits: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Write X, with ``fill``, (n_features,), where entries are missing, to ``out``."""
    # (x ^ f) & bits ^ f is x where all bits are ones, and f where they are zeros.
    selected, f = as_bits(out), as_bits(fill)
    np.bitwise_xor(as_bits(X), f, out=selected)
    selected &= bits
    selected ^= f
    return out


def filled(X: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """A copy of the rows X with ``fill``, (n_features,), where entries are missing."""
    bits = np.empty(X.shape, _INTEGERS[X.itemsize])
    write_observed(X, bits)
    return fill_in(np.ascontiguousarray(X), fill, bits, np.empty(X.shape, X.dtype))


class _IncompleteRows:
    """What is done with incomplete rows, whatever is made of them."""

    fill: np.ndarray
    by_column = False  # the order in which blocks of sparse rows are stored

    def _complete(self, block: Block, workspace: Workspace) -> np.ndarray:
        """The rows, filled; unless they were, ``workspace`` has their bits then."""
        X, rows = block.X, len(block.X)
        if block.given is not None:
            return X
        if not isinstance(X, np.ndarray):  # SparseRows, of which some entries are NaN
            X = X.toarray(out=workspace["dense", rows])
        bits = as_bits(workspace["observed", rows])
        write_observed(X, bits)
        return fill_in(X, self.fill, bits, workspace["filled", rows])

    def _targets_of(self, block: Block, workspace: Workspace) -> np.ndarray:
        """The rows, which were completed last; ``workspace`` has their bits then."""
        self._write_observed(block, workspace["observed", len(block.X)])
        if block.given is None:
            return workspace["filled", len(block.X)]
        targets: np.ndarray = block.X
        return targets

    def _write_observed(self, block: Block, out: np.ndarray) -> None:
        """The bits of rows that were corrupted; of others they are there."""
        if block.given is not None:
            write_observed(block.given, as_bits(out))

    def _losses_of_observed(
        self,
        loss: Any,
        output: Any,
        Z: np.ndarray,
        X: np.ndarray,
        workspace: Workspace,
        entry_weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Loss of each row of X, filled, of which ``workspace`` has the bits.

        Z becomes its derivative. ``entry_weights`` of missing entries do not matter.
        """
        bits = as_bits(workspace["observed", len(Z)])
        if loss.is_quadratic and output.is_linear and entry_weights is None:
            Z -= X
            as_bits(Z)[:] &= bits
            return 0.5 * np.vecdot(Z, Z)
        weights = np.full_like(Z, 1 if entry_weights is None else entry_weights)
        as_bits(weights)[:] &= bits
        spare = workspace["spare", len(Z)]
        losses: np.ndarray = loss.rows(Z, X, output, spare, weights)
        return losses


class IncompleteAutoencoder(_IncompleteRows, AutoencoderObjective):
    """Loss and gradient of an autoencoder on rows with missing entries.

    Parameters are those of ``AutoencoderObjective`` and

    Parameters
    ----------
    fill : ndarray of shape (n_features,)
        What is encoded where an entry is missing.
    """

    def __init__(self, *args: Any, fill: np.ndarray, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fill = fill.astype(self.dtype)

    def inputs(
        self, parameters: AutoencoderParameters, block: Block, workspace: Workspace
    ) -> tuple[Any, np.ndarray | None]:
        """Return the rows to encode, filled, and which entries are corrupted."""
        X = self._complete(block, workspace)
        return super().inputs(parameters, replace(block, X=X), workspace)

    def _encode_block(
        self,
        parameters: AutoencoderParameters,
        block: Block,
        H: np.ndarray | None,
        workspace: Workspace,
    ) -> Forward:
        forward = super()._encode_block(parameters, block, H, workspace)
        forward.targets = self._targets_of(block, workspace)
        return forward

    def _compare(
        self, forward: Forward, workspace: Workspace
    ) -> tuple[np.ndarray, float]:
        compared = super()._compare(forward, workspace)
        if forward.reconstruction is not None:
            # Terms that ask for it find no error where nothing was observed.
            observed = as_bits(workspace["observed", len(forward.reconstruction)])
            forward.targets = np.where(
                observed, forward.targets, forward.reconstruction
            )
        return compared

    def _losses_of_rows(
        self,
        Z: np.ndarray,
        X: np.ndarray,
        workspace: Workspace,
        entry_weights: np.ndarray | None,
    ) -> np.ndarray:
        return self._losses_of_observed(
            self.loss, self.output, Z, X, workspace, entry_weights
        )


class WeightedAutoencoder(IncompleteAutoencoder):
    """Loss and gradient of an autoencoder on rows whose entries have weights.

    The loss of a row is Σ_j w_ij ℓ(x_ij, x̂_ij). Blocks have the rows and the weights
    side by side, (rows, 2 n_features); an entry of weight zero is NaN, and missing.

    Parameters are those of ``IncompleteAutoencoder``.
    """

    @property
    def block_width(self) -> int:
        """Numbers of a row as blocks have them: its entries and their weights."""
        return 2 * self.n_features

    def _complete(self, block: Block, workspace: Workspace) -> np.ndarray:
        if block.given is not None:
            rows: np.ndarray = block.X
            return rows
        entries = replace(block, X=block.X[:, : self.n_features])
        return super()._complete(entries, workspace)

    def _write_observed(self, block: Block, out: np.ndarray) -> None:
        """The weights, in place of the bits."""
        both = block.X if block.given is None else block.given
        out[:] = both[:, self.n_features :]

    def _losses_of_observed(
        self,
        loss: Any,
        output: Any,
        Z: np.ndarray,
        X: np.ndarray,
        workspace: Workspace,
        entry_weights: np.ndarray | None = None,
    ) -> np.ndarray:
        weights = workspace["observed", len(Z)]
        if entry_weights is not None:
            weights = weights * entry_weights
        spare = workspace["spare", len(Z)]
        losses: np.ndarray = loss.rows(Z, X, output, spare, weights)
        return losses


class IncompleteNetwork(_IncompleteRows, NetworkObjective):
    """Loss and gradient of a network on rows with missing entries.

    Where rows have no targets of their own it reconstructs what was observed.

    Parameters are those of ``NetworkObjective`` and

    Parameters
    ----------
    fill : ndarray of shape (n_features,)
        What the first layer meets where an entry is missing.
    """

    def __init__(self, *args: Any, fill: np.ndarray, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fill = fill.astype(self.dtype)

    def _inputs(
        self, parameters: NetworkParameters, block: Block, workspace: Workspace
    ) -> Any:
        X = self._complete(block, workspace)
        return super()._inputs(parameters, replace(block, X=X), workspace)

    def _losses(
        self, delta: np.ndarray, block: Block, workspace: Workspace
    ) -> np.ndarray:
        if block.targets is not None:
            return super()._losses(delta, block, workspace)
        X = self._targets_of(block, workspace)
        return self._losses_of_observed(self.loss, self.output, delta, X, workspace)
