"""Rows as users give them, dense or sparse, checked."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import get_tags
from sklearn.utils.validation import validate_data

DTYPES = [np.float64, np.float32]


def validate_rows(estimator, X, *, order=None, reset=False):
    """X as float32 or float64: an ndarray, or a CSR array or matrix without duplicates.

    Neither is copied where it is that already. Sparse rows are refused where the
    estimator's tags do not announce them.
    """
    takes_sparse = get_tags(estimator).input_tags.sparse
    X = validate_data(
        estimator,
        X,
        accept_sparse="csr" if takes_sparse else False,
        dtype=DTYPES,
        order=order,
        reset=reset,
    )
    # Entries that are to be added up would be squared one by one.
    if issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X
