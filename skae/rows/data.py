"""The interface of rows, and rows together with their weights and targets.

Training, mapping and scoring use only the methods of ``Rows``, and do not ask whether
rows are arrays (``DenseRows``, also for memory maps), sparse matrices (``CsrRows``), or
blocks of dask (``DaskRows``). A new kind of rows is a class with these methods, and a
line in ``skae.rows.source`` or ``skae.rows.reading``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np

from skae.core.arrays import HOST
from skae.core.autoencoder import AutoencoderObjective
from skae.core.corruptions import Noise
from skae.core.layers import Layers
from skae.core.network import NetworkObjective
from skae.core.protocols import Objective
from skae.rows.deviations import Deviations
from skae.rows.lengths import block_rows
from skae.rows.memory_map import Release
from skae.rows.moments import Moments
from skae.rows.protocols import BlockSequence, Compute, Cost, RowMap, Weights, Write
from skae.rows.samples import here_and_there

Result = TypeVar("Result")


class Rows(ABC):
    """All rows of one array, wherever they lie.

    Attributes
    ----------
    shape : tuple of int
        (n_samples, n_features).
    dtype : dtype
        float32 or float64.
    engine : str
        Name in ``skae.engines.choice.ENGINES`` of who evaluates objectives on them.
    local : bool
        Whether they lie in this process, so that some can be picked.
    like : array
        Lies where arrays beside the rows are to lie: on the host, or on a device.
    in_threads : bool
        Whether several threads on this machine are of use.
    code_memory : tuple of int
        Bytes in which codes of the rows may be kept: at least, and at most.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    engine = "threads"
    local = True
    like: Any = HOST
    in_threads = True
    code_memory = 2**24, 2**30

    def __len__(self) -> int:
        return self.shape[0]

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes that they take where they lie."""

    @property
    @abstractmethod
    def given(self) -> Any:
        """What ``fit`` of an estimator takes for these rows."""

    @abstractmethod
    def moments(self, weights: Weights = None) -> Moments:
        """Weighted column means and variance, in float64."""

    @abstractmethod
    def ranges(self, weights: Weights = None) -> np.ndarray:
        """Least and greatest of each column, (2, n_features), of rows that count."""

    @abstractmethod
    def autoencoder(self, *args: Any, **kwargs: Any) -> AutoencoderObjective:
        """The objective for such rows, from arguments of ``AutoencoderObjective``."""

    @abstractmethod
    def network(
        self, *args: Any, reconstructs: bool, **kwargs: Any
    ) -> NetworkObjective:
        """The objective for such rows, from arguments of ``NetworkObjective``.

        ``reconstructs`` says whether the rows are their own targets.
        """

    @abstractmethod
    def mapped(self, compute: Compute, n_columns: int, weights: Weights = None) -> Rows:
        """Rows of ``compute(rows)``, an array with that many columns.

        Of rows of weight zero, which may hold anything, zeros.
        """

    @abstractmethod
    def reduced(
        self, compute: Callable[[LocalRows, Any], Result], weights: Weights = None
    ) -> list[Result]:
        """``compute(rows, weights)`` of each part of the rows, where that lies."""

    @abstractmethod
    def joined(self, other: Rows) -> Rows:
        """The rows of ``other``, which lie where these do, after these."""

    @abstractmethod
    def sample(self, size: int, weights: Any = None, targets: Any = None) -> Data:
        """About ``size`` rows that count, here and there, in this process."""

    def filled_by(self, mean: np.ndarray) -> Self:
        """The same rows, which know what to put in place of missing entries.

        ``mean`` has shape (n_features,).
        """
        return self


class LocalRows(Rows):
    """Rows in this process: parts of them can be taken."""

    def reduced(
        self, compute: Callable[[LocalRows, Any], Result], weights: Weights = None
    ) -> list[Result]:
        """``compute(rows, weights)`` of all of them, the one part that there is."""
        return [compute(self, weights)]

    def sample(self, size: int, weights: Any = None, targets: Any = None) -> Data:
        """So many rows that count, all if they are fewer; see ``here_and_there``."""
        data = Data(self, weights, targets)
        index = data.counted  # others may hold anything
        index = index[here_and_there(len(index), size)]
        if len(index) < len(self):
            data = data.picked(index)
        if data.weights is not None and (data.weights == 1).all():
            return replace(data, weights=None)
        return data

    def on_host(self) -> LocalRows:
        """The rows in the host's memory: a copy of those on a device."""
        return self

    @property
    def stand_in(self) -> Any:
        """The rows, or an array of the host with as many rows of their dtype."""
        return self.given

    def rows_of_block(self, n_samples: int, numbers_per_row: int) -> int:
        """How many of so many rows a block has, each with so many numbers."""
        return block_rows(n_samples, numbers_per_row)

    def complete(self) -> LocalRows:
        """The rows without missing entries: a copy of those that have some."""
        return self

    def of_whole_rows(self, errors: np.ndarray) -> np.ndarray:
        """Sums over the observed entries of each row, as if of all of them."""
        return errors

    @abstractmethod
    def __getitem__(self, rows: slice) -> Any:
        """Consecutive rows, an array or a CSR matrix."""

    @abstractmethod
    def release(self) -> Release:
        """Gives back the memory of rows that have been read."""

    @abstractmethod
    def in_blocks(
        self,
        objective: Objective[Any],
        weights: np.ndarray | None,
        targets: LocalRows | None,
        rows: int | None = None,
    ) -> BlockSequence:
        """Blocks of ``rows`` rows for an engine, by default as many as suit it."""

    @abstractmethod
    def batches(self, n_rows: int) -> Callable[[np.ndarray], Any]:
        """What hands out up to so many rows, given their indices, as a block has them.

        Each batch may be where the last one was.
        """

    @abstractmethod
    def picked(self, index: np.ndarray) -> LocalRows:
        """A copy of some rows."""

    @abstractmethod
    def deviations(
        self, weights: np.ndarray | None, moments: Moments
    ) -> Deviations | None:
        """How these rows deviate from the mean of them; None if that tells too little.

        ``weights`` are above zero.
        """

    @abstractmethod
    def after(self, dense: LocalRows) -> LocalRows:
        """The rows of an array, and then these."""

    @abstractmethod
    def layers(self, layers: RowMap) -> RowMap:
        """What maps slices of these rows as ``layers``, which maps arrays, does."""

    @abstractmethod
    def errors(self, encode: RowMap, decode: Layers) -> tuple[Write, Cost]:
        """What writes ‖x̂_i − x_i‖² of a slice of rows, and what a row of it costs.

        Parameters
        ----------
        encode : RowMap
            From slices of these rows to codes.
        decode : Layers
            From codes to reconstructions.
        """

    @abstractmethod
    def corrupted(self, noise: Noise) -> Any:
        """A corrupted copy, sparse where the noise keeps zeros."""


