"""What an objective meets and returns: blocks of rows, sums, and room to work.

An objective is a sum over blocks of rows; ``skae.core.protocols.Objective`` says what
whoever evaluates one, an engine over all rows or a solver on a batch, asks of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skae.core.arrays import HOST

if TYPE_CHECKING:
    from skae.core import protocols


@dataclass(frozen=True)
class Block:
    """Rows of the data: consecutive ones, the first of which is row ``start``.

    Rows of weight zero are absent: neither in blocks nor counted by ``start``.
    """

    X: Any  # (rows, n_features), an ndarray or SparseRows
    weights: np.ndarray | None  # (rows,)
    start: int
    targets: np.ndarray | None = None  # (rows, n_outputs); None: X itself
    # The rows with NaN where entries of X were missing, and filled in; None: X is as it
    # was given.
    given: np.ndarray | None = None


@dataclass
class Sums:
    """What ``block`` returns: plain sums over its rows, to be added up."""

    # Name -> Σ s_i of a term of the loss; on a device arrays of shape ().
    terms: dict[str, Any]
    gradient: np.ndarray  # of all, flat; the workspace's own buffer
    # For an objective that leaves them to ``finish``; arrays that are the receiver's.
    gram: Any = None  # Σ s_i h_i h_iᵀ
    cross: Any = None  # Σ s_i x_i h_iᵀ

    def __iadd__(self, other: "Sums") -> Self:
        for name, value in other.terms.items():
            self.terms[name] = self.terms.get(name, 0.0) + value
        self.gradient += other.gradient
        self.gram = _add_optional(self.gram, other.gram)
        self.cross = _add_optional(self.cross, other.cross)
        return self


def _add_optional(total: Any, array: Any) -> Any:
    """Add up arrays that may be None; the first becomes the total."""
    if total is None or array is None:
        return array if total is None else total
    total += array
    return total


class Workspace:
    """Buffers for the blocks that one thread computes, made when first needed.

    Parameters
    ----------
    objective : object
        Whose gradient is to be held: ``gradient``, and its arrays in ``parts``.
    shapes : dict
        From the name of a buffer to its shape, a function of the rows of a block.
    max_rows : int
        Rows of the largest block.
    like : array, optional
        Lies where the buffers are to lie; by default on the host.
    """

    def __init__(
        self,
        objective: "protocols.Objective[Any]",
        shapes: Mapping[Any, Callable[[int], tuple[int, ...]]],
        max_rows: int,
        like: Any = HOST,
    ):
        self.gradient = np.empty(objective.layout.size, objective.dtype, like=like)
        self.parts: Any = objective.parameters(self.gradient)
        self._shapes, self._max_rows = shapes, max_rows
        self._dtype, self._like = objective.dtype, like
        self._buffers: dict[Any, np.ndarray] = {}

    def __getitem__(self, item: tuple[Any, int]) -> np.ndarray:
        """``workspace[name, rows]``: a contiguous array for that many rows."""
        name, rows = item
        shape = self._shapes[name](rows)
        if name not in self._buffers:
            most = prod(self._shapes[name](self._max_rows))
            self._buffers[name] = np.empty(most, self._dtype, like=self._like)
        return self._buffers[name][: prod(shape)].reshape(shape)
