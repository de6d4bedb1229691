"""Rows in blocks that dask holds on its workers.

A block is a tuple (X, weights, targets) of NumPy arrays; weights and targets can be
None. It has been checked, has the right dtype, and contains no rows of weight zero. All
this is done once, on the worker that holds the block, and its rows are never sent.
Empty blocks are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

from skae.core.autoencoder import AutoencoderObjective
from skae.core.network import NetworkObjective
from skae.rows.dask_tasks import Runner, Task, runner
from skae.rows.data import Data, LocalRows, Result, Rows
from skae.rows.dense import DenseRows
from skae.rows.masked import refuse_masked
from skae.rows.moments import Moments, total_weight
from skae.rows.protocols import Compute, Encode, Weights
from skae.rows.samples import here_and_there

ROWS, WEIGHTS, TARGETS = range(3)
HeldBlock = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]


def aligned(array: Any) -> Any:
    """The array, or a copy of it if its numbers straddle words of memory.

    What came from a worker or a disk lies behind whatever came with it. NumPy then
    does without BLAS: slower, and with other bits than for the same numbers elsewhere.
    """
    return array if array is None or array.flags.aligned else array.copy()


class NoRowsError(ValueError):
    """None of the chunks has a row that counts."""


def prepare_block(
    X: Any,
    weights: Any,
    targets: Any,
    dtype: np.dtype,
    encode: Encode | None,
    name: str = "X",
) -> HeldBlock:
    """Make a block of one chunk; on its worker.

    Parameters
    ----------
    X : ndarray or DataFrame of shape (rows, n_features)
        Rows.
    weights : ndarray of shape (rows,) or None
        Sample weights.
    targets : ndarray or Series or None
        What ``encode`` makes targets of.
    dtype : dtype
        Of the objective.
    encode : callable or None
        ``encode(targets) -> ndarray of shape (rows, n_outputs)``; for targets.
    name : str
        Of X, for messages.
    """
    refuse_sparse(X)  # of which dask's meta need not tell
    for part, its_name in ((X, name), (weights, "sample_weight"), (targets, "y")):
        refuse_masked(part, its_name)
    try:
        X = check_array(
            X, dtype=dtype, order="C", ensure_min_samples=0, input_name=name
        )
    except ValueError as error:
        if "NaN" not in str(error):
            raise
        raise ValueError(
            f"Input {name} contains NaN. Missing entries are learnt from in arrays, "
            "sparse matrices and memory maps, not in dask collections: fill them in, "
            f"chunk by chunk, or fit on {name}.compute()."
        ) from error
    if targets is not None:
        assert encode is not None, "what makes them numbers"
        targets = encode(np.asarray(targets))
        targets = check_array(
            targets, dtype=dtype, order="C", ensure_min_samples=0, input_name="y"
        )
        _same_length(X, targets, "y")
    if weights is not None:
        weights = check_array(
            weights,
            dtype=dtype,
            ensure_2d=False,
            ensure_min_samples=0,
            input_name="sample_weight",
        )
        _same_length(X, weights, "sample_weight")
        if len(weights) and weights.min() < 0:
            raise ValueError("Negative values in data passed to `sample_weight`")
        if not weights.all():  # absent means absent
            present = weights > 0
            X, weights = X[present], weights[present]
            targets = None if targets is None else targets[present]
    return aligned(X), aligned(weights), aligned(targets)


def refuse_sparse(X: Any) -> None:
    """Refuse chunks of sparse rows."""
    if issparse(X):
        raise ValueError(
            "dask's chunks of sparse rows are not supported; make them dense with "
            "X.map_blocks(lambda rows: rows.toarray()), or pass all rows as one "
            "sparse matrix."
        )


def _same_length(X: Any, other: Any, name: str) -> None:
    if len(X) != len(other):
        raise ValueError(
            f"A chunk of X has {len(X)} rows, but the chunk of {name} beside it "
            f"{len(other)}; pass {name} with the rows of X, in chunks of known sizes."
        )


def _size(block: HeldBlock) -> tuple[int, float, int]:
    """Rows, the sum of their weights, and columns of the targets."""
    X, weights, targets = block
    total = total_weight(len(X), weights)
    return len(X), total, 0 if targets is None else targets.shape[1]


def _call(function: Callable[..., Any], position: int, block: HeldBlock) -> Any:
    return function(aligned(block[position]), aligned(block[WEIGHTS]))


def _with_rows(compute: Compute, block: HeldBlock) -> HeldBlock:
    # A copy of what it multiplies by is as good as aligned.
    X, weights, targets = block
    return deepcopy(compute)(DenseRows(aligned(X))), weights, targets


def _reduced(
    position: int, compute: Callable[[LocalRows, Any], Result], block: HeldBlock
) -> Result:
    rows = DenseRows(aligned(block[position]))
    return deepcopy(compute)(rows, aligned(block[WEIGHTS]))


def _with_weights(block: HeldBlock) -> HeldBlock:
    X, weights, targets = block
    return X, np.ones(len(X), X.dtype) if weights is None else weights, targets


def _picked(index: np.ndarray, block: HeldBlock) -> HeldBlock:
    """Rows of a block, with all that lies beside them."""
    X, weights, targets = block
    return (
        aligned(X)[index],
        None if weights is None else aligned(weights)[index],
        None if targets is None else aligned(targets)[index],
    )


def _ranges(array: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return np.stack([array.min(axis=0), array.max(axis=0)])


def _moments_and_total(
    array: np.ndarray, weights: np.ndarray | None
) -> tuple[Moments, float]:
    return DenseRows(array).moments(weights), total_weight(len(array), weights)


@dataclass(frozen=True)
class Blocks:
    """Blocks of rows, and the tasks that hold them, in the order of the rows."""

    run: Runner
    tasks: list[Task]
    rows: list[int]  # of each block
    weight_sum: float
    weighted: bool
    n_outputs: int  # columns of the targets

    @classmethod
    def compute(
        cls, chunks: list[Task], weighted: bool, sources: Sequence[Any] = ()
    ) -> Blocks:
        """Have blocks computed and held, where dask finds room for them.

        Parameters
        ----------
        chunks : list of delayed
            Of ``prepare_block``.
        weighted : bool
            Whether rows have weights.
        sources : sequence, optional
            dask's collections of which chunks are made.
        """
        run = runner()
        tasks = run.spread(chunks, list(sources))
        sizes = run.gather(run.map(_size, tasks), needs=tasks)
        filled = [i for i, (rows, *_) in enumerate(sizes) if rows]
        if not filled:
            raise NoRowsError(
                "Sample weights must contain at least one non-zero number."
                if weighted
                else "Found array with 0 sample(s) while a minimum of 1 is required."
            )
        rows, weight_sums, n_outputs = zip(*(sizes[i] for i in filled), strict=True)
        tasks = [tasks[i] for i in filled]
        return cls(run, tasks, list(rows), sum(weight_sums), weighted, n_outputs[0])

    @property
    def starts(self) -> list[int]:
        """Index of the first row of each block."""
        return [0, *np.cumsum(self.rows).tolist()][:-1]

    def with_rows(self, compute: Compute) -> Blocks:
        """The same blocks, with ``compute(rows)``, an array, for X."""
        sent = self.run.send(compute)
        tasks = self.run.map(_with_rows, [sent] * len(self.tasks), self.tasks)
        return replace(self, tasks=self.run.start(tasks))

    def joined(self, other: Blocks) -> Blocks:
        """These and the blocks of ``other``; rows without a weight weigh one."""
        tasks, weighted = [*self.tasks, *other.tasks], self.weighted or other.weighted
        if self.weighted != other.weighted:
            tasks = self.run.start(self.run.map(_with_weights, tasks))
        return replace(
            self,
            tasks=tasks,
            rows=[*self.rows, *other.rows],
            weight_sum=self.weight_sum + other.weight_sum,
            weighted=weighted,
        )


class DaskRows(Rows):
    """X, the weights or the targets of blocks of rows, seen as one array.

    Parameters
    ----------
    blocks : Blocks
        Where the rows lie.
    position : {ROWS, WEIGHTS, TARGETS}
        Which of a block's arrays.
    n_columns : int
        Of the array.
    dtype : dtype
        float32 or float64.
    """

    engine = "dask"
    local = False
    ndim = 2

    def __init__(
        self, blocks: Blocks, position: int, n_columns: int, dtype: np.dtype
    ) -> None:
        self.blocks, self._position = blocks, position
        self.shape = sum(blocks.rows), n_columns
        self.dtype = np.dtype(dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows together."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    @property
    def given(self) -> DaskRows:
        """Themselves: an autoencoder here may learn from them."""
        return self

    def each(self, function: Callable[..., Any]) -> list[Any]:
        """Results of ``function(array, weights)`` for each block, in order."""
        run, blocks = self.blocks.run, self.blocks.tasks
        tasks = run.map(partial(_call, function, self._position), blocks)
        return run.gather(tasks, needs=blocks)

    def moments(self, weights: Weights = None) -> Moments:
        """Weighted column means and variance; blocks have their weights."""
        return Moments.combined(*zip(*self.each(_moments_and_total), strict=True))

    @cached_property
    def _ranges(self) -> np.ndarray:
        low, high = np.stack(self.each(_ranges), axis=1)
        return np.stack([low.min(axis=0), high.max(axis=0)])

    def ranges(self, weights: Weights = None) -> np.ndarray:
        """Least and greatest of each column, (2, n_columns)."""
        return self._ranges

    def autoencoder(self, *args: Any, **kwargs: Any) -> AutoencoderObjective:
        """The objective for such rows, from arguments of ``AutoencoderObjective``."""
        return AutoencoderObjective(*args, **kwargs)

    def network(
        self, *args: Any, reconstructs: bool, **kwargs: Any
    ) -> NetworkObjective:
        """The objective for such rows, from arguments of ``NetworkObjective``."""
        return NetworkObjective(*args, **kwargs)

    def mapped(
        self, compute: Compute, n_columns: int, weights: Weights = None
    ) -> DaskRows:
        """Rows of ``compute(rows)``, block by block where they lie."""
        blocks = self.blocks.with_rows(compute)
        return DaskRows(blocks, self._position, n_columns, self.dtype)

    def reduced(
        self, compute: Callable[[LocalRows, Any], Result], weights: Weights = None
    ) -> list[Result]:
        """``compute(rows, weights)`` of each block, which has its weights."""
        run, blocks = self.blocks.run, self.blocks.tasks
        sent = [run.send(compute)] * len(blocks)
        tasks = run.map(partial(_reduced, self._position), sent, blocks)
        return run.gather(tasks, needs=blocks)

    def joined(self, other: Rows) -> DaskRows:
        """The rows of ``other`` after these."""
        assert isinstance(other, DaskRows), "both are read alike"
        blocks = self.blocks.joined(other.blocks)
        return DaskRows(blocks, self._position, self.shape[1], self.dtype)

    def sample(self, size: int, weights: Any = None, targets: Any = None) -> Data:
        """About ``size`` rows, fetched; blocks have their weights and targets."""
        blocks = self.blocks
        there = here_and_there(self.shape[0], size)
        cuts = np.searchsorted(there, blocks.starts)
        parts = np.split(there, cuts[1:])
        index = [part - start for part, start in zip(parts, blocks.starts, strict=True)]
        picked = blocks.run.gather(
            blocks.run.map(_picked, index, blocks.tasks), needs=blocks.tasks
        )
        X, weights, targets = (
            # Of rows that were joined some have targets and others none.
            None if any(a is None for a in arrays) else np.concatenate(arrays)
            for arrays in zip(*picked, strict=True)
        )
        assert X is not None, "only weights and targets may be absent"
        return Data(
            DenseRows(X), weights, None if targets is None else DenseRows(targets)
        )
