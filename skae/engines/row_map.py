"""Maps a function over blocks of rows in threads, for ``transform`` and scores.

The blocks are independent of each other, and results are returned in their order.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np

from skae.core.layers import Layers
from skae.engines.blas import single_threaded_blas
from skae.engines.threads import MULTIPLICATIONS_WORTH_THREADS
from skae.rows.data import LocalRows, Rows
from skae.rows.lengths import even_length
from skae.rows.protocols import Cost, Weights, Write
from skae.rows.source import source

Computed = TypeVar("Computed")

# Numbers of one (rows x n_components) array: a dozen of them should fit a cache.
_BLOCK_NUMBERS = 2**16
# Of products as small as this no BLAS gives a part to another thread. A row through
# 64-25 takes 30 us then, and 60 with the limit on BLAS set and lifted.
_MULTIPLICATIONS_WORTH_A_LIMIT = 2**13


def row_blocks(n_samples: int, n_components: int) -> list[slice]:
    """Slices of equal length; a function of the shapes alone.

    Where there are several they are even in number, which keeps two threads
    equally busy.
    """
    most = int(np.clip(_BLOCK_NUMBERS // n_components, 128, 2048))
    rows = even_length(n_samples, most)
    return [slice(start, start + rows) for start in range(0, n_samples, rows)]


class RowEngine:
    """Maps a function over blocks of rows; a context manager.

    Blocks run in threads with BLAS at one thread each. Results come in the order
    of the blocks, so that sums of them have the same bits on any number of cores.

    Parameters
    ----------
    most_threads : int, optional
        By default as many as BLAS is allowed.
    """

    def __init__(self, most_threads: int | None = None) -> None:
        self._most_threads = most_threads

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            share = stack.enter_context(single_threaded_blas())
            share = min(share, self._most_threads or share)
            self._pool = ThreadPoolExecutor(share, "skae-rows") if share > 1 else None
            if self._pool is not None:
                # After Ctrl-C nobody may go on working when we have returned. Who
                # does not want to wait for their blocks may press it again.
                stack.callback(self._pool.shutdown, cancel_futures=True)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.close()

    def map(
        self, compute: Callable[[slice], Computed], blocks: Sequence[slice]
    ) -> Iterator[Computed]:
        """Yield ``compute(block)`` of every block, in order."""
        if self._pool is None or len(blocks) == 1:
            return map(compute, blocks)
        # Threads inherit no errstate.
        return self._pool.map(np.errstate(**np.geterr())(compute), blocks)


def fill(out: np.ndarray, write: Write, rows: Any, cost: Cost) -> np.ndarray:
    """Let ``write(rows[b], out[b])`` fill every block b of ``out``.

    Parameters
    ----------
    out : ndarray of shape (n_samples, ...)
        Written once, block by block.
    write : callable
        It runs in several threads at a time.
    rows : LocalRows, ndarray or CSR matrix of shape (n_samples, ...)
        Only ever read.
    cost : Cost
        What a row costs; ``Layers`` and objectives know theirs.

    Returns
    -------
    out : ndarray
        The same array, with the same bits on any number of cores.
    """
    rows = source(rows)
    n_samples = len(out)
    multiplications = n_samples * cost.multiplications_per_row
    if multiplications < _MULTIPLICATIONS_WORTH_A_LIMIT:
        write(rows[:], out)
        return out

    release = rows.release()

    def write_block(b: slice) -> None:
        part = rows[b]
        write(part, out[b])
        release(part)

    length = rows.rows_of_block(n_samples, cost.numbers_per_row)
    blocks = [slice(start, start + length) for start in range(0, n_samples, length)]
    few = multiplications < MULTIPLICATIONS_WORTH_THREADS
    alone = few or not rows.in_threads
    with RowEngine(1 if alone else None) as engine:
        for _ in engine.map(write_block, blocks):
            pass
    return out


def apply_layers(layers: Layers, rows: Rows, weights: Weights = None) -> Rows:
    """Outputs of ``Layers``, (n_samples, n_outputs), as rows that lie where these do.

    Of rows of weight zero, zeros.
    """
    return rows.mapped(partial(_outputs, layers), layers.n_outputs, weights)


def _outputs(layers: Layers, rows: LocalRows) -> np.ndarray:
    shape = len(rows), layers.n_outputs
    out = np.empty(shape, layers.dtype, like=rows.like)
    of_slices = rows.layers(layers)
    return fill(out, of_slices, rows, of_slices)
