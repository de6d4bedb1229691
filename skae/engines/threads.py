"""Blocks of rows on this machine: in order, in as many threads as BLAS may use.

Reductions happen in block order whatever the number of threads: a thread that
has finished a block waits for its turn before adding. The cut into blocks
depends on nothing but shapes. So the same data give the same bits on one core
and on sixty-four.
"""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack

import numpy as np
from scipy.sparse import issparse

from skae.core.blocks import Sums
from skae.engines.blas import single_threaded_blas
from skae.rows.dense import RowsInBlocks
from skae.rows.sparse import (
    SparseRowsInBlocks,
    sparse_block_rows,
    sparse_multiplications,
    stored_bytes,
    without_zero_weights,
)

# A block's share of cache: rows x (n_features + n_components) numbers. Between
# 2**18 and 2**20 the time per evaluation at 784-196 differs by 3 %.
_BLOCK_NUMBERS = 2**19
# Products of fewer rows are slower: at 400-3200 an evaluation in blocks of 128 rows
# took 1.18 times that in blocks of 512, in blocks of 256 1.06 times. So wide rows may
# take four times that share of the cache for it.
_ENOUGH_ROWS = 512
# Below this many multiplications an evaluation is done before a second thread
# has woken up (64-25: 0.55 ms alone, 0.61 ms in two threads at 1797 rows;
# 3.2 ms against 2.4 ms at 10,000).
MULTIPLICATIONS_WORTH_THREADS = 5e7
# Bytes in which codes may be kept by default: at least, and at most.
_CODE_MEMORY = 2**24, 2**30


