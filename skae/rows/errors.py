"""Squared errors of reconstructions, row by row.

For sparse rows and linear outputs they are computed from products with the non-zeros,
without forming a reconstruction.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from skae.core.arrays import vecdot
from skae.core.layers import Layers
from skae.core.linear_decoder import LinearDecoder
from skae.core.sparse_rows import SparseRows

# Of ‖x‖²: what is less is a difference whose rounding may be a millionth of it.
_SMALL = 1e-9
_ENTRIES_AT_A_TIME = 2**18

Map = Callable[[Any], np.ndarray]  # of slices of rows, or of their codes


def write_squared_errors(
    encode: Map, decode: Map, X: np.ndarray, errors: np.ndarray
) -> None:
    """Write ‖x̂_i − x_i‖² of the rows of an array, (rows,)."""
    residual = decode(encode(X))
    residual -= X
    write_squares(residual, errors)


def write_errors_of_sparse(
    encode: Map, decode: Map, X: Any, errors: np.ndarray
) -> None:
    """Write ‖x̂_i − x_i‖² of the rows of a CSR matrix, from dense reconstructions."""
    residual = decode(encode(X))
    residual -= X.toarray()
    write_squares(residual, errors)


def write_squares(residual: np.ndarray, errors: np.ndarray) -> None:
    if not isinstance(residual, np.ndarray):
        wide = residual.astype(errors.dtype, copy=False)
        errors[:] = vecdot(wide, wide)
        return
    with np.errstate(over="ignore"):
        np.vecdot(residual, residual, out=errors)
    if residual.dtype != errors.dtype and not np.isfinite(errors).all():
        np.vecdot(residual, residual, out=errors, dtype=errors.dtype)


class LinearErrors:
    """By products with the non-zeros; see ``skae.core.linear_decoder``.

    What is small beside the squares it is a difference of, as of a column far from
    zero, is computed once more from the reconstruction.

    Parameters
    ----------
    encode : callable
        ``encode(X)``: codes of sparse rows, (n, n_components).
    decode : Layers
        The last of them decodes the codes, with identity as activation.
    """

    def __init__(self, encode: Map, decode: Layers) -> None:
        weights, biases, _ = decode.layers[-1]  # Dᵀ and c
        self._encode = encode
        self._linear = LinearDecoder(np.column_stack([weights, biases]))

    def __call__(self, X: Any, errors: np.ndarray) -> None:
        """Write ‖x̂_i − x_i‖² of the rows of a CSR matrix, (rows,)."""
        codes = self._encode(X)
        H = np.ones((codes.shape[1] + 1, len(codes)))
        H[:-1] = codes.T
        rows = SparseRows(X)
        with np.errstate(over="ignore", invalid="ignore"):
            losses, _ = self._linear.losses(H, rows)
        np.multiply(losses, 2, out=errors)
        errors[np.isnan(errors)] = np.inf  # inf less inf
        self._again(X, H, np.flatnonzero(errors < _SMALL * rows.squared_norms), errors)

    def _again(
        self, X: Any, H: np.ndarray, which: np.ndarray, errors: np.ndarray
    ) -> None:
        """Write errors of these rows from their reconstructions, few at a time."""
        at_a_time = max(1, _ENTRIES_AT_A_TIME // X.shape[1])
        for first in range(0, len(which), at_a_time):
            index = which[first : first + at_a_time]
            residual = H[:, index].T @ self._linear.wide.T
            residual -= X[index].toarray()
            errors[index] = np.vecdot(residual, residual)
