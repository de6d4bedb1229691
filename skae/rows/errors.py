"""Squared errors of reconstructions, without a reconstruction where rows are sparse."""

from collections.abc import Callable
from typing import Any

import numpy as np

from skae.core.layers import Layers
from skae.core.linear_decoder import LinearDecoder
from skae.core.sparse_rows import SparseRows

Map = Callable[[Any], np.ndarray]  # of slices of rows, or of their codes


def write_squared_errors(
    encode: Map, decode: Map, X: np.ndarray, errors: np.ndarray
) -> None:
    """Write ‖x̂_i − x_i‖² of the rows of an array, (rows,)."""
    residual = decode(encode(X))
    residual -= X
    _write_squares(residual, errors)


def write_errors_of_sparse(
    encode: Map, decode: Map, X: Any, errors: np.ndarray
) -> None:
    """Write ‖x̂_i − x_i‖² of the rows of a CSR matrix, from dense reconstructions."""
    residual = decode(encode(X))
    residual -= X.toarray()
    _write_squares(residual, errors)


def _write_squares(residual: np.ndarray, errors: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        np.vecdot(residual, residual, out=errors)
    if residual.dtype != errors.dtype and not np.isfinite(errors).all():
        np.vecdot(residual, residual, out=errors, dtype=errors.dtype)


class LinearErrors:
    """By products with the non-zeros; see ``skae.core.linear_decoder``.

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
        with np.errstate(over="ignore", invalid="ignore"):
            losses, _ = self._linear.losses(H, SparseRows(X))
        np.multiply(losses, 2, out=errors)
        errors[np.isnan(errors)] = np.inf  # inf less inf
