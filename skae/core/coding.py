"""Sparse coding: the objective of the codes, the pools of units, the dictionary.

With n rows x_i, codes s_i and the dictionary A (n_components, n_features),

    J = (1/n) Σ_i ‖s_i A − x_i‖² + λ (1/n) Σ_i Σ_r sqrt((V s_i²)_r + ε) + γ ‖A‖²_F,

s² taken entry by entry. V = I is plain sparse coding; a V that adds the squares of
neighbouring units makes neighbours active together. Given A, the rows are independent
and convex: `CodeObjective`. Given the codes, A is a ridge regression:
`dictionary_step`. Sample weights replace the means over rows by weighted ones.

Codes are kept as columns, (n_components, n): what belongs to a row then broadcasts
along contiguous memory, and so do the shifts that pool neighbouring units.

Of the rows, J takes A x_i, Σ_i s_i x_iᵀ and ‖x_i‖² only, so sparse rows stay sparse.
These three are in float64 then: SciPy adds up products one after the other, and in
float32 a round came out further from that in float64 than with dense rows.
"""

from functools import cached_property
from typing import Self

import numpy as np

from skae.core.sparse_rows import SparseRows

# An atom this short beside the longest is one that no row uses.
_UNUSED = 1e-3


class NoPooling:
    """V = I: every unit is a pool of its own."""

    def __init__(self, n_components: int):
        self.n_components, self.size = n_components, 1

    def pool(self, Q: np.ndarray) -> np.ndarray:
        """V Q, here Q itself."""
        return Q

    def spread(self, W: np.ndarray) -> np.ndarray:
        """Vᵀ W, here W itself."""
        return W

    def indices(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column indices of the ones of V."""
        return np.arange(self.n_components), np.arange(self.n_components)


class TorusPooling:
    """V[r, c] = 1 where unit c lies in the window that starts at unit r.

    The units lie on a grid, row by row, whose opposite edges meet. Every row and
    column of V sums to size².

    Parameters
    ----------
    rows, columns : int
        Shape of the grid.
    size : int
        Edge of the square window, at most the smaller of the two.

    Notes
    -----
    Sums of shifted arrays, first along one edge of the window and then along the
    other. For 11 x 11 units and windows of 3 x 3 that takes about as long as a sparse
    product with V, and half as long as a dense one; for 20 x 20 a fifth.
    """

    def __init__(self, rows: int, columns: int, size: int):
        self.rows, self.columns, self.size = rows, columns, size
        self.n_components = rows * columns

    def pool(self, Q: np.ndarray) -> np.ndarray:
        """V Q for Q of shape (n_components, n)."""
        return self._sums(Q, 0)

    def spread(self, W: np.ndarray) -> np.ndarray:
        """Vᵀ W for W of shape (n_components, n)."""
        return self._sums(W, self.size - 1)

    def _sums(self, Q: np.ndarray, before: int) -> np.ndarray:
        """Sums over windows that start ``before`` places before each unit."""
        rows, columns, margin = self.rows, self.columns, self.size - 1
        if margin == 0:
            return Q
        n = Q.shape[1]
        padded = np.empty((rows + margin, columns + margin, n), Q.dtype)
        middle = slice(before, before + rows), slice(before, before + columns)
        padded[middle] = Q.reshape(rows, columns, n)
        # The margin is what lies beyond the opposite edge.
        to, there = (rows, 0) if before == 0 else (0, rows)
        padded[to : to + margin, middle[1]] = padded[there : there + margin, middle[1]]
        to, there = (columns, 0) if before == 0 else (0, columns)
        padded[:, to : to + margin] = padded[:, there : there + margin]
        strips = padded[:rows] + padded[1 : rows + 1]
        for i in range(2, self.size):
            strips += padded[i : i + rows]
        sums = strips[:, :columns] + strips[:, 1 : columns + 1]
        for j in range(2, self.size):
            sums += strips[:, j : j + columns]
        return sums.reshape(-1, n)

    def indices(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column indices of the ones of V."""
        r, c, i, j = np.ogrid[: self.rows, : self.columns, : self.size, : self.size]
        members = (r + i) % self.rows * self.columns + (c + j) % self.columns
        pools = np.repeat(np.arange(self.rows * self.columns), self.size**2)
        return pools, members.ravel()


def pooling_of(
    n_components: int, topography: tuple[int, int] | None, pool_size: int
) -> NoPooling | TorusPooling:
    """V of units on a grid of such a shape, or of units without one."""
    if topography is None:
        return NoPooling(n_components)
    return TorusPooling(*topography, pool_size)


class CodeObjective:
    """The part of J that depends on the codes, for one dictionary.

    Parameters
    ----------
    A : ndarray of shape (n_components, n_features)
        Dictionary; its dtype is that of everything else.
    sparsity_weight, epsilon : float
        λ and ε.
    pooling : NoPooling or TorusPooling
        V.
    exponent : int
        e: rows are given in units 2^e times smaller than those of A and λ.
    """

    def __init__(
        self,
        A: np.ndarray,
        sparsity_weight: float,
        epsilon: float,
        pooling: "NoPooling | TorusPooling",
        exponent: int = 0,
    ):
        self.A, self.pooling = A, pooling
        self.sparsity_weight, self.epsilon = sparsity_weight, epsilon
        self._exponent = exponent
        self.squares = np.vecdot(A, A)[:, np.newaxis]
        k, d = A.shape
        # The cheaper of S ↦ 2 A Aᵀ S and S ↦ 2 A (Aᵀ S).
        self._gram = 2 * (A @ A.T) if k <= 2 * d else None
        # Where an atom is 0 and λ too, J does not depend on its code.
        self.curvature = np.maximum(2 * self.squares, np.finfo(A.dtype).tiny)

    @classmethod
    def in_range(
        cls,
        A: np.ndarray,
        sparsity_weight: float,
        epsilon: float,
        pooling: "NoPooling | TorusPooling",
    ) -> Self:
        """The same in units in which the largest of A and sqrt(λ) is of order one.

        A and X are divided by 2^e, and λ by 4^e. That rounds nothing, so the codes are
        the same, and products of gradients stay in range, which are fourth powers of
        A.
        """
        largest = float(np.abs(A).max(initial=0))
        sizes = [size for size in (largest, sparsity_weight**0.5) if size > 0]
        exponent = int(np.frexp(max(sizes, default=1.0))[1])
        weight = float(np.ldexp(sparsity_weight, -2 * exponent))
        return cls(np.ldexp(A, -exponent), weight, epsilon, pooling, exponent)

    @cached_property
    def _by_feature(self) -> np.ndarray:
        """Aᵀ, float64, in one piece; a product of SciPy's would copy it every time."""
        return np.ascontiguousarray(self.A.T, np.float64)

    def of_rows(self, X: np.ndarray | SparseRows) -> "RowCodes":
        """The objective of the codes of X, (n, n_features), dense or ``SparseRows``."""
        if isinstance(X, SparseRows):
            products = X.times(self._by_feature)
            B = np.ascontiguousarray(products.T, self.A.dtype)
        else:
            B = self.A @ X.T
        return RowCodes(self, np.ldexp(B, 1 - self._exponent, out=B))

    def in_data_units(self, value: np.ndarray) -> np.ndarray:
        """Values of ``RowCodes`` in squared units of X, in float64."""
        return np.ldexp(value.astype(np.float64), 2 * self._exponent)

    def product(self, S: np.ndarray, out: np.ndarray) -> np.ndarray:
        """2 A Aᵀ S."""
        if self._gram is not None:
            return np.matmul(self._gram, S, out=out)
        np.matmul(self.A, self.A.T @ S, out=out)
        out *= 2
        return out


class RowCodes:
    """f_i(s) = ‖s A − x_i‖² − ‖x_i‖² + λ Σ_r sqrt((V s²)_r + ε) of some rows.

    Without the constant ‖x_i‖², so that f is as small as its differences are.
    Column i of every array belongs to row i.

    Parameters
    ----------
    objective : CodeObjective
        A, λ, ε and V.
    B : ndarray of shape (n_components, n)
        2 A Xᵀ.
    """

    def __init__(self, objective: CodeObjective, B: np.ndarray):
        self.objective, self.B = objective, B

    def take(self, columns: np.ndarray) -> "RowCodes":
        """The objective of the codes of these rows only."""
        return RowCodes(self.objective, self.B.take(columns, axis=1))

    def start(self) -> np.ndarray:
        """The codes A x_i / ‖A_j‖², (n_components, n); 0 for atoms as good as 0."""
        squares = self.objective.squares
        used = squares > _UNUSED**2 * squares.max()
        return self.B * np.divide(0.5, squares, out=np.zeros_like(squares), where=used)

    def scale(self) -> np.ndarray:
        """How large entries of the gradient may be, (n,): λ + 2 max_j |A_j x_i|."""
        return np.abs(self.B).max(axis=0) + self.objective.sparsity_weight

    def __call__(
        self, S: np.ndarray, gradient: np.ndarray, curvature: np.ndarray
    ) -> np.ndarray:
        """Values (n,), with gradient and curvature written to arrays like S.

        The gradient is 2 A (Aᵀ s − x) + s ∘ w with w = λ Vᵀ (1 / sqrt(V s² + ε)).
        The curvature 2 ‖A_j‖² + w_j is the diagonal of a quadratic that touches f
        at s and lies above its penalty, as the root is concave in s².
        """
        it = self.objective
        it.product(S, out=gradient)
        gradient -= self.B
        np.subtract(gradient, self.B, out=curvature)
        value = np.einsum("kn,kn->n", S, curvature)
        value *= 0.5
        np.square(S, out=curvature)
        roots = it.pooling.pool(curvature)
        roots += it.epsilon
        np.sqrt(roots, out=roots)
        value += it.sparsity_weight * roots.sum(axis=0)
        np.divide(it.sparsity_weight, roots, out=roots)
        weights = it.pooling.spread(roots)
        gradient += S * weights
        np.add(weights, it.curvature, out=curvature)
        return value


def squared_norms(X: np.ndarray | SparseRows) -> np.ndarray:
    """‖x_i‖² of the rows X, (n, n_features), dense or ``SparseRows``."""
    return X.squared_norms if isinstance(X, SparseRows) else np.vecdot(X, X)


def code_sums(
    S: np.ndarray, X: np.ndarray | SparseRows, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Σ_i w_i s_i s_iᵀ and Σ_i w_i s_i x_iᵀ, what `dictionary_step` takes the means of.

    Parameters
    ----------
    S : ndarray of shape (n_components, n)
        Codes.
    X : ndarray or SparseRows of shape (n, n_features)
        Rows.
    weights : ndarray of shape (n,), optional
        w, by default ones.
    """
    T = S if weights is None else S * weights
    if isinstance(X, SparseRows):
        return T @ S.T, X.transposed_times(T.T.astype(np.float64)).T
    return T @ S.T, T @ X


def dictionary_step(SS: np.ndarray, SX: np.ndarray, penalty: float) -> np.ndarray:
    """The dictionary that minimises J for given codes: (SᵀS/n + γ I)⁻¹ SᵀX/n.

    Parameters
    ----------
    SS : ndarray of shape (n_components, n_components)
        Mean of s_i s_iᵀ, in float64.
    SX : ndarray of shape (n_components, n_features)
        Mean of s_i x_iᵀ, in float64.
    penalty : float
        γ > 0.

    Returns
    -------
    A : ndarray of shape (n_components, n_features), float64
    """
    ridge = SS.copy()
    ridge.flat[:: len(SS) + 1] += penalty
    try:
        return np.linalg.solve(ridge, SX)
    except np.linalg.LinAlgError:
        # γ is less than rounding of SᵀS. The shortest solution is the limit γ → 0.
        return np.linalg.lstsq(ridge, SX)[0]
