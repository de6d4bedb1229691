"""Rows as the detector meets them: in blocks, some of them, or lazily dask's."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from skae._sklearn import check_sample_weight
from skae.estimators._lazy import computed
from skae.rows.dask_collections import is_dask, lazily
from skae.rows.reading import read

# Entries of a block of rows that is reconstructed at a time.
_BLOCK_NUMBERS = 2**19
# And of the parts of one whose errors stay in a processor's cache.
_CACHED_NUMBERS = 2**15
# Rows, evenly spaced among those of fit, that set the scales.
_ROWS_OF_SCALES = 20_000


def read_chunks(estimator: Any, X: Any, sample_weight: Any, reset: bool) -> Any:
    """A dask array with whole rows in chunks of known length, and its weights."""
    read(estimator, X, None, reset=reset)  # compares names and shapes
    if hasattr(X, "to_dask_array"):
        X = X.to_dask_array(lengths=True)
    X = X.rechunk({1: -1}).astype(np.result_type(X.dtype, np.float32), copy=False)
    if np.isnan(X.chunks[0]).any():
        X = X.compute_chunk_sizes()
    if sample_weight is not None:
        (sample_weight,) = computed(sample_weight)
        like = np.empty((X.shape[0], 0))
        sample_weight = check_sample_weight(np.asarray(sample_weight), like)
    return X, sample_weight


def blocks(X: Any) -> list[slice]:
    """Slices of rows that a few arrays of their shape fit into memory for."""
    return _slices(X.shape, _BLOCK_NUMBERS)


def cached(rows: Any) -> list[slice]:
    """Slices of a block whose arrays stay in a processor's cache."""
    return _slices(rows.shape, _CACHED_NUMBERS)


def _slices(shape: tuple[int, int], numbers: int) -> list[slice]:
    length = int(np.clip(numbers // shape[1], 1, 2**16))
    return [slice(start, start + length) for start in range(0, shape[0], length)]


def by_rows(detector: Any, method: str, X: Any) -> Any:
    """What a method returns of rows that are checked; computed, if they are dask's."""
    if is_dask(X):
        return computed(lazily(detector, method, X))[0]
    return getattr(detector, method)(X)


def evenly(X: Any, weights: Any) -> Any:
    """Some rows that have a weight, evenly spaced, in float64, and their weights."""
    rows = np.arange(X.shape[0]) if weights is None else np.flatnonzero(weights)
    rows = rows[:: -(-len(rows) // _ROWS_OF_SCALES)]
    sample = X if len(rows) == X.shape[0] else X[rows]
    (sample,) = computed(sample)
    chosen = None if weights is None else np.asarray(weights, np.float64)[rows]
    return dense(sample).astype(np.float64), chosen


def dense(rows: Any) -> Any:
    """Some rows as an array."""
    return rows.toarray() if issparse(rows) else np.asarray(rows)


def is_of_rows(value: Any, n_samples: int) -> bool:
    """Whether a keyword has an entry for each row."""
    return np.shape(value)[:1] == (n_samples,)
