"""Mini-batches of rows, drawn at random: what Adam evaluates an objective on.

A batch is one block. It is too small to be shared out row by row (each thread's
gradient would be as large as the batch's work), so here BLAS may use its threads
inside each matrix product.

The inputs of a layer are centred here: the encoder sees x − m, and its biases are
those of centred rows. For a whole fit ``Coordinates`` does the same to the
parameters, which is cheaper there and dearer here.
"""

import numpy as np
from scipy.sparse import issparse

from skae.core.blocks import Block
from skae.core.sparse_rows import SparseRows

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
    objective : AutoencoderObjective or NetworkObjective
        What to evaluate.
    batch_size : int
        Rows of the largest batch.
    centers : list of ndarray
        m of the inputs of each centred layer, in the objective's dtype.

    Attributes
    ----------
    draw : int
        Batches so far. Each meets noise of its own.
    mean_code : ndarray of shape (n_components,) or None
        The running mean.

    References
    ----------
    .. [1] G. Hinton, A practical guide to training restricted Boltzmann machines,
       UTML TR 2010-003, section 11: a decaying average of the mean activity.
    """

    def __init__(self, objective, batch_size, centers):
        self.objective = objective
        self.centers = centers
        self.draw = 0
        self.mean_code = None
        self._workspace = objective.workspace(batch_size)
        self._batch_size, self._rows = batch_size, None

    def __call__(self, theta, data, index, weight_sum):
        """Loss, gradient and terms of a batch; see ``finish``.

        Parameters
        ----------
        theta : ndarray
            Parameters of centred rows.
        data : Data
            All rows.
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
            self._update_mean_code(sums, block)
            objective.set_statistics(parameters, self.mean_code)
        total = objective.block(parameters, block, H, self._workspace)
        self.draw += 1
        return objective.finish(parameters, total, weight_sum, self.mean_code)

    def _block(self, data, index):
        weights = None if data.weights is None else data.weights[index]
        targets = None if data.targets is None else data.targets[index]
        return Block(self._take(data.X, index), weights, 0, targets)

    def _take(self, X, index):
        if issparse(X):
            return SparseRows(X[index])
        if self._rows is None:
            self._rows = np.empty((self._batch_size, X.shape[1]), X.dtype)
        # mode="clip" writes to out directly; the indices are always valid.
        rows = self._rows[: len(index)]
        return np.take(X, index, axis=0, out=rows, mode="clip")

    def _update_mean_code(self, sums, block):
        weights = block.weights
        mean = sums / (len(block.X) if weights is None else weights.sum())
        if self.mean_code is None:
            self.mean_code = mean
        else:
            self.mean_code = _DECAY * self.mean_code + (1 - _DECAY) * mean


def shuffled_batches(n_rows, batch_size, random_state, shuffle=True):
    """Index arrays of an epoch's batches, whose sizes differ by one at most."""
    order = random_state.permutation(n_rows) if shuffle else np.arange(n_rows)
    return np.array_split(order, -(-n_rows // batch_size))
