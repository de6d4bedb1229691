"""Dask arrays and data frames in place of NumPy's: the way in, and the way out.

Into ``fit`` and ``score`` chunks of rows go as they are: each is checked where it is
computed, and becomes a block of ``skae.rows.dask``. Out of ``transform`` and
its like comes a lazy dask array that applies the method to each chunk.

Nothing here imports dask unless dask's data have arrived.
"""

from copy import copy
from functools import partial, wraps

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from skae.core.blocks import Data, is_remote
from skae.rows import dask as dask_rows
from skae.rows.moments import Moments


def is_dask(X):
    """Whether X is a dask array, data frame or series."""
    return type(X).__module__.partition(".")[0] in ("dask", "dask_expr")


def is_frame(X):
    """Whether X is a dask data frame or series."""
    return is_dask(X) and hasattr(X, "to_dask_array")


# -- in: fit and score ---------------------------------------------------------------


def check_supported(estimator):
    """Refuse parameters that need all rows in this process."""
    if estimator.solver == "adam":
        raise ValueError(
            "solver='adam' draws its batches from rows in this process, but X is a "
            "dask collection; use solver='lbfgs', or partial_fit on one computed "
            "chunk after the other."
        )
    if estimator.early_stopping:
        raise ValueError(
            "early_stopping=True holds out rows at random, which dask collections do "
            "not allow; use early_stopping=False, and compare scores on rows of "
            "your own."
        )


def refuse_dask(estimator, X):
    """Of an estimator that keeps something of every row in this process."""
    if is_dask(X):
        raise ValueError(
            f"{type(estimator).__name__} does not take dask collections in fit; pass "
            "the rows as an array, X.compute(), or some of them."
        )


def shown(X, sample_weight, data):
    """What callbacks are shown of a fit: X, targets and weights.

    Of dask's collections that is what was given, which ``score`` takes; of codes on a
    cluster nothing.
    """
    if is_remote(X):
        return None, None, None
    if is_dask(X):
        return X, X, sample_weight
    return data.X, data.X, data.weights


def remote_data(estimator, X, y=None, sample_weight=None, *, encode=None, reset):
    """Rows, weights and targets as blocks that dask holds.

    Parameters
    ----------
    estimator : estimator
        Learns of the features if ``reset``, otherwise compares them.
    X : dask array or DataFrame of shape (n_samples, n_features), or RemoteArray
        Rows; a RemoteArray brings its own weights.
    y : dask array, DataFrame or Series, or array-like, optional
        Targets.
    sample_weight : dask array or Series, or array-like, optional
        Of shape (n_samples,).
    encode : callable, optional
        From a chunk of ``y`` to the targets of an objective, (rows, n_outputs).
    reset : bool
        Whether this is the first fit.

    Returns
    -------
    data : Data
        Of ``RemoteArray``.
    """
    check_supported(estimator)
    if is_remote(X):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        blocks, n_features, dtype = X.blocks, X.shape[1], X.dtype
    else:
        X = checked(estimator, X, reset)
        n_features, dtype = X.shape[1], float_dtype(X)
        chunks = _chunks(X, y, sample_weight, dtype, encode)
        sources = X, y, sample_weight
        blocks = dask_rows.Blocks.compute(chunks, sample_weight is not None, sources)

    def array(position, n_columns):
        return dask_rows.RemoteArray(blocks, position, n_columns, dtype)

    return Data(
        array(dask_rows.X, n_features),
        array(dask_rows.WEIGHTS, 1) if blocks.weighted else None,
        array(dask_rows.TARGETS, blocks.n_outputs) if blocks.n_outputs else None,
    )


def checked(estimator, X, reset):
    """X with all columns in one chunk, as the estimator knows them."""
    if is_frame(X):
        if X.ndim != 2:
            raise ValueError("Expected 2D input, got a dask Series; use X.to_frame().")
        validate_data(estimator, X._meta, reset=reset, skip_check_array=True)
        return X
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead: a dask array of shape "
            f"{X.shape}; rows are samples."
        )
    dask_rows.refuse_sparse(X._meta)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X if X.numblocks[1] == 1 else X.rechunk({1: -1})


def float_dtype(X):
    """float32 if X is that in all columns, else float64."""
    dtypes = set(X.dtypes) if is_frame(X) else {X.dtype}
    return np.dtype(np.float32 if dtypes == {np.dtype(np.float32)} else np.float64)


