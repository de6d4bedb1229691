"""Memory maps larger than memory: pages that have been used are given back.

A map's pages count as the process's own from the first time they are read. The
kernel takes them back when memory runs short, but until then a pass over a file of
20 GB looks like 20 GB of resident memory, and limits on a job's memory count it. So
whoever is done with a block of rows says so to a ``Release``, which drops the
block's pages from the process. They stay in the kernel's cache of the file, so
reading them again is no more than a page fault.

Only pages that are the file's may be dropped. Of a private map (mode "c") those
that were written to exist nowhere else: it is left to the kernel as it is.
"""

import mmap

import numpy as np

# Smaller maps are left mapped: they are no more than an array of their size would be,
# and every pass over them is spared its page faults.
LARGE = 2**28
# A page fault maps the pages around it, too; 64 KB on Linux.
_AROUND = 2**16
# Of rows read here and there, this much is mapped before all is given back.
_GATHERED = 2**26


def is_large_map(X):
    """Whether X lies in a memory map, of whatever mode, and is large."""
    return isinstance(X, np.ndarray) and X.nbytes >= LARGE and _map_of(X) is not None


def _map_of(X):
    """The ``numpy.memmap`` in which X lies, or None."""
    while isinstance(X, np.ndarray):
        # An array computed from a map is of the same class, but its memory is not.
        if isinstance(X, np.memmap) and isinstance(X.base, mmap.mmap):
            return X
        X = X.base
    return None


class Release:
    """Gives back the memory of rows of X; does nothing unless X is a large map.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Data in the main memory or in a map.
    """

    def __init__(self, X):
        self._memory = None
        self._X, self._gathered = X, 0
        if not is_large_map(X):
            return
        self._of_row = max(_AROUND, X.nbytes // len(X))
        owner = _map_of(X)
        memory = owner.base
        if owner.mode != "c" and hasattr(memory, "madvise"):
            self._memory = memory
            at = np.frombuffer(memory, np.uint8)
            self._first = at.__array_interface__["data"][0]

    def __call__(self, rows):
        """Give back ``rows``, a slice of X.

        Rows on the same pages that are still in use are read from the file again.
        """
        if self._memory is None:
            return
        low, high = np.lib.array_utils.byte_bounds(rows)
        start = max(0, (low - self._first) // _AROUND * _AROUND)
        stop = high - self._first + _AROUND
        self._memory.madvise(mmap.MADV_DONTNEED, start, stop - start)

    def after_gathering(self, n_rows):
        """Note that so many rows here and there were read; give all back at times."""
        if self._memory is None:
            return
        self._gathered += n_rows * self._of_row
        if self._gathered >= _GATHERED:
            self(self._X)
            self._gathered = 0


def blocks_of(X, numbers=2**18):
    """Yield slices of X's rows, each of about so many numbers, to be read once."""
    release = Release(X)
    step = max(1, numbers // X.shape[1])
    for start in range(0, X.shape[0], step):
        rows = slice(start, start + step)
        yield rows
        release(X[rows])
