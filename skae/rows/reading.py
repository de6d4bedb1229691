"""Rows as users give them, checked."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, get_tags
from sklearn.utils.validation import validate_data

from skae.rows.memory_map import blocks_of, is_large_map

DTYPES = [np.float64, np.float32]


def validate_rows(estimator, X, *, order=None, reset=False, **options):
    """``validate_data``: X, or (X, y) if y is among the options, as float32 or float64.

    An array that is that already is not copied. A large memory map is not even if it
    is not: it is refused then, and it is read a block at a time. Sparse X becomes CSR
    without duplicate entries, where the estimator's tags say that it takes such.
    """
    options |= {"dtype": DTYPES, "order": order, "reset": reset}
    if not is_large_map(X):
        takes_sparse = get_tags(estimator).input_tags.sparse
        accepted = "csr" if takes_sparse else False
        checked = validate_data(estimator, X, accept_sparse=accepted, **options)
        if isinstance(checked, tuple):
            X, y = checked
            return without_duplicates(X), y
        return without_duplicates(checked)
    _check_needs_no_copy(estimator, X, order)
    checked = validate_data(estimator, X, ensure_all_finite=False, **options)
    for rows in blocks_of(X):
        assert_all_finite(X[rows], input_name="X")
    return checked


def without_duplicates(X):
    """Rows as they are or, of a CSR matrix, without entries that are to be added up.

    Their squares would be added up one by one. X itself is only ever read.
    """
    if issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def _check_needs_no_copy(estimator, X, order):
    remedy = (
        "write it out as float32 or float64 in C order, a few rows at a time, to a map "
        "from numpy.lib.format.open_memmap; or pass np.array(X) if memory allows."
    )
    name, size = type(estimator).__name__, f"{X.nbytes / 1e9:.3g} GB"
    if X.dtype not in DTYPES:
        raise ValueError(
            f"X is a memory map of {size} in {X.dtype}, of which {name} would have to "
            f"make a copy in float64; {remedy}"
        )
    if order == "C" and not X.flags.c_contiguous:
        raise ValueError(
            f"X is a memory map of {size} that is not C-contiguous, of which {name} "
            f"would have to make a copy; {remedy}"
        )
