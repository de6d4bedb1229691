"""Reads and checks X, y and weights: the entry point for all input of users.

Only ``read`` distinguishes what X is. It returns a ``Given``, which is the same
interface for all kinds of input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse, sparray, spmatrix
from sklearn.utils import assert_all_finite, check_array, check_X_y, get_tags
from sklearn.utils.validation import validate_data

from skae.core.arrays import on_device
from skae.rows.dask import DaskRows
from skae.rows.dask_collections import Chunks, Held, is_dask, read_more_chunks
from skae.rows.data import LocalRows
from skae.rows.device import check_device_array, device_rows
from skae.rows.given import Arrays, Given
from skae.rows.incomplete import incomplete
from skae.rows.masked import refuse_masked
from skae.rows.memory_map import blocks_of, is_large_map
from skae.rows.source import source

DTYPES = [np.float64, np.float32]
# Rows as users give them. Data frames and dask's collections have ``__array__`` and so
# are array-like to a type checker; what maps rows to rows makes dask arrays of dask's.
MatrixLike = npt.ArrayLike | sparray | spmatrix


def read(
    estimator: Any,
    X: Any,
    sample_weight: Any = None,
    *,
    reset: bool,
    y: Any = None,
    supervised: bool = False,
    order: str | None = "C",
) -> Given:
    """What an estimator is given to learn from or to score, checked.

    Parameters
    ----------
    estimator : estimator
        Learns of the features if ``reset``, otherwise compares them.
    X : array-like, sparse matrix, DataFrame, dask collection or DaskRows
        Rows. An array of float32 or float64 in C order is not copied.
    sample_weight : array-like or dask collection of shape (n_samples,), optional
        Of the rows.
    reset : bool
        Whether this is the first fit.
    y : array-like or dask collection, optional
        Targets.
    supervised : bool
        Whether there must be targets.
    order : {"C", None}
        Of an array in memory, which objectives need; None leaves it as it is.
    """
    if isinstance(X, DaskRows):
        return Held(estimator, X, reset)
    if is_dask(X):
        return Chunks(
            estimator, X, y, sample_weight, reset=reset, supervised=supervised
        )
    if not supervised:
        rows = validate_rows(estimator, X, order=order, reset=reset)
        return Arrays(rows, None, sample_weight)
    numeric = get_tags(estimator).estimator_type == "regressor"
    rows, y = validate_rows(
        estimator,
        X,
        y=y,
        order=order,
        multi_output=True,
        y_numeric=numeric,
        reset=reset,
    )
    if issparse(y) and numeric:
        raise ValueError(
            "y must be dense, got a sparse matrix; use y.toarray() instead."
        )
    return Arrays(rows, y, sample_weight)


def read_rows(estimator: Any, X: Any) -> LocalRows:
    """The rows of this process that a fitted estimator is to map."""
    rows: LocalRows = validate_rows(estimator, X)
    return rows


def read_more(estimator: Any, X: Any, given: Given, name: str) -> Any:
    """More rows beside those of ``given``, with their columns and in their dtype.

    None for None and for an array without rows.
    """
    if X is None:
        return None
    if not given.local:
        return read_more_chunks(estimator, X, given.dtype, name)
    if is_dask(X):
        raise ValueError(
            f"{name} must be an array or sparse matrix because X is one, got a dask "
            f"{type(X).__name__}; use {name}.compute()."
        )
    refuse_masked(X, name)
    if on_device(X) or given.on_device:
        return _more_on_device(estimator, X, given, name)
    options = {"dtype": given.dtype, "order": "C", "input_name": name}
    if is_large_map(X):
        _check_needs_no_copy(estimator, X, "C", name, [given.dtype])
        rows = check_array(X, ensure_all_finite=False, **options)
    else:
        options |= {"accept_sparse": "csr", "ensure_min_samples": 0}
        options |= {"ensure_all_finite": not _takes_nan(estimator)}
        rows = _without_duplicates(_named(name, check_array, X, **options))
    n_features = estimator.n_features_in_
    if rows.shape[1] != n_features:
        raise ValueError(
            f"{name} has {rows.shape[1]} features, but X has {n_features}; both must "
            "have the same columns."
        )
    if hasattr(X, "columns"):  # a data frame: in the same order, too
        validate_data(estimator, X, reset=False, skip_check_array=True)
    return _rows(estimator, rows, name) if rows.shape[0] else None


def _more_on_device(estimator: Any, X: Any, given: Given, name: str) -> Any:
    """More rows on a device, where those of ``given`` must lie, too."""
    if not (on_device(X) and given.on_device):
        raise ValueError(
            f"X and {name} must be arrays of the same kind, on a device or not; got "
            f"one that is and one that is not. Convert {name} to X's kind."
        )
    if not len(X):
        return None
    rows = device_rows(estimator, X, "C", reset=False)
    return source(rows.given.astype(given.dtype, copy=False))


def _named(name: str, check: Callable[..., Any], X: Any, **options: Any) -> Any:
    """``check(X)``, whose complaints say of which array they are."""
    try:
        with np.errstate(invalid="ignore"):  # of sums of infinities, which are refused
            return check(X, **options)
    except ValueError as error:
        if name in str(error):
            raise
        raise ValueError(f"{name}: {error}") from error


def validate_rows(
    estimator: Any,
    X: Any,
    *,
    order: str | None = None,
    reset: bool = False,
    **options: Any,
) -> Any:
    """``validate_data``: rows, or (rows, y) if y is among the options.

    They are of float32 or float64. An array that is that already is not copied. A large
    memory map is not even if it is not: it is refused then, and it is read a block at a
    time. Sparse X becomes CSR without duplicate entries, where the estimator's tags say
    that it takes such, and NaN is a missing entry where they say that it is allowed.
    """
    if on_device(X):
        rows = device_rows(estimator, X, order, reset)
        if "y" not in options:
            return rows
        refuse_masked(options["y"], "y")
        del options["multi_output"]
        _, y = check_X_y(rows.stand_in, multi_output=True, **options)
        return rows, y
    refuse_masked(X, "X")
    refuse_masked(options.get("y"), "y")
    options |= {"dtype": DTYPES, "order": order, "reset": reset}
    if not is_large_map(X):
        takes_sparse = get_tags(estimator).input_tags.sparse
        accepted = "csr" if takes_sparse else False
        options |= {"accept_sparse": accepted}
        options |= {"ensure_all_finite": not _takes_nan(estimator)}
    else:
        _check_needs_no_copy(estimator, X, order, "X", DTYPES)
        options |= {"ensure_all_finite": False}  # a block at a time below
    try:
        with np.errstate(invalid="ignore"):  # of sums of infinities, which it refuses
            checked = validate_data(estimator, X, **options)
    except ValueError as error:
        if _takes_nan(estimator) or "Input X contains NaN" not in str(error):
            raise
        raise ValueError(
            f"Input X contains NaN, but {type(estimator).__name__} needs complete "
            "rows; fill them in, for instance with "
            "AutoencoderImputer().fit_transform(X), or use an estimator that learns "
            "from incomplete rows, such as SparseAutoencoder."
        ) from error
    _check_kind(checked[0] if isinstance(checked, tuple) else checked)
    if isinstance(checked, tuple):
        X, y = checked
        return _rows(estimator, _without_duplicates(X), "X"), y
    return _rows(estimator, _without_duplicates(checked), "X")


def _check_kind(X: Any) -> None:
    """Refuse arrays of libraries that neither lie on a device nor go through NumPy."""
    if not isinstance(X, np.ndarray) and not issparse(X):
        raise ValueError(
            f"X is a {type(X).__module__}.{type(X).__name__}, but under "
            "array_api_dispatch skae takes arrays of NumPy, CuPy, JAX and "
            "array-api-strict and tensors of torch; pass one of these, such as "
            "numpy.asarray(X)."
        )


def read_codes(estimator: Any, X: Any) -> Any:
    """An array of codes or the like, that a fitted estimator is to decode."""
    refuse_masked(X, "X")
    if on_device(X):
        return check_device_array(estimator, X, None)
    return check_array(X, dtype=DTYPES)


def _without_duplicates(X: Any) -> Any:
    """Rows as they are or, of a CSR matrix, without entries that are to be added up.

    Their squares would be added up one by one. X itself is only ever read.
    """
    if issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def _rows(estimator: Any, X: Any, name: str) -> LocalRows:
    """Rows of an array or a CSR matrix, if its numbers are such as are allowed."""
    takes_nan = _takes_nan(estimator)
    if not (takes_nan or is_large_map(X)):
        return source(X)  # which has been checked
    # Explicit entries of a CSR matrix as one column.
    numbers = X.data[:, np.newaxis] if issparse(X) else X
    has_nan = False
    for b in blocks_of(numbers):
        # A sum is finite where all is, nearly always, and takes one pass.
        with np.errstate(over="ignore", invalid="ignore"):  # inf − inf
            if np.isfinite(numbers[b].sum()):
                continue
            assert_all_finite(numbers[b], allow_nan=takes_nan, input_name=name)
        has_nan = has_nan or bool(np.isnan(numbers[b]).any())
    return incomplete(X) if has_nan and takes_nan else source(X)


def _takes_nan(estimator: Any) -> bool:
    """Whether NaN is a missing entry."""
    return bool(get_tags(estimator).input_tags.allow_nan)


def _check_needs_no_copy(
    estimator: Any, X: np.ndarray, order: str | None, given_as: str, dtypes: list[Any]
) -> None:
    allowed = " or ".join(np.dtype(dtype).name for dtype in dtypes[::-1])
    remedy = (
        f"write it out as {allowed} in C order, a few rows at a time, to a map "
        f"from numpy.lib.format.open_memmap; or pass np.array({given_as}) if memory "
        "allows."
    )
    name, size = type(estimator).__name__, f"{X.nbytes / 1e9:.3g} GB"
    if X.dtype not in dtypes:
        raise ValueError(
            f"{given_as} is a memory map of {size} in {X.dtype}, of which {name} would "
            f"have to make a copy in {np.dtype(dtypes[0]).name}; {remedy}"
        )
    if order == "C" and not X.flags.c_contiguous:
        raise ValueError(
            f"{given_as} is a memory map of {size} that is not C-contiguous, of which "
            f"{name} would have to make a copy; {remedy}"
        )
