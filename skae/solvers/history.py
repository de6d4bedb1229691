"""What L-BFGS remembers: the last pairs (s, y), and the direction -H g they imply."""

import numpy as np

from skae.solvers.arrays import Matrix, Vector


class History:
    """Limited-memory inverse Hessian in compact form.

    With the pairs s = x₊ - x and y = g₊ - g of the last m steps as the rows of S and Y,
    the BFGS inverse Hessian started from γI is (Byrd, Nocedal & Schnabel 1994, eq. 3.1;
    Nocedal & Wright 2006, eq. 7.24 gives its companion for the Hessian)

        H g = γ g + Sᵀ u - γ Yᵀ p,
        p = R⁻¹ (S g),    u = R⁻ᵀ ((D + γ Y Yᵀ) p - γ Y g),

    where R is the upper triangle of S Yᵀ (older pairs first), D its diagonal, and
    γ = sᵀy / yᵀy of the newest pair.

    Parameters
    ----------
    g : ndarray of shape (n,), float32 or float64
        Gradient at the starting point, not zero. Vectors are stored in its dtype.
    n_corrections : int
        Number m of pairs kept.

    Attributes
    ----------
    g : ndarray of shape (n,)
        The gradient at the current point, a copy; `gradient` is another name of it.
    n_corrections : int
        Number of pairs kept.
    gamma : float
        γ; 1/|g| before the first pair. It survives `clear`: it is the scale of x.
    empty : bool
        Whether no pair is held, so that the direction is -γ g.

    Notes
    -----
    *Why not the two-loop recursion.* It needs 2m scalar products and 2m updates of a
    vector one after the other; here they are two matrix-vector products that read S
    and Y once each. Microseconds per direction, m = 10, one BLAS thread, two AMD EPYC
    cores, NumPy 2.4 (two-loop / compact):

    ========= =============== ================
    n         float32         float64
    ========= =============== ================
    3,300     53 / 15         71 / 23
    31,000    206 / 90        397 / 160
    308,000   2,300 / 1,400   5,000 / 4,000
    2,000,000 21,000 / 14,000 43,000 / 31,000
    ========= =============== ================

    *Memory* is 2m + 1 vectors: g and the pairs are the rows of one matrix W, so that
    W g holds every product with the gradient, and H g itself is one product with W.

    *A ring without sorting.* A new pair overwrites the oldest one's rows. The small
    matrices are indexed by the same slots, not by age: H g does not change when all of
    them are permuted alike. R⁻¹ is kept instead of R: dropping the oldest pair from a
    triangular matrix just deletes a row and a column of its inverse, and a new pair
    adds one column. A slot whose row and column of R⁻¹ are zero has no influence.
    """

    g: Vector
    gradient: Vector
    gamma: float

    def __init__(self, g: Vector, n_corrections: int) -> None:
        self.n_corrections = m = n_corrections
        self._W: Matrix = np.empty_like(g, shape=(1 + 2 * m, g.size))
        self.g = self.gradient = self._W[0]
        self.g[:] = g
        self._pairs = [(self._W[1 + 2 * j], self._W[2 + 2 * j]) for j in range(m)]
        self._eps = float(np.finfo(g.dtype).eps)
        # Before the first pair nothing tells the scale of x, and H g has length 1.
        largest = float(np.abs(g).max())
        self.gamma = 1 / (largest * float(np.linalg.norm(g / largest)))
        # Everything k x k is float64: it costs nothing, and R may be ill-conditioned.
        self._R_inv = np.zeros((m, m))
        self._YY = np.zeros((m, m))
        self._D = np.zeros(m)
        self._Wg, self._Wy = np.zeros(1 + 2 * m), np.zeros(1 + 2 * m)
        self._Sg, self._Yg = self._Wg[1::2], self._Wg[2::2]
        self._Sy, self._Yy = self._Wy[1::2], self._Wy[2::2]
        self._coef = np.zeros(1 + 2 * m, dtype=g.dtype)
        self.clear()

    @property
    def empty(self) -> bool:
        return not self._R_inv.any()

    def clear(self) -> None:
        """Forget every pair; the scale γ stays."""
        self._R_inv[:] = 0.0
        self._slot = 0
        self._rows = 1

    def resume(self, g: Vector) -> None:
        """Go on from the gradient `g`, of another point or another function, say."""
        self.g[:] = g
        self._multiply_gradient()

    def update(self, x_new: Vector, x_old: Vector, g_new: Vector) -> bool:
        """Move on to `x_new`: store the pair of this step if its curvature is positive.

        Returns
        -------
        bool
            Whether the pair was stored.
        """
        j = self._slot
        s, y = self._pairs[j]
        sy, yy, ss = self._step(s, y, x_new, x_old, g_new)
        # The oldest pair has gone from its slot either way, so a refused pair leaves
        # the slot empty.
        self._R_inv[j] = 0.0
        self._R_inv[:, j] = 0.0
        stored = self._stored(sy, yy, ss)
        if stored:
            self._rows = max(self._rows, 3 + 2 * j)
        else:
            s[:] = 0.0
            y[:] = 0.0
        self._multiply_gradient()
        if stored:
            # R gains the column (S y, sᵀy), so R⁻¹ gains (-R⁻¹ S y, 1) / sᵀy.
            column = self._R_inv.dot(self._Sy)
            column /= -sy
            column[j] = 1.0 / sy
            self._R_inv[:, j] = column
            self._Yy[j] = yy
            self._YY[j] = self._Yy
            self._YY[:, j] = self._Yy
            self._D[j] = sy
            self.gamma = sy / yy
            self._slot = (j + 1) % len(self._pairs)
        return stored

    def _step(
        self, s: Vector, y: Vector, x_new: Vector, x_old: Vector, g_new: Vector
    ) -> tuple[float, float, float]:
        """Write s and y, and keep the new gradient; returns sᵀy, yᵀy and sᵀs."""
        # The step as it was taken: in float32, x + t d is not x plus exactly t d.
        np.subtract(x_new, x_old, out=s)
        self._move(y, x_new, g_new)
        return float(np.dot(s, y)), float(np.dot(y, y)), float(np.dot(s, s))

    def _stored(self, sy: float, yy: float, ss: float) -> bool:
        """Whether a pair is stored: below eps |s||y| the sign of sᵀy is rounding."""
        return 0.0 < yy < np.inf and sy > self._eps * (ss * yy) ** 0.5

    def _move(self, y: Vector, x_new: Vector, g_new: Vector) -> None:
        """Write the gradient's change to `y`, and keep the new one."""
        np.subtract(g_new, self.g, out=y)
        self.g[:] = g_new

    def _multiply_gradient(self) -> None:
        """W g, and W y as the difference of two W g: no product with y is needed."""
        rows = self._rows
        Wg = self._times_gradient()
        np.subtract(Wg, self._Wg[:rows], out=self._Wy[:rows])
        self._Wg[:rows] = Wg

    def _times_gradient(self) -> np.ndarray:
        """W g, of the rows of W that hold anything."""
        product: np.ndarray = np.dot(self._W[: self._rows], self.g)
        return product

    def norm(self, buffer: Vector) -> float:
        """Largest absolute entry of g; `buffer` is overwritten."""
        return float(np.maximum.reduce(np.abs(self.g, out=buffer)))

    def direction(self, out: Vector) -> Vector:
        """Write d = -H g to `out`."""
        if self._rows == 1:
            return np.multiply(self.g, -self.gamma, out=out)
        return np.dot(self._coefficients(), self._W[: self._rows], out=out)

    def _coefficients(self) -> Vector:
        """Those of d as a sum of rows of W."""
        gamma, coef, rows = self.gamma, self._coef, self._rows
        if rows == 1:
            coef[0] = -gamma
            return coef[:1]
        # ndarray.dot: half the time of @ at this size.
        p = self._R_inv.dot(self._Sg)
        Dp = self._D * p
        p *= gamma
        minus_v = self._Yg * gamma
        minus_v -= self._YY.dot(p)
        minus_v -= Dp
        coef[0] = -gamma
        coef[1::2] = minus_v.dot(self._R_inv)
        coef[2::2] = p
        return coef[:rows]


