"""Rows of a CSR matrix.

Blocks share its entries, or hold a copy of them by column.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array, vstack

from skae.core.blocks import Block, Workspace
from skae.core.corruptions import Noise
from skae.core.layers import Layers
from skae.core.protocols import SparseObjective
from skae.core.sparse_autoencoder import SparseRowsObjective, sparse_objective
from skae.core.sparse_network import SparseNetworkObjective, sparse_network
from skae.core.sparse_rows import SparseRows
from skae.rows.data import LocalRows, Rows
from skae.rows.dense import DenseRows, computed_rows
from skae.rows.deviations import SparseDeviations
from skae.rows.errors import LinearErrors, write_errors_of_sparse
from skae.rows.lengths import block_rows, even_length, sparse_block_rows
from skae.rows.memory_map import Release
from skae.rows.moments import Moments, sparse_moments
from skae.rows.protocols import Compute, Cost, RowMap, Write

# A multiplication of a sparse product against one of a dense product, in time.
_DEARER = 8
# Above so many columns it is not asked how they vary together.
_WIDE = 1200
# Squared distance from zero, beside the variance, of which rounding leaves a millionth.
_FAR = 1e9


class CsrRows(LocalRows):
    """Rows of a CSR array or matrix without duplicate entries.

    Parameters
    ----------
    X : CSR array or matrix of shape (n_samples, n_features)
        Only ever read.
    """

    def __init__(self, X: Any) -> None:
        self.X, self.shape, self.dtype = X, X.shape, X.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the entries and their places."""
        return self.X.data.nbytes + self.X.indices.nbytes

    @property
    def given(self) -> Any:
        """The matrix."""
        return self.X

    def __getitem__(self, rows: slice) -> Any:
        return self.X[rows]

    def release(self) -> Release:
        """Does nothing: the rows are in memory."""
        return Release(self.X)

    def moments(self, weights: np.ndarray | None = None) -> Moments:
        """Weighted column means and variance, in float64."""
        return sparse_moments(self.X, weights)

    def ranges(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Least and greatest of each column, (2, n_features), of rows that count."""
        X = self.X if weights is None else self.X[weights > 0]
        return np.stack([f(axis=0).toarray().ravel() for f in (X.min, X.max)])

    def autoencoder(self, *args: Any, **kwargs: Any) -> SparseRowsObjective:
        """The objective for such rows, from arguments of ``AutoencoderObjective``."""
        return sparse_objective(*args, by_products=self._by_products, **kwargs)

    def network(
        self, *args: Any, reconstructs: bool, **kwargs: Any
    ) -> SparseNetworkObjective:
        """The objective for such rows, from arguments of ``NetworkObjective``."""
        by_products = not reconstructs or self._by_products
        return sparse_network(
            *args, reconstructs=reconstructs, by_products=by_products, **kwargs
        )

    @property
    def _by_products(self) -> bool:
        """Whether errors keep digits enough as differences of squared lengths."""
        moments = self.moments()
        if moments.no_variation(self.dtype):
            return True
        return bool(moments.mean @ moments.mean <= _FAR * moments.variance)

    def mapped(
        self, compute: Compute, n_columns: int, weights: np.ndarray | None = None
    ) -> DenseRows:
        """Rows of ``compute(rows)``; zeros for rows of weight zero."""
        return computed_rows(self, compute, weights)

    def joined(self, other: Rows) -> LocalRows:
        """The rows of ``other`` after these."""
        return CsrRows(vstack([self.X, csr_array(other.given)], format="csr"))

    def after(self, dense: LocalRows) -> LocalRows:
        """The rows of an array, and then these."""
        return CsrRows(vstack([csr_array(dense.given), self.X], format="csr"))

    def in_blocks(
        self,
        objective: Any,
        weights: np.ndarray | None,
        targets: LocalRows | None,
        rows: int | None = None,
    ) -> SparseRowsInBlocks:
        """Blocks of ``rows`` rows, by default as many as suit the objective's products.

        It is a ``SparseObjective``. All is as if rows of weight zero had never been
        there.
        """
        y = None if targets is None else targets.given
        X, weights, y = without_zero_weights(self.X, weights, y)
        n_samples, by_column = X.shape[0], objective.by_column
        multiplications = n_samples * objective.multiplications_per_row
        length = rows or block_rows(n_samples, objective.numbers_per_row)
        if by_column:
            multiplications = sparse_multiplications(X, objective)
            length = rows or even_length(n_samples, sparse_block_rows(X, objective))
        blocks = SparseRowsInBlocks(X, weights, y, length, by_column)
        blocks.nbytes = CsrRows(X).nbytes
        blocks.multiplications = multiplications
        return blocks

    def batches(self, n_rows: int) -> Callable[[np.ndarray], SparseRows]:
        """What hands out rows here and there as a block has them."""
        return lambda index: SparseRows(self.X[index])

    def picked(self, index: np.ndarray) -> LocalRows:
        """A copy of some rows."""
        return CsrRows(self.X[index])

    def deviations(
        self, weights: np.ndarray | None, moments: Moments
    ) -> SparseDeviations | None:
        """How these rows deviate from the mean of them; None if they are wide.

        The words of a text, say, vary nearly alone, and an evaluation of so few entries
        costs little beside telling apart the directions in which they do not.
        """
        if self.shape[1] > _WIDE:
            return None
        return SparseDeviations(self.X, weights, moments)

    def layers(self, layers: RowMap) -> RowMap:
        """``layers`` for slices of these rows."""
        return layers.for_sparse(entries_per_row=self.X.nnz / self.shape[0])

    def errors(self, encode: RowMap, decode: Layers) -> tuple[Write, Cost]:
        """What writes ‖x̂_i − x_i‖² of a slice of rows, and what a row of it costs."""
        if not decode.layers[-1][2].is_linear:
            return partial(write_errors_of_sparse, encode, decode), decode
        if len(decode.layers) > 1:
            assert isinstance(encode, Layers), "as the encoder of every stack is"
            encode = encode.followed_by(decode.layers[:-1])
        return LinearErrors(encode, decode), encode

    def corrupted(self, noise: Noise) -> Any:
        """A corrupted copy, sparse where the noise keeps zeros."""
        if not noise.corruption.keeps_zeros:
            return DenseRows(self.X.toarray()).corrupted(noise)
        masked = SparseRows(self.X).masked(noise, start=0, draw=0).matrix.copy()
        masked.eliminate_zeros()
        return masked


def sparse_multiplications(X: Any, objective: SparseObjective[Any]) -> float:
    """Of an evaluation's products, as many as take the time of dense ones."""
    dense = X.shape[0] * objective.dense_multiplications_per_row
    return _DEARER * X.nnz * sum(objective.product_columns) + dense


def cut_sparse(X: Any, start: int, stop: int, by_column: bool) -> SparseRows:
    """Rows start … stop − 1 of a matrix in row order, as ``SparseRows``.

    In row order they share the entries of X; in column order they are a copy, as
    large as the entries are: it makes products two to six times faster where
    X has 50,000 columns.
    """
    stop = min(stop, X.shape[0])
    first, last = X.indptr[start], X.indptr[stop]
    rows = type(X)((stop - start, X.shape[1]), dtype=X.dtype)
    # A slice would copy, and so would the constructor.
    rows.data, rows.indices = X.data[first:last], X.indices[first:last]
    rows.indptr = X.indptr[start : stop + 1] - first
    return SparseRows(rows.tocsc() if by_column else rows)


def without_zero_weights(
    X: Any, weights: np.ndarray | None, targets: np.ndarray | None
) -> tuple[Any, np.ndarray | None, np.ndarray | None]:
    """The rows of a CSR matrix that count, their weights and their targets."""
    if weights is None or weights.all():
        return X, weights, targets
    there = np.flatnonzero(weights)
    X, weights = X[there], weights[there]
    targets = None if targets is None else targets[there]
    return X, None if (weights == 1).all() else weights, targets


class SparseRowsInBlocks:
    """``RowsInBlocks`` of a CSR matrix: cut once, and kept.

    Parameters and attributes are those of ``RowsInBlocks``, but for weights of zero,
    which must be gone (see ``without_zero_weights``), and

    Parameters
    ----------
    length : int
        Rows of a block.
    by_column : bool
        The order in which a block is stored.
    """

    nbytes: int
    multiplications: float

    def __init__(
        self,
        X: Any,
        weights: np.ndarray | None,
        targets: np.ndarray | None,
        length: int,
        by_column: bool,
    ) -> None:
        self.n_samples = n = X.shape[0]
        self.weight_sum = float(n)
        if weights is not None:
            self.weight_sum = float(weights.sum(dtype=np.float64))

        def block(start: int) -> Block:
            rows = slice(start, start + length)
            return Block(
                cut_sparse(X, start, start + length, by_column),
                None if weights is None else weights[rows],
                start,
                None if targets is None else targets[rows],
            )

        self._blocks = [block(start) for start in range(0, n, length)]

    def __len__(self) -> int:
        return len(self._blocks)

    def length(self, index: int) -> int:
        """Rows of the block with this index."""
        return len(self._blocks[index].X)

    def take(self, index: int, workspace: Workspace) -> Block:
        """The block with this index."""
        return self._blocks[index]

    def release(self, index: int) -> None:
        """Nothing: it is kept, with what it keeps between evaluations."""
