"""The engine of threads: evaluates an objective on blocks of rows of this process.

Sums of blocks are added in the order of the blocks: a thread that has finished a block
waits for its turn. The blocks depend only on shapes, not on the machine. The same data
therefore give the same bits on one core and on sixty-four.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Any, Self, TypeVar

import numpy as np

from skae.core.arrays import to_host
from skae.core.blocks import Block, Sums, Workspace
from skae.core.protocols import Objective, Parameters
from skae.engines.blas import single_threaded_blas, uninterrupted
from skae.rows.data import Data
from skae.rows.source import source

Computed = TypeVar("Computed")

# Below this many multiplications an evaluation is done before a second thread
# has woken up (64-25: 0.55 ms alone, 0.61 ms in two threads at 1797 rows;
# 3.2 ms against 2.4 ms at 10,000).
MULTIPLICATIONS_WORTH_THREADS = 5e7


class ThreadEngine:
    """Evaluates an objective over all rows; a context manager.

    Parameters
    ----------
    objective : Objective
        What to evaluate.
    X : LocalRows, ndarray or CSR matrix of shape (n_samples, n_features)
        C-contiguous rows in the objective's dtype; only ever read. Sparse rows are
        for an objective that takes such.
    sample_weight : ndarray of shape (n_samples,), optional
        In the objective's dtype. Rows of weight zero are left out.
    targets : LocalRows or ndarray of shape (n_samples, n_outputs), optional
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
        a sixth matrix product. By default a fifth of X, within ``X.code_memory``.

    Attributes
    ----------
    draw : int or None
        Of the noise, if the objective has any; None is none.
    """

    _pool: ThreadPoolExecutor | None  # from enter to exit, as the two below
    _total: np.ndarray
    _stack: ExitStack

    def __init__(
        self,
        objective: Objective[Any],
        X: Any,
        sample_weight: np.ndarray | None = None,
        *,
        targets: Any = None,
        rows: int | None = None,
        n_threads: int | None = None,
        code_memory: int | None = None,
    ) -> None:
        self.objective = objective
        self.draw: int | None = 0
        self._workspaces: list[Workspace] = []
        y = None if targets is None else source(targets)
        X = source(X)
        self._like = X.like
        self._blocks = X.in_blocks(objective, sample_weight, y, rows)
        self._weight_sum = self._blocks.weight_sum
        self._n_threads = n_threads
        self._codes: list[np.ndarray | None] = [None] * len(self._blocks)
        if objective.gathers:
            if code_memory is None:
                code_memory = int(np.clip(self._blocks.nbytes // 5, *X.code_memory))
            self._make_room(code_memory)

    @classmethod
    def of(cls, objective: Objective[Any], data: Data, **options: Any) -> Self:
        """The engine for ``Data``."""
        return cls(objective, data.X, data.weights, targets=data.targets, **options)

    def _make_room(self, memory: int) -> None:
        """For what blocks keep from one pass to the next, as far as memory goes."""
        for index in range(len(self._blocks)):
            shape = self.objective.kept_shape(self._blocks.length(index))
            memory -= int(np.prod(shape)) * self.objective.dtype.itemsize
            if memory < 0:
                break
            self._codes[index] = np.empty(shape, self.objective.dtype, like=self._like)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._prepare(stack.enter_context(single_threaded_blas()), stack)
            self._stack = stack.pop_all()
        return self

    def _prepare(self, share: int, stack: ExitStack) -> None:
        """Buffers and threads; what is to be undone at the end goes on the stack."""
        if self._n_threads is not None:
            share = self._n_threads
        elif self._blocks.multiplications < MULTIPLICATIONS_WORTH_THREADS:
            share = 1
        n_threads = min(share, len(self._blocks))
        if len(self._workspaces) != n_threads:
            workspace, rows = self.objective.workspace, self._blocks.length(0)
            self._workspaces = [workspace(rows) for _ in range(n_threads)]
        self._total = np.empty(
            self.objective.layout.size, self.objective.dtype, like=self._like
        )
        self._pool = None
        if n_threads > 1:
            self._pool = ThreadPoolExecutor(n_threads - 1, "skae-block")
            stack.callback(self._pool.shutdown)

    def __exit__(self, *exception: Any) -> None:
        self._stack.close()

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray, dict[str, float]]:
        """Loss, gradient and terms at ``theta``; see ``finish`` of the objective.

        The gradient is a buffer that the next call overwrites.
        """
        objective = self.objective
        parameters = objective.parameters(theta)
        parameters.draw = self.draw
        objective.prepare(parameters)
        mean = None
        if objective.gathers:
            mean = self._statistics(parameters)
            objective.set_statistics(parameters, mean)
        total = Sums({}, self._total)
        total.gradient.fill(0)

        def compute(index: int, block: Block, workspace: Workspace) -> Sums:
            return objective.block(parameters, block, self._codes[index], workspace)

        def add(sums: Sums) -> None:
            nonlocal total
            total += sums

        self._each_block(compute, add)
        return objective.finish(parameters, total, self._weight_sum, mean)

    def data_loss(self, theta: np.ndarray) -> float:
        """Mean loss of the rows at ``theta``: no penalties, and no gradient."""
        parameters = self.objective.parameters(theta)
        parameters.draw = self.draw
        self.objective.prepare(parameters)
        total = 0.0

        def compute(index: int, block: Block, workspace: Workspace) -> float:
            return self.objective.data_loss(parameters, block, workspace)

        def add(loss: float) -> None:
            nonlocal total
            total += loss

        self._each_block(compute, add)
        return float(total) / self._weight_sum

    def statistics(self, theta: np.ndarray) -> np.ndarray:
        """Means over all rows, uncorrupted, (n_statistics,) in float64."""
        parameters = self.objective.parameters(theta)
        self.objective.prepare(parameters)
        return to_host(self._statistics(parameters))

    def _statistics(self, parameters: Parameters) -> np.ndarray:
        total = np.zeros(self.objective.n_statistics, like=self._like)

        def compute(index: int, block: Block, workspace: Workspace) -> np.ndarray:
            H = self._codes[index]
            if H is None:
                H = workspace["kept", len(block.X)]
            return self.objective.statistics(parameters, block, H, workspace)

        def add(sums: np.ndarray) -> None:
            np.add(total, sums, out=total)

        self._each_block(compute, add)
        return total / self._weight_sum

    def _each_block(
        self,
        compute: Callable[[int, Block, Workspace], Computed],
        add: Callable[[Computed], None],
    ) -> None:
        """``add(compute(index, block, workspace))`` for every one, in block order."""

        def compute_block(index: int, workspace: Workspace) -> Computed:
            block = self._blocks.take(index, workspace)
            result = compute(index, block, workspace)
            self._blocks.release(index)
            return result

        if self._pool is None:
            for index in range(len(self._blocks)):
                add(compute_block(index, self._workspaces[0]))
        else:
            self._in_threads(self._pool, compute_block, add)

    def _in_threads(
        self,
        pool: ThreadPoolExecutor,
        compute_block: Callable[[int, Workspace], Computed],
        add: Callable[[Computed], None],
    ) -> None:
        """Each thread, this one too, takes blocks until there are no more."""
        queue = _OrderedQueue(len(self._blocks))

        # Solvers try steps that are too long; threads inherit no errstate.
        @np.errstate(**np.geterr())
        def work(workspace: Workspace) -> None:
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
                others.append(pool.submit(work, workspace))
            work(self._workspaces[0])
        except BaseException:
            queue.stop()
            raise
        finally:
            # Also after Ctrl-C twice: nobody may still be writing to our buffers.
            uninterrupted(lambda: wait(others))
        for other in others:
            other.result()


class _OrderedQueue:
    """Hands out indices in order and lets their holders take turns in order."""

    def __init__(self, n: int) -> None:
        self._n, self._next, self._turn = n, 0, 0
        self._stopped = False
        self._condition = threading.Condition()

    def take(self) -> int | None:
        """Return the next index, or None when there is no more to do."""
        with self._condition:
            if self._stopped or self._next == self._n:
                return None
            self._next += 1
            return self._next - 1

    def wait_for_turn(self, index: int) -> bool:
        """Block until it is this index's turn; False if everything stopped."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopped or self._turn == index)
            return not self._stopped

    def end_turn(self) -> None:
        """Pass the turn to the next index."""
        with self._condition:
            self._turn += 1
            self._condition.notify_all()

    def stop(self) -> None:
        """Release everyone who waits: an exception is on its way."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
