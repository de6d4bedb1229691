"""The engine of mini-batches: evaluates an objective on random batches for Adam.

A batch is evaluated as one block in one thread. Splitting it between threads is not
worth it: each thread would need a gradient of its own, whose size is comparable to the
work. BLAS must not split its products either, because the bits would then depend on the
number of threads, and batches would wait for threads on a busy machine. Fits therefore
limit BLAS to one thread.

The inputs of a layer are centred here: the encoder gets x − m. For solvers that use all
rows, ``Coordinates`` changes the parameters instead, which is cheaper there but more
expensive for batches.
"""

from typing import Any

import numpy as np

from skae.core.arrays import beside, number
from skae.core.blocks import Block
from skae.core.protocols import Objective
from skae.rows.data import Data

# Of the running mean of the codes: it remembers about ten batches.
_DECAY = 0.9


class BatchEngine:
    """Evaluates an objective on batches; keeps what passes from one to the next.

    A penalty on the mean code needs the mean over all rows, of which a batch knows
    a part only. Its place is taken by a running mean of the batches' mean codes
    [1]_, at which the penalty's value and slope are taken: with θ moving slowly, the
    gradient is that of the whole objective in expectation.

    Parameters
    ----------
    objective : Objective
        What to evaluate.
    batch_size : int
        Rows of the largest batch.
    centers : list of ndarray
        m of the inputs of each centred layer, in the objective's dtype.

    Attributes
    ----------
    draw : int
        Batches so far. Each meets noise of its own.
    mean_statistics : ndarray of shape (n_statistics,) or None
        The running mean, in float64; None before the first batch.

    References
    ----------
    .. [1] G. Hinton, A practical guide to training restricted Boltzmann machines,
       UTML TR 2010-003, section 11: a decaying average of the mean activity.
    """

    def __init__(
        self, objective: Objective[Any], batch_size: int, centers: list[np.ndarray]
    ) -> None:
        self.objective = objective
        self.centers = centers
        self.draw = 0
        self.mean_statistics: np.ndarray | None = None
        self._workspace = objective.workspace(batch_size)
        self._batch_size = batch_size
        self._data: Data | None = None  # whose rows are handed out

    def __call__(
        self, theta: np.ndarray, data: Data, index: np.ndarray, weight_sum: float
    ) -> tuple[float, np.ndarray, dict[str, float]]:
        """Loss, gradient and terms of a batch; see ``finish`` of the objective.

        Parameters
        ----------
        theta : ndarray of shape (size,)
            Parameters of centred rows.
        data : Data
            All rows, in this process.
        index : ndarray of int of shape (rows,)
            The rows of the batch.
        weight_sum : float
            What to divide sums by: the rows' expected weight, which keeps the
            gradient unbiased where their weights differ.
        """
        objective = self.objective
        block = self._block(data, index)
        parameters = objective.parameters(theta)
        parameters.draw, parameters.centers = self.draw, self.centers
        objective.prepare(parameters)
        H = None
        if objective.gathers:
            H = self._workspace["kept", len(index)]
            sums = objective.statistics(parameters, block, H, self._workspace)
            self.mean_statistics = self._updated_mean(sums, block)
            objective.set_statistics(parameters, self.mean_statistics)
        total = objective.block(parameters, block, H, self._workspace)
        self.draw += 1
        return objective.finish(parameters, total, weight_sum, self.mean_statistics)

    def _block(self, data: Data, index: np.ndarray) -> Block:
        if data is not self._data:
            self._data = data
            self._rows = data.local_rows.batches(self._batch_size)
        weights = None
        if data.weights is not None:
            weights = beside(data.weights[index], data.local_rows.like)
        targets = None
        if data.targets is not None:
            targets = data.targets.given[beside(index, data.local_rows.like)]
        return Block(self._rows(index), weights, 0, targets)

    def _updated_mean(self, sums: np.ndarray, block: Block) -> np.ndarray:
        weights = block.weights
        mean = sums / (len(block.X) if weights is None else number(weights.sum()))
        if self.mean_statistics is None:
            return mean
        return _DECAY * self.mean_statistics + (1 - _DECAY) * mean


def shuffled_batches(
    n_rows: int,
    batch_size: int,
    random_state: np.random.RandomState,
    shuffle: bool = True,
) -> list[np.ndarray]:
    """Index arrays of an epoch's batches, whose sizes differ by one at most."""
    order = random_state.permutation(n_rows) if shuffle else np.arange(n_rows)
    return np.array_split(order, -(-n_rows // batch_size))
