"""Independent blocks of rows on this machine, in as many threads as BLAS may use."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from skae.engines.blas import single_threaded_blas

# Numbers of one (rows x n_components) array: a dozen of them should fit a cache.
_BLOCK_NUMBERS = 2**16


def row_blocks(n_samples, n_components):
    """Slices of equal length; a function of the shapes alone.

    Where there are several they are even in number, which keeps two threads
    equally busy.
    """
    most = int(np.clip(_BLOCK_NUMBERS // n_components, 128, 2048))
    n_blocks = -(-n_samples // most)
    if n_blocks > 1:
        n_blocks += n_blocks % 2
    rows = -(-n_samples // n_blocks)
    return [slice(start, start + rows) for start in range(0, n_samples, rows)]


class RowEngine:
    """Maps a function over blocks of rows; a context manager.

    Blocks run in threads with BLAS at one thread each. Results come in the order
    of the blocks, so that sums of them have the same bits on any number of cores.
    """

    def __enter__(self):
        self._limit = single_threaded_blas()
        share = self._limit.__enter__()
        self._pool = ThreadPoolExecutor(share, "skae-rows") if share > 1 else None
        return self

    def __exit__(self, *exception):
        # After Ctrl-C too, nobody may go on working when we have returned.
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._limit.__exit__(*exception)

    def map(self, compute, blocks):
        """Yield ``compute(block)`` of every block, in order."""
        if self._pool is None or len(blocks) == 1:
            return map(compute, blocks)
        return self._pool.map(compute, blocks)
