"""Dask arrays and data frames as input, and lazy dask arrays as results.

``fit`` and ``score`` take the chunks as they are: each chunk is checked where it is
computed, and becomes a block of ``skae.rows.dask``. ``transform`` and similar methods
return a lazy dask array that applies the method to each chunk.

dask is imported only if the input is a dask collection.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cache, partial
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import validate_data

from skae.rows.dask import (
    ROWS,
    TARGETS,
    WEIGHTS,
    Blocks,
    DaskRows,
    HeldBlock,
    NoRowsError,
    prepare_block,
    refuse_sparse,
)
from skae.rows.dask_tasks import Task
from skae.rows.data import Data, Rows
from skae.rows.dense import DenseRows
from skae.rows.given import Given
from skae.rows.masked import refuse_masked
from skae.rows.moments import Moments, total_weight
from skae.rows.protocols import Compute, Encode


def is_dask(X: Any) -> bool:
    """Whether X is a dask array, data frame or series."""
    return type(X).__module__.partition(".")[0] in ("dask", "dask_expr")


def _is_frame(X: Any) -> bool:
    return is_dask(X) and hasattr(X, "to_dask_array")


# -- in: fit and score ---------------------------------------------------------------


class Chunks(Given):
    """Dask's collections, of which nothing is computed before it is asked for.

    Parameters
    ----------
    estimator : estimator
        Learns of the features if ``reset``, otherwise compares them.
    X : dask array or DataFrame of shape (n_samples, n_features)
        Rows.
    y : dask array, DataFrame or Series, or array-like, or None
        Targets.
    sample_weight : dask array or Series, or array-like, or None
        Of shape (n_samples,).
    reset : bool
        Whether this is the first fit.
    supervised : bool
        Whether there must be targets.
    dtype : dtype, optional
        That the rows are to have; by default ``float_dtype``.
    name : str
        Of X, for messages.
    """

    local = False

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        reset: bool,
        supervised: bool = False,
        dtype: np.dtype | None = None,
        name: str = "X",
    ) -> None:
        if supervised and y is None:
            raise ValueError(
                f"This {type(estimator).__name__} estimator requires y to be passed, "
                "but the target y is None."
            )
        self.shown = X, X if y is None else y, sample_weight
        self._X = _with_whole_rows(estimator, X, reset)
        self.dtype = dtype or float_dtype(X)
        self.weights, self._y, self._name = sample_weight, y, name

    def data(self, encode: Encode | None = None) -> Data:
        """Rows, weights and targets as blocks that dask computes and holds."""
        y = None if encode is None else self._y
        told = self.dtype, encode, self._name
        chunks = _chunks(self._X, y, self.weights, *told)
        sources = self._X, y, self.weights
        blocks = Blocks.compute(chunks, self.weights is not None, sources)
        return _data(blocks, self._X.shape[1], self.dtype)

    @property
    def y_ndim(self) -> int:
        """1 where y is one column that is not a matrix."""
        return np.ndim(self._y)

    def y_values(self) -> Any:
        """An array as wide as y that has all its values, found chunk by chunk."""
        values = _distinct(self._y)
        if np.ndim(self._y) == 1:
            return values
        return np.repeat(values[:, np.newaxis], self._y.shape[1], axis=1)

    def weigh_classes(self, class_weight: Any) -> None:
        """Refuse weights of classes."""
        if class_weight is not None:
            raise ValueError(
                "class_weight counts the classes of all rows, which dask collections "
                f"do not allow; got class_weight={class_weight!r}: use "
                "class_weight=None, and sample_weight."
            )

    def mean_error(self, errors_of: Compute) -> tuple[float, Moments, int]:
        """Weighted mean of ``errors_of(rows)``, the rows' moments, how many count.

        By sums over the chunks; nothing of them is kept.
        """
        import dask

        chunks = _chunks(self._X, None, self.weights, self.dtype, None)
        sums = dask.delayed(partial(_error_sums, errors_of), pure=False)
        parts = [part for part in dask.compute(*map(sums, chunks)) if part is not None]
        if not parts:
            raise ValueError(
                "Found array with 0 sample(s), or all of weight zero, while a minimum "
                "of 1 is required by score."
            )
        errors, totals, moments, n_rows = zip(*parts, strict=True)
        mean = sum(errors) / sum(totals)
        return mean, Moments.combined(moments, totals), sum(n_rows)


class Held(Given):
    """Rows that are such already: codes on a cluster, with their weights."""

    local = False
    weights = None
    shown = None, None, None

    def __init__(self, estimator: Any, rows: DaskRows, reset: bool) -> None:
        validate_data(estimator, rows, reset=reset, skip_check_array=True)
        self._rows, self.dtype = rows, rows.dtype

    def data(self, encode: Encode | None = None) -> Data:
        """The rows and their weights."""
        return _data(self._rows.blocks, self._rows.shape[1], self.dtype)

    @property
    def y_ndim(self) -> int:
        """There is none."""
        raise NotImplementedError

    def y_values(self) -> Any:
        """There are none."""
        raise NotImplementedError

    def weigh_classes(self, class_weight: Any) -> None:
        """There are none."""

    def mean_error(self, errors_of: Compute) -> tuple[float, Moments, int]:
        """Nobody asks."""
        raise NotImplementedError


def _data(blocks: Blocks, n_features: int, dtype: np.dtype) -> Data:
    def array(position: int, n_columns: int) -> DaskRows:
        return DaskRows(blocks, position, n_columns, dtype)

    return Data(
        array(ROWS, n_features),
        array(WEIGHTS, 1) if blocks.weighted else None,
        array(TARGETS, blocks.n_outputs) if blocks.n_outputs else None,
    )


def read_more_chunks(estimator: Any, X: Any, dtype: np.dtype, name: str) -> Rows | None:
    """More rows beside those of dask's collections, in the dtype of those.

    None where there are none.
    """
    if not is_dask(X):
        raise ValueError(
            f"{name} must be a dask collection because X is one, got "
            f"{type(X).__name__}; use dask.array.from_array."
        )
    chunks = Chunks(estimator, X, None, None, reset=False, dtype=dtype, name=name)
    try:
        return chunks.data().X
    except NoRowsError:
        return None


def _error_sums(
    errors_of: Compute, block: HeldBlock
) -> tuple[float, float, Moments, int] | None:
    """Σ s_i e_i of a block, Σ s_i, moments and rows; None where it has no rows."""
    X, weights, _ = block
    if not len(X):
        return None
    rows = DenseRows(X)
    total = total_weight(len(X), weights)
    mean_error = float(np.average(errors_of(rows), weights=weights))
    return mean_error * total, total, rows.moments(weights), len(X)


def _distinct(y: Any) -> np.ndarray:
    """The values of y, sorted, found chunk by chunk."""
    import dask

    if not is_dask(y):
        values = _unique(y)
    else:
        unique = dask.delayed(_unique, pure=False)
        values = np.unique(np.concatenate(dask.compute(*map(unique, parts_of(y)))))
    assert_all_finite(values, input_name="y")
    return values


def _unique(part: Any) -> np.ndarray:
    refuse_masked(part, "y")
    return np.unique(np.asarray(part))


def _with_whole_rows(estimator: Any, X: Any, reset: bool) -> Any:
    """X with all columns in one chunk, as the estimator knows them."""
    if _is_frame(X):
        if X.ndim != 2:
            raise ValueError("Expected 2D input, got a dask Series; use X.to_frame().")
        validate_data(estimator, X._meta, reset=reset, skip_check_array=True)
        return X
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead: a dask array of shape "
            f"{X.shape}; rows are samples."
        )
    refuse_sparse(X._meta)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X if X.numblocks[1] == 1 else X.rechunk({1: -1})


def float_dtype(X: Any) -> np.dtype:
    """float32 if X is that in all columns, else float64."""
    dtypes = set(X.dtypes) if _is_frame(X) else {X.dtype}
    return np.dtype(np.float32 if dtypes == {np.dtype(np.float32)} else np.float64)


def _chunks(
    X: Any,
    y: Any,
    sample_weight: Any,
    dtype: np.dtype,
    encode: Encode | None,
    name: str = "X",
) -> list[Task]:
    """Delayed blocks, a chunk of X each."""
    from dask import delayed

    parts, lengths = parts_of(X), cache(partial(_lengths, X))
    columns = [
        _column(c, its_name, X, lengths, len(parts))
        for c, its_name in ((sample_weight, "sample_weight"), (y, "y"))
    ]
    prepare = delayed(prepare_block, pure=False)
    return [
        prepare(part, weights, targets, dtype, encode, name)
        for part, weights, targets in zip(parts, *columns, strict=True)
    ]


def parts_of(collection: Any) -> list[Task]:
    """Its chunks, delayed; of an array, those of the rows."""
    return list(np.ravel(collection.to_delayed()))


def _beside(other: Any, X: Any) -> bool:
    """Whether chunks of both are known, or have to be taken, to be of equal length.

    Blocks compare their lengths again when they are computed.
    """
    if not is_dask(other):
        return False
    if _is_frame(other) or _is_frame(X):
        return len(parts_of(other)) == len(parts_of(X))
    if np.isnan([*other.chunks[0], *X.chunks[0]]).any():
        return bool(other.numblocks[0] == X.numblocks[0])
    return bool(other.chunks[0] == X.chunks[0])


def _lengths(X: Any) -> tuple[int, ...]:
    """Rows of each chunk, computed where they are not known."""
    import dask

    if not _is_frame(X) and not np.isnan(X.chunks[0]).any():
        return X.chunks[0]
    return tuple(dask.compute(*(dask.delayed(len)(part) for part in parts_of(X))))


def _column(
    other: Any,
    name: str,
    X: Any,
    lengths: Callable[[], tuple[int, ...]],
    n_parts: int,
) -> list[Task]:
    """Parts of y or of the weights that lie beside those of X; None for None.

    ``lengths()`` are the rows of each chunk of X.
    """
    import dask.array as da

    if other is None:
        return [None] * n_parts
    if not is_dask(other):
        refuse_masked(other, name)
        other = da.from_array(np.asarray(other), chunks=-1)
    elif _beside(other, X):
        return parts_of(other)
    elif _is_frame(other):
        other = other.to_dask_array(lengths=True)
    elif np.isnan(other.chunks[0]).any():
        other = other.compute_chunk_sizes()
    n_samples = sum(lengths())
    if other.shape[0] != n_samples:
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"{[n_samples, other.shape[0]]}"
        )
    columns = {} if other.ndim == 1 else {1: -1}
    return parts_of(other.rechunk({0: lengths(), **columns}))


def compute(collections: tuple[Any, ...]) -> tuple[Any, ...]:
    """What dask's collections among these hold, computed together."""
    import dask

    return dask.compute(*collections)