def block_rows(n_samples, numbers_per_row):
    """Rows of a block: a function of the shapes alone.

    Blocks are of equal size and, where there are few, even in number, which
    keeps two threads equally busy.
    """
    most = int(np.clip(_BLOCK_NUMBERS // numbers_per_row, 128, 4096))
    most = max(most, min(_ENOUGH_ROWS, 4 * _BLOCK_NUMBERS // numbers_per_row))
    return _even(n_samples, most)


def _even(n_samples, most):
    n_blocks = -(-n_samples // most)
    if n_blocks > 1:
        n_blocks += n_blocks % 2
    return -(-n_samples // n_blocks)


class ThreadEngine:
    """Evaluates an objective over all rows; a context manager.

    Parameters
    ----------
    objective : AutoencoderObjective or NetworkObjective
        What to evaluate; see ``skae.core.blocks`` for what it is asked.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        C-contiguous rows in the objective's dtype; only ever read. Sparse rows are
        for an objective that takes such.
    sample_weight : ndarray of shape (n_samples,), optional
        In the objective's dtype. Rows of weight zero are left out.
    targets : ndarray of shape (n_samples, n_outputs), optional
        What a network's outputs are compared with, in the objective's dtype; by
        default X itself.
    rows : int, optional
        Rows of a block; by default ``block_rows``.
    n_threads : int, optional
        By default the threads that BLAS is allowed, or one where the work is
        too small to share.
    code_memory : int, optional
        Bytes in which codes may be kept between the two passes of a penalty on
        the mean code. The blocks that do not fit are encoded twice: same bits,
        a sixth matrix product. By default a fifth of X, within 16 MB and 1 GB.
    """

    def __init__(
        self,
        objective,
        X,
        sample_weight=None,
        *,
        targets=None,
        rows=None,
        n_threads=None,
        code_memory=None,
    ):
        self.objective = objective
        self.draw = 0  # of the noise, if the objective has any
        self._workspaces = []
        if issparse(X):
            # All that follows is to be as if the other rows had never been there.
            X, sample_weight, targets = without_zero_weights(X, sample_weight, targets)

        def rows_of(n_samples):
            if issparse(X) and objective.by_column:
                return rows or _even(n_samples, sparse_block_rows(X, objective))
            return rows or block_rows(n_samples, objective.numbers_per_row)

        data = X, sample_weight, targets, rows_of
        if issparse(X):
            self._blocks = SparseRowsInBlocks(*data, objective.by_column)
        else:
            self._blocks = RowsInBlocks(*data)
        self._weight_sum = self._blocks.weight_sum
        self._n_threads = n_threads
        n_samples = self._blocks.n_samples
        self._multiplications = n_samples * objective.multiplications_per_row
        if issparse(X) and objective.by_column:
            self._multiplications = sparse_multiplications(X, objective)
        self._codes = [None] * len(self._blocks)
        if objective.gathers:
            if code_memory is None:
                of_rows = stored_bytes(X) * n_samples // X.shape[0]
                code_memory = int(np.clip(of_rows // 5, *_CODE_MEMORY))
            self._keep_codes(code_memory)

    def _keep_codes(self, memory):
        for index in range(len(self._blocks)):
            shape = self.objective.kept_shape(self._blocks.length(index))
            memory -= int(np.prod(shape)) * self.objective.dtype.itemsize
            if memory < 0:
                break
            self._codes[index] = np.empty(shape, self.objective.dtype)

    def __enter__(self):
        with ExitStack() as stack:
            self._prepare(stack.enter_context(single_threaded_blas()), stack)
            self._stack = stack.pop_all()
        return self

    def _prepare(self, share, stack):
        """Buffers and threads; what is to be undone at the end goes on the stack."""
        if self._n_threads is not None:
            share = self._n_threads
        elif self._multiplications < MULTIPLICATIONS_WORTH_THREADS:
            share = 1
        n_threads = min(share, len(self._blocks))
        if len(self._workspaces) != n_threads:
            workspace, rows = self.objective.workspace, self._blocks.length(0)
            self._workspaces = [workspace(rows) for _ in range(n_threads)]
        self._total = np.empty(self.objective.layout.size, self.objective.dtype)
        self._pool = None
        if n_threads > 1:
            self._pool = ThreadPoolExecutor(n_threads - 1, "skae-block")
            stack.callback(self._pool.shutdown)

    def __exit__(self, *exception):
        self._stack.close()

    def __call__(self, theta):
        """Loss, gradient and terms at ``theta``; see ``finish``.

        The gradient is a buffer that the next call overwrites.
        """
        objective = self.objective
        parameters = objective.parameters(theta)
        parameters.draw = self.draw
        objective.prepare(parameters)
        mean = None
        if objective.gathers:
            mean = self._mean_code(parameters)
            objective.set_statistics(parameters, mean)
        total = Sums({}, self._total)
        total.gradient.fill(0)

        def compute(index, block, workspace):
            return objective.block(parameters, block, self._codes[index], workspace)

        def add(sums):
            nonlocal total
            total += sums

        self._each_block(compute, add)
        return objective.finish(parameters, total, self._weight_sum, mean)

    def data_loss(self, theta):
        """Mean loss of the rows at ``theta``: no penalties, and no gradient."""
        parameters = self.objective.parameters(theta)
        parameters.draw = self.draw
        self.objective.prepare(parameters)
        total = 0.0

        def compute(index, block, workspace):
            return self.objective.data_loss(parameters, block, workspace)

        def add(loss):
            nonlocal total
            total += loss

        self._each_block(compute, add)
        return total / self._weight_sum

    def mean_code(self, theta):
        """Mean code of all rows, uncorrupted, (n_components,) in float64."""
        parameters = self.objective.parameters(theta)
        self.objective.prepare(parameters)
        return self._mean_code(parameters)

    def _mean_code(self, parameters):
        total = np.zeros(self.objective.n_statistics)

        def compute(index, block, workspace):
            H = self._codes[index]
            if H is None:
                H = workspace["kept", len(block.X)]
            return self.objective.statistics(parameters, block, H, workspace)

        def add(sums):
            np.add(total, sums, out=total)

        self._each_block(compute, add)
        return total / self._weight_sum

    def _each_block(self, compute, add):
        """``add(compute(index, block, workspace))`` for every one, in block order."""

        def compute_block(index, workspace):
            block = self._blocks.take(index, workspace)
            result = compute(index, block, workspace)
            self._blocks.release(index)
            return result

        if self._pool is None:
            for index in range(len(self._blocks)):
                add(compute_block(index, self._workspaces[0]))
            return
        queue = _OrderedQueue(len(self._blocks))

        # Solvers try steps that are too long; threads inherit no errstate.
        @np.errstate(**np.geterr())
        def work(workspace):
            try:
                while (index := queue.take()) is not None:
                    result = compute_block(index, workspace)
                    if queue.wait_for_turn(index):
                        add(result)
                        queue.end_turn()
            except BaseException:
                queue.stop()
                raise

        others = []
        try:
            for workspace in self._workspaces[1:]:
                others.append(self._pool.submit(work, workspace))
            work(self._workspaces[0])
        except BaseException:
            queue.stop()
            raise
        finally:
            # Also after Ctrl-C: nobody may still be writing to our buffers.
            wait(others)
        for other in others:
            other.result()


class _OrderedQueue:
    """Hands out indices in order and lets their holders take turns in order."""

    def __init__(self, n):
        self._n, self._next, self._turn = n, 0, 0
        self._stopped = False
        self._condition = threading.Condition()

    def take(self):
        """Return the next index, or None when there is no more to do."""
        with self._condition:
            if self._stopped or self._next == self._n:
                return None
            self._next += 1
            return self._next - 1

    def wait_for_turn(self, index):
        """Block until it is this index's turn; False if everything stopped."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopped or self._turn == index)
            return not self._stopped

    def end_turn(self):
        """Pass the turn to the next index."""
        with self._condition:
            self._turn += 1
            self._condition.notify_all()

    def stop(self):
        """Release everyone who waits: an exception is on its way."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
