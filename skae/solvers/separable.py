"""L-BFGS for many small problems at once: one for each column of an array."""

from typing import NamedTuple, Protocol

import numpy as np

from skae.solvers.arrays import Indices, Mask, Matrix, Vector
from skae.solvers.result import NotFiniteError
from skae.solvers.run import NOISE, PATIENCE
from skae.solvers.separable_history import SeparableHistory, column_dots
from skae.solvers.separable_search import Trials, acceptable, search

# Columns that are done are left out of the arrays when so few are left.
_WORTH_PACKING = 0.8
_ONE_PER_COLUMN = "value tol here done stuck idle least_value least_norm".split()


class Separable(Protocol):
    """A function of each column of a (k, n) array, for all columns together."""

    def __call__(self, X: Matrix, gradient: Matrix, curvature: Matrix, /) -> Vector:
        """Values at the columns of X, (n,); gradient and curvature are written.

        ``curvature`` is a positive guess of the diagonal of the Hessian, (k, n). It
        is what L-BFGS starts from; the better it is, the fewer the iterations. Ones
        will do.
        """

    def take(self, columns: Indices) -> "Separable":
        """The function of these columns only, an array of indices."""


class SeparableResult(NamedTuple):
    """Where the columns ended.

    Attributes
    ----------
    X : ndarray of shape (k, n)
        The points, in the dtype of the start.
    value : ndarray of shape (n,)
        The function there, above that at the start by rounding at most.
    n_iter : ndarray of shape (n,)
        Iterations of each column.
    converged : ndarray of shape (n,)
        Whether they reached `tol`, or the limit of rounding, before `max_iter`.
    """

    X: Matrix
    value: Vector
    n_iter: Indices
    converged: Mask


def minimize_separable(
    fun: Separable,
    X0: Matrix,
    *,
    max_iter: int = 200,
    tol: float | Vector = 1e-5,
    n_corrections: int = 3,
) -> SeparableResult:
    """Minimise a function of each column of an array, each by an L-BFGS of its own.

    Every column has its own step, pairs and end, as if it were minimised alone; only
    the arithmetic is done together. So the result of a column does not depend on its
    neighbours. The columns x follow

        x ← x + t d,    d = -H g,

    where H is the inverse Hessian that BFGS builds from the last steps of the column,
    started from the diagonal 1/`curvature` of the moment, and t meets the strong Wolfe
    conditions.

    Parameters
    ----------
    fun : Separable
        The function.
    X0 : ndarray of shape (k, n), float32 or float64
        A starting point in each column.
    max_iter : int, default=200
        Limit of iterations, at least 0.
    tol : float or ndarray of shape (n,), default=1e-5
        A column has converged when no entry of its gradient exceeds it.
    n_corrections : int, default=3
        Number of pairs kept. The curvature says what more pairs would have to learn.

    Returns
    -------
    SeparableResult

    Raises
    ------
    NotFiniteError
        If a value or gradient is not finite at `X0`.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.solvers import minimize_separable
    >>> class Distance:
    ...     def __init__(self, goals):
    ...         self.goals = goals
    ...     def take(self, columns):
    ...         return Distance(self.goals[:, columns])
    ...     def __call__(self, X, gradient, curvature):
    ...         np.subtract(X, self.goals, out=gradient)
    ...         curvature[:] = 1.0
    ...         return np.sum(gradient**2, axis=0) / 2
    >>> goals = np.array([[1.0, 2.0, 3.0]])
    >>> minimize_separable(Distance(goals), np.zeros((1, 3))).X
    array([[1., 2., 3.]])
    """
    with np.errstate(all="ignore"):
        run = _Run(fun, X0, tol, n_corrections)
        run.iterate(max_iter)
    return run.result