def _chunks(X, y, sample_weight, dtype, encode):
    """Delayed blocks, a chunk of X each."""
    from dask import delayed

    others = [sample_weight, y]
    lengths = None
    if any(other is not None and not _beside(other, X) for other in others):
        lengths = _lengths(X)
    parts = parts_of(X)
    columns = [_column(other, X, lengths, len(parts)) for other in others]
    prepare = delayed(dask_rows.prepare_block, pure=False)
    return [
        prepare(part, weights, targets, dtype, encode)
        for part, weights, targets in zip(parts, *columns, strict=True)
    ]


def parts_of(collection):
    """Its chunks, delayed; of an array, those of the rows."""
    return list(np.ravel(collection.to_delayed()))


def _beside(other, X):
    """Whether chunks of both are known, or have to be taken, to be of equal length.

    Blocks compare their lengths again when they are computed.
    """
    if not is_dask(other):
        return False
    if is_frame(other) or is_frame(X):
        return len(parts_of(other)) == len(parts_of(X))
    return other.chunks[0] == X.chunks[0] or (
        np.isnan([*other.chunks[0], *X.chunks[0]]).any()
        and other.numblocks[0] == X.numblocks[0]
    )


def _lengths(X):
    """Rows of each chunk, computed where they are not known."""
    import dask

    if not is_frame(X) and not np.isnan(X.chunks[0]).any():
        return X.chunks[0]
    return tuple(dask.compute(*(dask.delayed(len)(part) for part in parts_of(X))))


def _column(other, X, lengths, n_parts):
    """Parts of y or of the weights that lie beside those of X."""
    import dask.array as da

    if other is None:
        return [None] * n_parts
    if not is_dask(other):
        other = da.from_array(np.asarray(other), chunks=-1)
    elif lengths is None or _beside(other, X):
        return parts_of(other)
    elif is_frame(other):
        other = other.to_dask_array(lengths=True)
    elif np.isnan(other.chunks[0]).any():
        other = other.compute_chunk_sizes()
    if other.shape[0] != sum(lengths):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"{[sum(lengths), other.shape[0]]}"
        )
    columns = {} if other.ndim == 1 else {1: -1}
    return parts_of(other.rechunk({0: lengths, **columns}))


# -- out: transform and its like -----------------------------------------------------


def on_chunks(method):
    """Let a method that maps rows to rows take dask's collections too, lazily."""

    @wraps(method)
    def either(self, X):
        return _lazily(self, method.__name__, X) if is_dask(X) else method(self, X)

    return either


def _apply(estimator, name, empty, X):
    if not len(X):
        return empty
    return np.asarray(getattr(estimator, name)(X))


def _lazily(estimator, name, X):
    """A dask array of ``estimator.name`` on each chunk of X, with known meta."""
    import dask.array as da
    from dask import delayed

    check_is_fitted(estimator, "n_iter_")
    # What it is now; a later fit must not change what is yet to be computed.
    estimator = copy(estimator)
    if not is_frame(X) and X.ndim == 2 and X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    dask_rows.refuse_sparse(X._meta)
    # One row tells the dtype and the columns, and meets the checks of the method.
    example = np.zeros((1, *X.shape[1:]), float_dtype(X))
    if is_frame(X):
        example = type(X._meta)(example, columns=X._meta.columns)
    empty = np.asarray(getattr(estimator, name)(example))[:0]
    apply = delayed(partial(_apply, estimator, name, empty), pure=False)
    rows = [np.nan] * len(parts_of(X)) if is_frame(X) else X.chunks[0]
    parts = [
        da.from_delayed(apply(part), (n, *empty.shape[1:]), meta=empty)
        for part, n in zip(parts_of(X), rows, strict=True)
    ]
    return da.concatenate(parts)


def score_of(estimator, X, sample_weight):
    """``estimator.score`` by sums over the chunks, and moments combined."""
    import dask

    X = checked(estimator, X, reset=False)
    dtype = float_dtype(X)
    chunks = _chunks(X, None, sample_weight, dtype, None)
    sums = dask.delayed(partial(_score_sums, copy(estimator)), pure=False)
    parts = [part for part in dask.compute(*map(sums, chunks)) if part is not None]
    if not parts:
        raise ValueError(
            "Found array with 0 sample(s), or all of weight zero, while a minimum of "
            "1 is required by score."
        )
    errors, totals, moments = zip(*parts, strict=True)
    mean_error = sum(errors) / sum(totals)
    return mean_error, Moments.combined(moments, totals), dtype


def _score_sums(estimator, block):
    """Σ s_i ‖x̂_i − x_i‖² of a block, Σ s_i, and moments."""
    X, weights, _ = block
    if not len(X):
        return None
    errors = estimator._squared_errors(X)
    total = len(X) if weights is None else float(weights.sum(dtype=np.float64))
    mean_error = float(np.average(errors, weights=weights))
    return mean_error * total, total, Moments.of(X, weights)