@dataclass(frozen=True)
class Data:
    """All rows, their weights, and their targets unless the rows are that.

    Weights and targets lie where the rows lie.
    """

    X: Rows
    weights: Weights = None
    targets: Rows | None = None  # (n_samples, n_outputs)

    @property
    def n_rows(self) -> int:
        """How many rows there are: those of weight zero are as good as absent."""
        if self.weights is None or not self.X.local:
            return self.X.shape[0]
        return int(np.count_nonzero(self.weights))

    @property
    def local_rows(self) -> LocalRows:
        """X, for what is only done in the process in which it lies."""
        return _local(self.X)

    @property
    def moments(self) -> Moments:
        """Of the rows."""
        return self.X.moments(self.weights)

    @property
    def counted(self) -> np.ndarray:
        """Indices of the rows of a weight above zero."""
        if self.weights is None:
            return np.arange(len(self.X))
        return np.flatnonzero(self.weights)

    def filled_by(self, mean: np.ndarray) -> Data:
        """The same, with ``mean``, (n_features,), in place of missing entries."""
        return replace(self, X=self.X.filled_by(mean))

    def sample(self, size: int) -> Data:
        """About ``size`` of the rows that count, in this process; all if fewer."""
        return self.X.sample(size, self.weights, self.targets)

    def picked(self, index: np.ndarray) -> Data:
        """A copy of some rows of this process, their weights and their targets."""
        return Data(
            _local(self.X).picked(index),
            None if self.weights is None else self.weights[index],
            None if self.targets is None else _local(self.targets).picked(index),
        )

    def joined(self, more_rows: Rows) -> Data:
        """These and more rows without targets, which weigh one."""
        weights = self.weights
        if weights is not None and self.X.local:
            ones = np.ones(len(more_rows), weights.dtype)
            weights = np.concatenate([weights, ones])
        return Data(self.X.joined(more_rows), weights)


def _local(rows: Rows) -> LocalRows:
    assert isinstance(rows, LocalRows), "whoever needs them here has asked ``local``"
    return rows
