"""What an objective meets and returns: blocks of rows, sums, and room to work.

An objective is a sum over blocks of rows. Whoever evaluates one, an engine over
all rows or a solver on a batch, asks it for

* ``dtype``, ``layout`` and ``parameters(theta)``: a flat vector seen as its arrays,
  with the ``draw`` of the noise and the ``centers`` of the inputs to be set;
* ``by_feature``: whether the weights of a feature lie together in the vector;
* ``by_column``, of an objective that takes sparse rows: whether their blocks are best
  stored by column, and if so what their products cost, ``product_columns`` and
  ``dense_multiplications_per_row``;
* ``prepare(parameters)``: what all blocks share, computed once;
* ``numbers_per_row`` and ``multiplications_per_row``: what a row costs;
* ``workspace(rows)``: buffers for blocks of up to that many rows;
* ``block(parameters, block, codes, workspace)``: the ``Sums`` of one block;
* ``data_loss(parameters, block, workspace)``: of these the loss alone, a number;
* ``finish(parameters, total, weight_sum, mean)``: loss, gradient and terms;
* ``penalty_weights``: c of a term Σ c_j |θ_j|, left out of the gradient, or None;
* ``needs_mean_code``: whether the codes' mean must be gathered first, and only then
  ``n_components``, ``code_sums(parameters, block, codes, workspace)``, the sum of a
  block's codes, which it writes to ``codes``, and ``set_mean_code(parameters, mean)``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


def is_remote(X):
    """Whether X only stands for rows that lie elsewhere, block by block."""
    return getattr(X, "is_remote", False)


@dataclass(frozen=True)
class Data:
    """All rows, their weights, and their targets unless the rows are that."""

    X: Any  # (n_samples, n_features), an ndarray, SciPy's sparse rows or remote
    weights: np.ndarray | None = None  # (n_samples,)
    targets: np.ndarray | None = None  # (n_samples, n_outputs)

    @property
    def n_rows(self):
        """How many rows there are: those of weight zero are as good as absent."""
        if self.weights is None or is_remote(self.X):
            return self.X.shape[0]
        return int(np.count_nonzero(self.weights))


@dataclass(frozen=True)
class Block:
    """Rows of the data: consecutive ones, the first of which is row ``start``.

    Rows of weight zero are absent: neither in blocks nor counted by ``start``.
    """

    X: Any  # (rows, n_features), an ndarray or SparseRows
    weights: np.ndarray | None  # (rows,)
    start: int
    targets: np.ndarray | None = None  # (rows, n_outputs); None: X itself


@dataclass
class Sums:
    """What ``block`` returns: plain sums over its rows, to be added up."""

    terms: dict  # name -> Σ s_i of a term of the loss
    gradient: np.ndarray  # of all, flat; the workspace's own buffer
    # For an objective that leaves them to ``finish``; arrays that are the receiver's.
    gram: Any = None  # Σ s_i h_i h_iᵀ
    cross: Any = None  # Σ s_i x_i h_iᵀ

    def __iadd__(self, other):
        for name, value in other.terms.items():
            self.terms[name] = self.terms.get(name, 0.0) + value
        self.gradient += other.gradient
        self.gram = _added(self.gram, other.gram)
        self.cross = _added(self.cross, other.cross)
        return self


def _added(total, array):
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
    """

    def __init__(self, objective, shapes, max_rows):
        self.gradient = np.empty(objective.layout.size, objective.dtype)
        self.parts = objective.parameters(self.gradient)
        self._shapes, self._max_rows = shapes, max_rows
        self._dtype = objective.dtype
        self._buffers = {}

    def __getitem__(self, item):
        """``workspace[name, rows]``: a contiguous array for that many rows."""
        name, rows = item
        shape = self._shapes[name](rows)
        if name not in self._buffers:
            most = int(np.prod(self._shapes[name](self._max_rows)))
            self._buffers[name] = np.empty(most, self._dtype)
        return self._buffers[name][: int(np.prod(shape))].reshape(shape)
