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
from collections.abc import Iterator
from typing import Any

import numpy as np

from skae.core.arrays import on_device

# Smaller maps are left mapped: they are no more than an array of their size would be,
# and every pass over them is spared its page faults.
LARGE = 2**28
# A page fault maps the pages around it, too: 64 KB on Linux, or all of the large folio
# in which the kernel's cache has them, 2 MB at most.
_AROUND, _FOLIO = 2**16, 2**21
# Of rows read here and there, this much is mapped before all is given back.
_GATHERED = 2**26
# Numbers that are read at a time where all are read once: they stay in cache. A device
# has several kernels to start each time, which takes longer than so few numbers do.
_NUMBERS_AT_A_TIME = 2**18
_NUMBERS_ON_A_DEVICE = 2**23


def is_large_map(X: Any) -> bool:
    """Whether X lies in a memory map, of whatever mode, and is large."""
    return isinstance(X, np.ndarray) and X.nbytes >= LARGE and _map_of(X) is not None


def _map_of(X: Any) -> np.memmap | None:
    """The ``numpy.memmap`` in which X lies, or None."""
    while isinstance(X, np.ndarray):
        # An array computed from a map is of the same class, but its memory is not.
        if isinstance(X, np.memmap) and isinstance(X.base, mmap.mmap):
            return X
        X = X.base
    return None


def _mapped() -> int:
    """Bytes of files that are mapped and resident; 0 where nobody says."""
    try:
        with open("/proc/self/statm", "rb", 0) as counts:
            return int(counts.read().split()[2]) * mmap.PAGESIZE
    except (OSError, IndexError):
        return 0


class Release:
    """Gives back the memory of rows of X; does nothing unless X is a large map.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Data in the main memory or in a map.
    """

    def __init__(self, X: Any) -> None:
        self._memory: mmap.mmap | None = None
        self._X, self._gathered = X, 0
        owner = _map_of(X) if is_large_map(X) else None
        if owner is None:
            return
        self._of_row = max(_AROUND, X.nbytes // len(X))
        self._most = max(_FOLIO, self._of_row)
        self._at_a_time = max(1, _GATHERED // (2 * self._most))  # until that is known
        memory: Any = owner.base
        if owner.mode != "c" and hasattr(memory, "madvise"):
            self._memory = memory
            at = np.frombuffer(memory, np.uint8)
            self._first = at.__array_interface__["data"][0]

    def __call__(self, rows: np.ndarray) -> None:
        """Give back ``rows``, a slice of X.

        Rows on the same pages that are still in use are read from the file again.
        """
        if self._memory is None:
            return
        low, high = np.lib.array_utils.byte_bounds(rows)
        start = max(0, (low - self._first) // _AROUND * _AROUND)
        stop = high - self._first + _AROUND
        self._memory.madvise(mmap.MADV_DONTNEED, start, stop - start)

    def take(self, index: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write rows here and there to ``out``, and give back in time what was mapped.

        Nobody but the kernel knows how much a row maps, so that it is measured.
        """
        if self._memory is None:
            # mode="clip" writes to out directly; the indices are always valid.
            return np.take(self._X, index, axis=0, out=out, mode="clip")
        start = 0
        while start < len(index):
            before = _mapped()
            some = slice(start, min(start + self._at_a_time, len(index)))
            np.take(self._X, index[some], axis=0, out=out[some], mode="clip")
            n_rows = some.stop - start
            measured = (_mapped() - before) // n_rows
            # The most of all pieces: of some the pages may have been there.
            self._of_row = min(max(self._of_row, measured), self._most)
            self._at_a_time = max(1, _GATHERED // (2 * self._of_row))
            self.after_gathering(n_rows)
            start = some.stop
        return out

    def after_gathering(self, n_rows: int) -> None:
        """Note that so many rows here and there were read; give all back at times."""
        if self._memory is None:
            return
        self._gathered += n_rows * self._of_row
        if self._gathered >= _GATHERED:
            self(self._X)
            self._gathered = 0


def blocks_of(X: np.ndarray) -> Iterator[slice]:
    """Yield slices of X's rows, a few at a time, to be read once."""
    release = Release(X)
    numbers = _NUMBERS_ON_A_DEVICE if on_device(X) else _NUMBERS_AT_A_TIME
    step = max(1, numbers // X.shape[1])
    for start in range(0, X.shape[0], step):
        rows = slice(start, start + step)
        yield rows
        release(X[rows])