class _Run:
    """The state of all columns; `here` says which of them are still in the arrays."""

    D: Matrix
    X_new: Matrix
    G_new: Matrix
    C_new: Matrix

    def __init__(
        self, fun: Separable, X0: Matrix, tol: float | Vector, n_corrections: int
    ) -> None:
        X = np.array(X0, order="C")
        n = X.shape[1]
        self.fun, self.X = fun, X
        self.noise = NOISE * float(np.finfo(X.dtype).eps)
        self.G, self.C = np.empty_like(X), np.empty_like(X)
        self.value = fun(X, self.G, self.C)
        if not (np.isfinite(self.value).all() and np.isfinite(self.G).all()):
            raise NotFiniteError("the function must be finite at X0, with its gradient")
        self.tol: Vector = np.broadcast_to(tol, n)
        self.here, self.done = np.arange(n), np.zeros(n, bool)
        # As in `minimize_lbfgs`: steps that improve nothing that can be measured.
        self.stuck, self.idle = np.zeros(n, bool), np.zeros(n, int)
        self.least_value, self.least_norm = np.full((2, n), np.inf)
        self.history = SeparableHistory(X.shape, X.dtype, n_corrections)
        self.result = SeparableResult(
            X.copy(), self.value.copy(), np.zeros(n, int), np.zeros(n, bool)
        )
        self._make_buffers()

    def _make_buffers(self) -> None:
        self.D, self.X_new, self.G_new, self.C_new = np.empty(
            (4, *self.X.shape), self.X.dtype
        )

    def iterate(self, max_iter: int) -> None:
        """Run to the end, and leave everything in `result`."""
        for n_iter in range(max_iter + 1):
            self._finish(self._ended() & ~self.done, n_iter)
            if self.done.all():
                return
            if n_iter == max_iter:
                break
            if np.count_nonzero(~self.done) <= _WORTH_PACKING * len(self.done):
                self._pack(np.flatnonzero(~self.done))
            self._step()
        self._keep(np.flatnonzero(~self.done), max_iter)

    def _ended(self) -> Mask:
        """Which columns have converged, or cannot get any further."""
        norm = np.abs(self.G, out=self.D).max(axis=0)
        better = (self.value < self.least_value) | (norm < self.least_norm)
        self.idle = np.where(better, 0, self.idle + 1)
        np.minimum(self.value, self.least_value, out=self.least_value)
        np.minimum(norm, self.least_norm, out=self.least_norm)
        return (norm <= self.tol) | self.stuck | (self.idle >= PATIENCE)

    def _finish(self, ended: Mask, n_iter: int) -> None:
        """Keep columns as they are now; what happens to them later does not count."""
        columns = np.flatnonzero(ended)
        if len(columns):
            self._keep(columns, n_iter)
            self.result.converged[self.here[columns]] = True
            self.done |= ended

    def _keep(self, columns: Indices, n_iter: int) -> None:
        where = self.here[columns]
        self.result.X[:, where] = self.X[:, columns]
        self.result.value[where] = self.value[columns]
        self.result.n_iter[where] = n_iter

    def _pack(self, columns: Indices) -> None:
        """Leave out the columns that are done."""
        self.fun = self.fun.take(columns)
        self.X, self.G, self.C = (
            array.take(columns, axis=1) for array in (self.X, self.G, self.C)
        )
        for name in _ONE_PER_COLUMN:
            setattr(self, name, getattr(self, name)[columns])
        self.history.take(columns)
        self._make_buffers()

    def _step(self) -> None:
        """Move every column."""
        D = self.history.direction(self.G, self.C, out=self.D)
        start = Trials(0.0, self.value, column_dots(self.G, D))
        np.add(self.X, D, out=self.X_new)
        value = self.fun(self.X_new, self.G_new, self.C_new)
        trial = Trials(1.0, value, column_dots(self.G_new, D))
        noise = self.noise * np.abs(self.value)
        failed = ~(acceptable(start, trial, noise) | self.done)
        unmoved = np.empty(0, int)
        if failed.any():
            unmoved = self._search(np.flatnonzero(failed), start, trial, noise)
        # Without a pair to blame, nothing is lower as far as rounding shows.
        self.stuck[unmoved] = self.history.empty[unmoved]
        np.subtract(self.X_new, self.X, out=self.X)
        np.subtract(self.G_new, self.G, out=self.G)
        self.history.update(self.X, self.G)
        self.history.forget(unmoved)
        self.X, self.X_new = self.X_new, self.X
        self.G, self.G_new = self.G_new, self.G
        self.C, self.C_new = self.C_new, self.C
        self.value = value

    def _search(
        self, columns: Indices, start: Trials, trial: Trials, noise: Vector
    ) -> Indices:
        """Find other steps than 1 for some columns; returns those that have none."""
        fun = self.fun.take(columns)
        X, D = self.X[:, columns], self.D[:, columns]
        G, C = np.empty_like(X), np.empty_like(X)
        X_new = np.empty_like(X)

        def evaluate(t: Vector) -> Trials:
            np.multiply(D, t.astype(D.dtype), out=X_new)
            np.add(X, X_new, out=X_new)
            value = fun(X_new, G, C)
            return Trials(t, value, column_dots(G, D))

        found = search(evaluate, start.at(columns), trial.at(columns), noise[columns])
        self.X_new[:, columns], self.G_new[:, columns] = X_new, G
        self.C_new[:, columns], trial.value[columns] = C, found.value
        return columns[found.t == 0]
