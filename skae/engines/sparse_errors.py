"""Squared errors of sparse rows, without a reconstruction where it is linear."""

import numpy as np

from skae.core.linear_decoder import LinearDecoder
from skae.core.sparse_rows import SparseRows
from skae.engines.row_map import fill, for_rows


def sparse_squared_errors(encode, decode, X):
    """‖x̂_i − x_i‖² of each row of a CSR matrix, in float64.

    Parameters
    ----------
    encode, decode : Layers
        Of one dtype.
    X : CSR array or matrix of shape (n_samples, n_features)
        Rows of that dtype.
    """
    errors = np.empty(X.shape[0])
    encode = for_rows(encode, X)
    if decode.layers[-1][2].is_linear:
        encode = encode.followed_by(decode.layers[:-1])
        return fill(errors, LinearErrors(encode, decode), X, encode)

    def write(X, errors):
        residual = decode(encode(X))
        residual -= X.toarray()
        np.vecdot(residual, residual, out=errors)

    return fill(errors, write, X, decode)


class LinearErrors:
    """By products with the non-zeros; see ``skae.core.linear_decoder``.

    Parameters
    ----------
    encode : callable
        ``encode(X)``: codes of sparse rows, (n, n_components).
    decode : Layers
        The last of them decodes the codes, with identity as activation.
    """

    def __init__(self, encode, decode):
        weights, biases, _ = decode.layers[-1]  # Dᵀ and c
        self._encode = encode
        self._linear = LinearDecoder(np.column_stack([weights, biases]))

    def __call__(self, X, errors):
        codes = self._encode(X)
        H = np.ones((codes.shape[1] + 1, len(codes)))
        H[:-1] = codes.T
        losses, _ = self._linear.losses(H, SparseRows(X))
        np.multiply(losses, 2, out=errors)
