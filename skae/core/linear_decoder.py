"""The squared error of a linear reconstruction of sparse rows, from their non-zeros.

Where x̂ = Dᵀ h + c, no entry of it is needed. With a one below each h_i and c below D,
so that X̂ = H D, and P = X Dᵀ, M = D Dᵀ, G = Hᵀ H,

    ‖x̂_i − x_i‖² = h_iᵀ (M h_i − 2 p_i) + ‖x_i‖²,
    ∂J/∂h_i = M h_i − p_i,    ∂J/∂D = G D − Hᵀ X,

and sample weights enter G and Hᵀ X. That is O(nnz k + (n + d) k²) operations instead
of O(n d k), and no array of n x d or of rows x d. All three are small differences of
large terms, so G, Hᵀ X and the products with D are in float64 whatever the dtype of X.
In float32 throughout, where the reconstruction is nearly perfect, the loss came out
several times too large; now it and the gradient are as near as those of dense rows. The
test of such rows holds that.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from skae.core.blocks import Sums
    from skae.core.sparse_rows import SparseRows


class LinearDecoder:
    """D with c as one more row, and what the loss of all rows takes of it.

    Parameters
    ----------
    wide : ndarray of shape (n_features, n_components + 1)
        Dᵀ, with c as its last column.

    Attributes
    ----------
    wide : ndarray of shape (n_features, n_components + 1)
        In float64.
    gram : ndarray of shape (n_components + 1, n_components + 1)
        M.
    """

    def __init__(self, wide: np.ndarray):
        self.wide: np.ndarray = wide.astype(np.float64, copy=False)
        self.gram: np.ndarray = self.wide.T @ self.wide

    def losses(self, H: np.ndarray, X: "SparseRows") -> tuple[np.ndarray, np.ndarray]:
        """½ ‖x̂_i − x_i‖² of each row, and its derivative by the codes.

        Parameters
        ----------
        H : ndarray of shape (n_components + 1, rows)
            Codes by columns, and a row of ones, in float64.
        X : SparseRows
            The rows.

        Returns
        -------
        losses : ndarray of shape (rows,)
        slopes : ndarray of shape (n_components + 1, rows)
            M H − P; its last row belongs to the ones.
        """
        P = X.times(self.wide).T
        slopes = self.gram @ H
        slopes -= P
        losses = slopes - P
        losses *= H
        losses = losses.sum(axis=0)
        losses += X.squared_norms
        # A difference of large numbers, whose rounding may fall below zero.
        return 0.5 * np.maximum(losses, 0), slopes

    @staticmethod
    def sums(
        H: np.ndarray, X: "SparseRows", weights: np.ndarray | None
    ) -> dict[str, Any]:
        """What a block leaves to ``slope``: its G and Hᵀ X, transposed, as ``Sums``."""
        weighted = H if weights is None else H * weights
        return {"gram": weighted @ H.T, "cross": X.transposed_times(weighted.T)}

    def slope(self, total: "Sums") -> np.ndarray:
        """The sum over all rows of ∂/∂D, (n_features, n_components + 1)."""
        slope = self.wide @ total.gram
        slope -= total.cross
        return slope
