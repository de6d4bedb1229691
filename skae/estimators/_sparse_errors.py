"""Squared errors of sparse rows, without a reconstruction where it is linear."""

import numpy as np

from skae.core.activations import Identity
from skae.core.sparse_objective import linear_losses
from skae.core.sparse_rows import SparseRows
from skae.engines.rows import fill, for_rows


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
    if len(decode.layers) == 1 and decode.layers[0][2] is Identity:
        return fill(errors, LinearErrors(encode, decode), X, encode)

    def write(X, errors):
        residual = decode(encode(X))
        residual -= X.toarray()
        np.vecdot(residual, residual, out=errors)

    return fill(errors, write, X, decode)


class LinearErrors:
    """By products with the non-zeros; see ``skae.core.sparse_objective``.

    Parameters
    ----------
    encode : callable
        ``encode(X)``: codes of sparse rows, (n, n_components).
    decode : Layers
        A single one, with identity as activation.
    """

    def __init__(self, encode, decode):
        weights, biases, _ = decode.layers[0]  # Dᵀ and c
        self._encode = encode
        self._decoder = np.column_stack([weights, biases]).astype(np.float64)
        self._gram = self._decoder.T @ self._decoder

    def __call__(self, X, errors):
        rows = SparseRows(X)
        H = np.ones((self._decoder.shape[1], len(rows)))
        H[:-1] = self._encode(X).T
        products = rows.times(self._decoder).T
        losses, _ = linear_losses(H, products, self._gram, rows.squared_norms)
        np.multiply(losses, 2, out=errors)