class Memory:
    """What a run of L-BFGS leaves to the next one, if both are given it.

    Pairs (s, y) tell of the curvature along s, and do so of another function, too, if
    it is curved alike: the mean over other rows or over other noise. The next run has
    its own gradient from its first evaluation on, so that no pair is ever a difference
    of gradients of two functions.

    Attributes
    ----------
    history : History or None
        Of the last run; None before the first. Runs change it, and take as much memory
        together as one.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.solvers import Memory, minimize_lbfgs
    >>> def fun(x):
    ...     return np.cosh(x).sum(), np.sinh(x), None
    >>> memory, x = Memory(), np.linspace(0, 2, 5)
    >>> for _ in range(3):
    ...     x = minimize_lbfgs(fun, x, max_iter=2, memory=memory).x
    >>> bool((x == minimize_lbfgs(fun, np.linspace(0, 2, 5), max_iter=6).x).all())
    True
    """

    def __init__(self) -> None:
        self.history: History | None = None

    def check(self, x: Vector, kind: type[History], n_corrections: int) -> None:
        """Refuse a history of another kind of run."""
        history = self.history
        if history is None:
            return
        left = type(history), history.g.dtype, history.g.shape, history.n_corrections
        if left != (kind, x.dtype, x.shape, n_corrections):
            raise ValueError(
                "memory is that of a run with another size or dtype of x0, other "
                "n_corrections, or l1 where there is none now or the reverse; give "
                "this run a new Memory()"
            )
