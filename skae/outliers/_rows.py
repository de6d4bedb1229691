"""Rows for the detector: blocks, an evenly spaced sample, and dask arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from skae._sklearn import check_sample_weight
from skae.estimators._lazy import computed
from skae.outliers._reconstruct import first_name
from skae.rows.dask_collections import is_dask, lazily
from skae.rows.reading import read, validate_rows

# Number of entries of a block of rows that is reconstructed at once.
_BLOCK_NUMBERS = 2**19
# Number of entries of the parts of a block that fit into a processor's cache.
_CACHED_NUMBERS = 2**14
# Number of evenly spaced training rows for the spreads.
_ROWS_OF_SCALES = 20_000


def read_rows(detector: Any, X: Any, reset: bool) -> Any:
    """Validated rows: an array or a CSR matrix.

    Raises
    ------
    ValueError
        Among others, if X contains NaN and the estimator in the detector accepts none.
    """
    try:
        return validate_rows(detector, X, reset=reset).given
    except ValueError as error:
        if "contains NaN" not in str(error):
            raise
        name = first_name(detector.estimator)
        raise ValueError(
            f"X contains NaN, which the estimator of the detector, {name}, does not "
            "accept. Fill in the missing entries first, for instance with "
            "AutoencoderImputer; or use an estimator that accepts them, such as "
            "SparseAutoencoder."
        ) from error


def read_chunks(estimator: Any, X: Any, sample_weight: Any, reset: bool) -> Any:
    """A dask array with complete rows in chunks of known length, and the weights."""
    read(estimator, X, None, reset=reset)  # checks names and shapes
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
    """Slices of rows so small that several arrays of their shape fit into memory."""
    return _slices(X.shape, _BLOCK_NUMBERS)


def cached(shape: tuple[int, int]) -> list[slice]:
    """Slices of a block so small that their arrays fit into a processor's cache."""
    return _slices(shape, _CACHED_NUMBERS)


def _slices(shape: tuple[int, int], numbers: int) -> list[slice]:
    length = int(np.clip(numbers // shape[1], 1, 2**16))
    return [slice(start, start + length) for start in range(0, shape[0], length)]


def by_rows(detector: Any, method: str, X: Any) -> Any:
    """Call a method with validated rows; for dask arrays, compute the result."""
    if is_dask(X):
        return computed(lazily(detector, method, X))[0]
    return getattr(detector, method)(X)


def evenly(X: Any, weights: Any) -> Any:
    """Evenly spaced rows with positive weight, in float64, and their weights."""
    rows = np.arange(X.shape[0]) if weights is None else np.flatnonzero(weights)
    rows = rows[:: -(-len(rows) // _ROWS_OF_SCALES)]
    sample = X if len(rows) == X.shape[0] else X[rows]
    (sample,) = computed(sample)
    chosen = None if weights is None else np.asarray(weights, np.float64)[rows]
    return dense(sample).astype(np.float64), chosen


def dense(rows: Any) -> Any:
    """Rows as a dense array."""
    return rows.toarray() if issparse(rows) else np.asarray(rows)


def is_of_rows(value: Any, n_samples: int) -> bool:
    """Whether an argument has one entry for each row."""
    return np.shape(value)[:1] == (n_samples,)
