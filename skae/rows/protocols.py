"""Interfaces between rows and the functions and engines that use them.

If no dtype is mentioned, arrays are float32 or float64, all of the same dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from skae.core.blocks import Block, Workspace

# An ndarray of shape (n_samples,), of dask's rows a ``DaskRows``; None: all weigh one.
Weights = Any
# ``compute(rows)``: an array with as many rows as the ``LocalRows`` that it is given.
Compute = Callable[[Any], np.ndarray]
# ``encode(y)``: targets, (rows, n_outputs), of what is given as y, or of a part of it.
Encode = Callable[[Any], np.ndarray]
# ``write(X, out)``: what is computed of a slice of rows, an array or a CSR matrix.
Write = Callable[[Any, np.ndarray], object]


class Cost(Protocol):
    """What a row costs whoever computes something of it."""

    @property
    def numbers_per_row(self) -> int:
        """Numbers that a row keeps in cache, which sets the size of the blocks."""

    @property
    def multiplications_per_row(self) -> float:
        """Of the matrix products."""


class RowMap(Cost, Protocol):
    """Maps blocks of rows to arrays: ``Layers``, or an encoder of another kind."""

    def for_sparse(self, entries_per_row: float) -> RowMap:
        """The same for sparse rows with so many entries, on average."""

    def __call__(self, X: Any, out: np.ndarray | None = None) -> np.ndarray:
        """What X is mapped to, (rows, n_outputs), written to ``out`` if given."""


class BlockSequence(Protocol):
    """Rows cut into blocks of consecutive ones; those of weight zero are in none."""

    n_samples: int  # rows in all blocks
    weight_sum: float  # of these
    nbytes: int  # of the rows in all blocks
    multiplications: float  # of an evaluation's products, in time as many of dense ones

    def __len__(self) -> int:
        """How many blocks there are."""

    def length(self, index: int) -> int:
        """Rows of the block with this index."""

    def take(self, index: int, workspace: Workspace) -> Block:
        """That block; ``workspace["gathered"]`` may hold its rows."""

    def release(self, index: int) -> None:
        """Note that it has been read, so that its memory may be given back."""
