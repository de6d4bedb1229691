"""Rounds of sparse coding: codes of a batch, then the dictionary in closed form."""

import time
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse

from skae.core.coding import (
    CodeObjective,
    NoPooling,
    TorusPooling,
    code_sums,
    dictionary_step,
    squared_norms,
)
from skae.core.sparse_rows import SparseRows
from skae.engines.row_map import row_blocks
from skae.solvers import minimize_separable

# How fast sums of earlier rounds are forgotten: after t rounds about the last t/20
# still count. Slower forgetting averages more and learns later.
_FORGETTING = 20
# While the dictionary still moves, codes need not be better than this.
_CODE_TOL = 1e-5
# For good codes are found to this, which takes some 30 to 200 iterations.
_ENCODE_TOL = 1e-9
MAX_ITER_ENCODE = 5000


@dataclass
class Sums:
    """Weighted sums over the rows of this round and, fading, of those before it."""

    SS: np.ndarray  # Σ w s sᵀ, (n_components, n_components), float64
    SX: np.ndarray  # Σ w s xᵀ, (n_components, n_features), float64
    weight: float = 0.0  # Σ w
    rounds: int = 0

    @classmethod
    def of_nothing(cls, n_components, n_features):
        return cls(
            np.zeros((n_components, n_components)), np.zeros((n_components, n_features))
        )

    def faded(self, entirely):
        """What counts in the next round of them: a copy."""
        rounds = self.rounds + 1
        kept = 0.0 if entirely else (1 - 1 / rounds) ** _FORGETTING
        return Sums(self.SS * kept, self.SX * kept, self.weight * kept, rounds)


@dataclass(frozen=True)
class Model:
    """The constants of J."""

    sparsity_weight: float
    dictionary_penalty: float
    epsilon: float
    pooling: NoPooling | TorusPooling

    def codes(self, A):
        """The objective of the codes, for the dictionary A."""
        return CodeObjective(A, self.sparsity_weight, self.epsilon, self.pooling)


def random_dictionary(rng, shape, size, model):
    """Gaussian atoms of one length.

    It is the length at which the penalties of a dictionary and of the codes it would
    have are about equal, but at least one with which λ does not silence a typical
    code.

    Parameters
    ----------
    rng : RandomState
    shape : tuple of int
        (n_components, n_features).
    size : float
        Root mean square length of a row of data.
    model : Model
    """
    A = rng.standard_normal(shape)
    balanced = size * (2 * shape[0] * model.dictionary_penalty) ** -0.5
    audible = model.sparsity_weight / size * shape[1] ** 0.5
    return A * (max(balanced, audible) / np.linalg.norm(A, axis=1, keepdims=True))


def improve(engine, A, rows, model, code_max_iter, sums):
    """One round: code rows with the dictionary A, and return the next dictionary.

    Parameters
    ----------
    engine : RowEngine
    A : ndarray of shape (n_components, n_features)
        In the dtype of the rows.
    rows : PickedRows
    model : Model
    code_max_iter : int
    sums : Sums
        What of earlier rounds is to count; this round is added.

    Returns
    -------
    A : ndarray of shape (n_components, n_features)
    loss : float
        J of this round's rows, before the dictionary changed.
    """
    codes = model.codes(A)

    def compute(block):
        x, w = rows.block(block)
        S, value = _solve(codes.of_rows(x), code_max_iter, _CODE_TOL)[:2]
        value = value.astype(np.float64) + squared_norms(x)
        total = value.sum() if w is None else value @ w
        weight = len(x) if w is None else w.sum(dtype=np.float64)
        SS, SX = code_sums(S, x, w)
        rows.release(block)
        return SS, SX, float(total), float(weight)

    objective = weight = 0.0
    blocks = row_blocks(len(rows), len(A))
    for SS, SX, part, part_weight in engine.map(compute, blocks):
        sums.SS += SS
        sums.SX += SX
        objective += part
        weight += part_weight
    sums.weight += weight
    loss = objective / weight
    loss += model.dictionary_penalty * float(np.vdot(A, A))
    A = dictionary_step(
        sums.SS / sums.weight, sums.SX / sums.weight, model.dictionary_penalty
    )
    return A.astype(rows.dtype), loss


class Encoder:
    """Maps blocks of rows to their codes, for the dictionary A.

    In float64 whatever the dtype of X: where atoms are alike J is nearly flat, and in
    float32 the codes of a row would differ visibly by how rounding falls in its block.

    Attributes
    ----------
    converged : bool
        Whether all codes so far did.
    """

    def __init__(self, A, model):
        self._codes = model.codes(A.astype(np.float64, copy=False))
        self.converged = True
        n_components, n_features = A.shape
        # A dozen arrays of codes should fit a cache; there are many iterations.
        self.numbers_per_row = 8 * n_components
        self.multiplications_per_row = 30 * n_components * n_features

    def __call__(self, X, out=None):
        """Codes of the rows X, (n, n_components), written to ``out`` if given."""
        sparse = issparse(X)
        rows = SparseRows(X) if sparse else X.astype(np.float64, copy=False)
        of_rows = self._codes.of_rows(rows)
        found, _, _, converged = _solve(of_rows, MAX_ITER_ENCODE, _ENCODE_TOL)
        if not converged.all():
            self.converged = False
        if out is None:
            out = np.empty(found.T.shape, X.dtype)
        out[:] = found.T
        return out


def _solve(codes, max_iter, tol):
    return minimize_separable(
        codes, codes.start(), max_iter=max_iter, tol=tol * codes.scale()
    )


class Batches:
    """Endless batches: the rows in a random order, then in another one."""

    def __init__(self, n_samples, batch_size, rng):
        self._n, self._size, self._rng = n_samples, batch_size, rng
        self._order, self._next = None, n_samples

    @property
    def all_rows(self):
        """Whether every batch holds all rows, in their own order."""
        return self._size >= self._n

    def take(self, rows):
        """The next batch of ``rows``, which are ``PickedRows``."""
        if self.all_rows:
            return rows
        # Batches are of one size; the few rows left over are other ones each time.
        if self._next + self._size > self._n:
            self._order, self._next = self._rng.permutation(self._n), 0
        self._next += self._size
        return rows.pick(self._order[self._next - self._size : self._next])


class Report:
    """Prints a line now and then: every tenth round, or each if verbose > 1."""

    def __init__(self, verbose):
        self._verbose, self._start = verbose, time.perf_counter()

    def __call__(self, n_iter, loss, change):
        every = 1 if self._verbose > 1 else 10
        if self._verbose and (n_iter % every == 0 or n_iter == 1):
            print(
                f"round {n_iter:5d}  loss {loss:.6e}  change {change:.2e}  "
                f"{time.perf_counter() - self._start:7.2f} s"
            )