# -- out: transform and its like -----------------------------------------------------


def _apply(estimator: Any, name: str, empty: np.ndarray, X: Any) -> np.ndarray:
    if not len(X):
        return empty
    return np.asarray(getattr(estimator, name)(X))


def lazily(estimator: Any, name: str, X: Any) -> Any:
    """``estimator.name`` on each chunk of X: a dask array with known meta.

    Where ``set_output`` has ``transform`` return data frames, a dask DataFrame.
    """
    import dask.array as da
    from dask import delayed

    # What it is now; a later fit must not change what is yet to be computed.
    estimator = copy(estimator)
    if not _is_frame(X) and X.ndim == 2 and X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    refuse_sparse(X._meta)
    # One row tells the dtype and the columns, and meets the checks of the method.
    example = np.zeros((1, *X.shape[1:]), float_dtype(X))
    if _is_frame(X):
        example = type(X._meta)(example, columns=X._meta.columns)
    codes = getattr(estimator, name)(example)
    if issparse(codes):
        raise ValueError(
            f"{name} of {type(estimator).__name__} returns sparse codes, which dask's "
            "arrays do not hold; use it on one computed chunk after the other."
        )
    if not isinstance(codes, np.ndarray):
        return _lazy_frame(estimator, name, codes, X)
    empty = codes[:0]
    apply = delayed(partial(_apply, estimator, name, empty), pure=False)
    rows = [np.nan] * len(parts_of(X)) if _is_frame(X) else X.chunks[0]
    parts = [
        da.from_delayed(apply(part), (n, *empty.shape[1:]), meta=empty)
        for part, n in zip(parts_of(X), rows, strict=True)
    ]
    return da.concatenate(parts)


