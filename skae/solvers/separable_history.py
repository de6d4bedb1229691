"""What L-BFGS remembers of each column, and the directions -H g they imply."""

import numpy as np

from skae.solvers.arrays import Indices, Matrix, Vector


def column_dots(A: Matrix, B: Matrix) -> Vector:
    """Scalar products of the columns of A with those of B."""
    return np.einsum("kn,kn->n", A, B)


class SeparableHistory:
    """Pairs (s, y) of every column, and the two-loop recursion through them.

    With ρ = 1/sᵀy, the BFGS inverse Hessian started from H₀ = θ diag(1/c) is applied
    by (Nocedal & Wright 2006, algorithm 7.4)

        q ← g;      a ← ρ sᵀq,  q ← q - a y    from the newest pair to the oldest,
        q ← H₀ q;   q ← q + (a - ρ yᵀq) s      from the oldest to the newest,

    where θ = sᵀy / yᵀdiag(1/c)y of the newest pair. `History` avoids this recursion by
    a compact form, which needs the products of all pairs with H₀ between them; here
    the diagonal c is another one at each iteration.

    Parameters
    ----------
    shape : tuple of int
        (k, n): n columns of k numbers.
    dtype : dtype
        Of the vectors.
    n_corrections : int
        Number of pairs kept.
    """

    def __init__(
        self, shape: tuple[int, int], dtype: np.dtype[np.floating], n_corrections: int
    ) -> None:
        self._room = n_corrections
        # (S, Y, ρ) of all columns, newest first.
        self._pairs: list[tuple[Matrix, Matrix, Vector]] = []
        self._make_buffers(shape, dtype)
        self.empty = np.ones(shape[1], bool)

    def _make_buffers(
        self, shape: tuple[int, int], dtype: np.dtype[np.floating]
    ) -> None:
        self._scratch: Matrix = np.empty(shape, dtype)
        info = np.finfo(dtype)
        self._eps, self._tiny = float(info.eps), float(info.tiny)

    def take(self, columns: Indices) -> None:
        """Keep these columns only."""
        self._pairs = [
            (S.take(columns, axis=1), Y.take(columns, axis=1), rho[columns])
            for S, Y, rho in self._pairs
        ]
        self.empty = self.empty[columns]
        self._make_buffers((len(self._scratch), len(columns)), self._scratch.dtype)

    def forget(self, columns: Indices) -> None:
        """Drop every pair of these columns."""
        for _, _, rho in self._pairs:
            rho[columns] = 0.0
        self.empty[columns] = True

    def update(self, S: Matrix, Y: Matrix) -> None:
        """Store the steps and differences of gradients whose curvature is positive.

        A column whose pair is refused keeps its older ones, one fewer when its turn
        comes: pairs grow old by iterations.
        """
        if len(self._pairs) == self._room:
            kept_S, kept_Y, rho = self._pairs.pop()
            kept_S[:], kept_Y[:] = S, Y
        else:
            kept_S, kept_Y = S.copy(), Y.copy()
        sy, yy = column_dots(S, Y), column_dots(Y, Y)
        # Below eps |s||y| the sign of sᵀy is rounding.
        least = self._eps * np.sqrt(column_dots(S, S) * yy)
        stored = (sy > least) & (yy < np.inf)
        stored &= sy >= self._tiny  # or its inverse overflows
        rho = np.where(stored, 1 / sy, 0).astype(S.dtype, copy=False)
        # Zero times what is not finite would not be zero.
        refused = np.flatnonzero(~stored)
        kept_S[:, refused] = kept_Y[:, refused] = 0.0
        self._pairs.insert(0, (kept_S, kept_Y, rho))
        self.empty &= ~stored

    def direction(self, G: Matrix, C: Matrix, out: Matrix) -> Matrix:
        """Write d = -H g of every column to `out`."""
        T = self._scratch
        np.negative(G, out=out)
        steps = []
        for S, Y, rho in self._pairs:
            a = column_dots(S, out)
            a *= rho
            out -= np.multiply(Y, a, out=T)
            steps.append(a)
        out /= C
        if self._pairs:
            out *= self._scale(C)
        for (S, Y, rho), a in zip(reversed(self._pairs), reversed(steps), strict=True):
            b = column_dots(Y, out)
            b *= rho
            np.subtract(a, b, out=a)
            out += np.multiply(S, a, out=T)
        return out

    def _scale(self, C: Matrix) -> Vector:
        """θ of every column; 1 where the newest pair was refused, or says nothing."""
        _, Y, rho = self._pairs[0]
        np.multiply(Y, Y, out=self._scratch)
        self._scratch /= C
        inverse = rho * self._scratch.sum(axis=0)
        # Squares may be too small for numbers, where the products sᵀy are not.
        there = (rho > 0) & (inverse >= self._tiny)
        return np.where(there, 1 / inverse, 1).astype(C.dtype, copy=False)