def _lazy_frame(estimator: Any, name: str, codes: Any, X: Any) -> Any:
    """A dask DataFrame like ``codes``, with the index of X, or as many numbers."""
    import dask.dataframe as dd
    from dask import delayed

    if not hasattr(codes, "iloc"):
        raise ValueError(
            f"For dask collections, {name} returns dask arrays or data frames of "
            f"pandas, but set_output requests "
            f"{type(codes).__module__.partition('.')[0]}; use "
            "set_output(transform='pandas') or 'default'."
        )
    empty, parts = codes.iloc[:0], parts_of(X)
    if _is_frame(X):
        empty.index = X._meta.index
        starts, divisions = [None] * len(parts), X.divisions
    else:
        if np.isnan(X.chunks[0]).any():
            raise ValueError(
                f"The data frame that {name} returns needs an index that counts the "
                "rows, but X has chunks of unknown size; use "
                "X.compute_chunk_sizes(), or set_output(transform='default')."
            )
        starts, divisions = np.cumsum([0, *X.chunks[0]])[:-1].tolist(), None
    apply = delayed(partial(_apply_to_frame, estimator, name, empty), pure=False)
    frames = [apply(*part) for part in zip(parts, starts, strict=True)]
    return dd.from_delayed(frames, meta=empty, divisions=divisions, verify_meta=False)


def _apply_to_frame(
    estimator: Any, name: str, empty: Any, X: Any, start: int | None
) -> Any:
    values = np.asarray(getattr(estimator, name)(X)) if len(X) else empty.to_numpy()
    index = X.index if start is None else range(start, start + len(X))
    return type(empty)(values, index=index, columns=empty.columns)
