"""Training of sparse coding: rounds of codes, then the dictionary.

In each round, the codes of a batch of rows are found by optimisation, with the
dictionary fixed. Then the dictionary that fits these codes, and those of the batches
before, is computed in closed form. A round takes the place of an iteration or an epoch
of other solvers: it is reported, and callbacks follow it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skae.core.coding import (
    CodeObjective,
    NoPooling,
    RowCodes,
    TorusPooling,
    code_sums,
    dictionary_step,
    pooling_of,
    squared_norms,
)
from skae.core.sparse_rows import SparseRows
from skae.engines.row_map import RowEngine, row_blocks
from skae.rows.picked import PickedRows
from skae.solvers import (
    Iteration,
    NotFiniteError,
    Result,
    SeparableResult,
    minimize_separable,
)
from skae.training.problem import MakeEngine, Problem, State
from skae.training.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

# How fast sums of earlier rounds are forgotten: after t rounds about the last t/20
# still count. Slower forgetting averages more and learns later.
_FORGETTING = 20
# While the dictionary still moves, codes need not be better than this.
_CODE_TOL = 1e-5
# For good codes are found to this, which takes some 30 to 200 iterations.
_ENCODE_TOL = 1e-9
MAX_ITER_ENCODE = 5000
_TOO_LARGE = (
    "Codes of some rows of X overflow {dtype}: these rows are too large beside those "
    "of fit; leave them out, or scale X, before fit too."
)


@dataclass(frozen=True)
class DictionaryObjective:
    """J of sparse coding, as ``skae.core.coding`` has it; θ is A, row by row."""

    shape: tuple[int, int]  # of A
    dtype: np.dtype
    sparsity_weight: float
    dictionary_penalty: float
    epsilon: float
    pooling: NoPooling | TorusPooling
    code_max_iter: int

    n_statistics = 0

    @classmethod
    def of(
        cls,
        constants: Mapping[str, Any],
        n_features: int,
        dtype: DTypeLike,
        code_max_iter: int = 0,
    ) -> Self:
        """J with such constants by name, for rows of so many columns."""
        k, grid = constants["n_components"], constants["topography"]
        pooling = pooling_of(k, grid, constants["pool_size"])
        names = ("sparsity_weight", "dictionary_penalty", "epsilon")
        return cls(
            shape=(k, n_features),
            dtype=np.dtype(dtype),
            pooling=pooling,
            code_max_iter=code_max_iter,
            **{name: constants[name] for name in names},
        )

    def codes(self, A: np.ndarray) -> CodeObjective:
        """The objective of the codes, for the dictionary A."""
        weights = self.sparsity_weight, self.epsilon, self.pooling
        return CodeObjective.in_range(A, *weights)

    def start(self, random_state: np.random.RandomState, size: float) -> np.ndarray:
        """θ: Gaussian atoms of one length, for rows of typical length ``size``.

        It is the length at which the penalties of a dictionary and of the codes it
        would have are about equal, but at least one with which λ does not silence a
        typical code.
        """
        A = random_state.standard_normal(self.shape)
        balanced = size * (2 * self.shape[0] * self.dictionary_penalty) ** -0.5
        audible = self.sparsity_weight / size * self.shape[1] ** 0.5
        A *= max(balanced, audible) / np.linalg.norm(A, axis=1, keepdims=True)
        return A.astype(self.dtype).ravel()

    def attributes(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Fitted attributes by name."""
        return {"components_": theta.reshape(self.shape).copy()}


# It is minimised in the units of the data.
DictionaryProblem = Problem[DictionaryObjective, None]


@dataclass
class _Sums:
    """Weighted sums over the rows of this round and, fading, of those before it."""

    SS: np.ndarray  # Σ w s sᵀ, (n_components, n_components), float64
    SX: np.ndarray  # Σ w s xᵀ, (n_components, n_features), float64
    weight: float = 0.0  # Σ w
    rounds: int = 0

    def faded(self, entirely: bool) -> _Sums:
        """What counts in the next round of them: a copy."""
        rounds = self.rounds + 1
        kept = 0.0 if entirely else (1 - 1 / rounds) ** _FORGETTING
        return _Sums(self.SS * kept, self.SX * kept, self.weight * kept, rounds)


@np.errstate(over="ignore", invalid="ignore")  # refused as ``NotFiniteError``
def train_in_rounds(
    problem: DictionaryProblem,
    engine: MakeEngine,
    start: np.ndarray,
    seed: np.random.RandomState,
    state: State | None,
    progress: Progress,
) -> tuple[Result, np.ndarray, State]:
    """Rounds until the dictionary stands still; see ``train_on_all_rows``.

    Parameters
    ----------
    seed : RandomState
        Draws the batches.
    state : dict or None
        Sums that an earlier call returned, to go on from.
    """
    objective, settings, data = problem.objective, problem.settings, problem.data
    (k, d), A = objective.shape, start.reshape(objective.shape)
    sums = _Sums(np.zeros((k, k)), np.zeros((k, d)))
    if state is not None:
        sums = _Sums(**state)
    rows = PickedRows.that_count(data.X.given, data.weights)
    batches = Batches(len(rows), settings.batch_size, seed)
    # Rounds on all rows need none of the sums before.
    entirely = batches.all_rows and state is None
    loss, errors, n_iter, status = np.inf, np.inf, 0, "max_iter"
    try:
        with RowEngine() as threads:
            while n_iter < settings.max_iter and status == "max_iter":
                progress.begin()
                batch, old = batches.take(rows), A
                # All is replaced in one step, after the round.
                A, sums, loss, errors = improve(
                    threads, A, batch, objective, sums.faded(entirely)
                )
                n_iter += 1
                change = float(np.linalg.norm(A - old))
                change /= float(np.linalg.norm(A)) or 1.0
                if change <= settings.tol:
                    status = "dictionary"
                theta, aux = A.ravel(), (loss, {"errors": errors})
                iteration = Iteration(n_iter, n_iter, loss, change, aux, theta)
                progress(iteration, partial(_same, theta))
    except StopIteration:
        status = "stopped"
    except KeyboardInterrupt:
        if n_iter == 0:
            raise
        status = "interrupted"
    theta = A.ravel()
    aux = (loss, {"errors": errors})
    result = Result(theta, loss, None, aux, n_iter, n_iter, status)
    return result, theta, vars(sums).copy()


def _same(theta: np.ndarray) -> np.ndarray:
    return theta


def worse_than_means(
    problem: DictionaryProblem,
    start: np.ndarray,
    theta: np.ndarray,
    loss: float,
    result: Result,
    errors: float,
) -> str | None:
    """Of columns far from zero: that their means alone would do better, or None.

    The codes are shrunk in proportion to a row's length, most of which is the length
    of the means then.
    """
    moments = problem.data.moments
    if errors <= moments.variance or moments.no_variation(problem.objective.dtype):
        return None
    if moments.mean @ moments.mean <= moments.variance:
        return None
    return (
        "reconstructs rows worse than their column means do, for the columns of X are "
        "far from zero; centre them, for instance with StandardScaler(with_std=False), "
        "or lower sparsity_weight."
    )


def improve(
    engine: RowEngine,
    A: np.ndarray,
    rows: PickedRows,
    objective: DictionaryObjective,
    sums: _Sums,
) -> tuple[np.ndarray, _Sums, float, float]:
    """One round: code rows with the dictionary A, and return the next dictionary.

    Parameters
    ----------
    engine : RowEngine
    A : ndarray of shape (n_components, n_features)
    rows : PickedRows
        In the dtype of A.
    objective : DictionaryObjective
    sums : _Sums
        What of earlier rounds is to count; this round is added.

    Returns
    -------
    A : ndarray of shape (n_components, n_features)
    sums : _Sums
    loss : float
        J of this round's rows, before the dictionary changed.
    errors : float
        Mean ‖s A − x‖² of these rows and codes, with the dictionary returned.

    Raises
    ------
    NotFiniteError
        If codes or the dictionary are not finite.
    """
    codes = objective.codes(A)

    def compute(block: slice) -> tuple[np.ndarray, np.ndarray, float, float, float]:
        x, w = rows.block(block)
        S, value = _solve(codes.of_rows(x), objective.code_max_iter, _CODE_TOL)[:2]
        lengths = squared_norms(x)
        value = codes.in_data_units(value) + lengths
        total = value.sum() if w is None else value @ w
        squares = (lengths if w is None else lengths * w).sum(dtype=np.float64)
        weight = len(x) if w is None else w.sum(dtype=np.float64)
        SS, SX = code_sums(S, x, w)
        rows.release(block)
        return SS, SX, float(total), float(squares), float(weight)

    total = weight = squares = 0.0
    own = _Sums(np.zeros_like(sums.SS), np.zeros_like(sums.SX))
    blocks = row_blocks(len(rows), len(A))
    for SS, SX, part, part_squares, part_weight in engine.map(compute, blocks):
        sums.SS += SS
        sums.SX += SX
        own.SS += SS
        own.SX += SX
        total += part
        squares += part_squares
        weight += part_weight
    sums.weight += weight
    penalty = objective.dictionary_penalty
    loss = total / weight + penalty * float(np.vdot(A, A))
    step = dictionary_step(sums.SS / sums.weight, sums.SX / sums.weight, penalty)
    step = step.astype(A.dtype)
    if not np.isfinite(step).all():
        raise NotFiniteError
    errors = squares - 2 * np.vdot(step, own.SX) + np.vdot(own.SS, step @ step.T)
    return step, sums, loss, float(errors) / weight


def _in_float64(X: np.ndarray) -> np.ndarray:
    return X.astype(np.float64, copy=False)


class Encoder:
    """Maps blocks of rows to their codes, for the dictionary A.

    In float64 whatever the dtype of X: where atoms are alike J is nearly flat, and in
    float32 the codes of a row would differ visibly by how rounding falls in its block.

    Parameters
    ----------
    A : ndarray of shape (n_components, n_features)
        The dictionary.
    objective : DictionaryObjective
        Its constants.
    rows_of : callable
        From a block of rows to what ``CodeObjective.of_rows`` takes.

    Attributes
    ----------
    converged : bool
        Whether all codes so far did.
    """

    def __init__(
        self,
        A: np.ndarray,
        objective: DictionaryObjective,
        rows_of: Callable[[Any], np.ndarray | SparseRows] = _in_float64,
    ) -> None:
        self._A, self._objective, self._rows_of = A, objective, rows_of
        self._codes = objective.codes(A.astype(np.float64, copy=False))
        self.converged = True
        n_components, n_features = A.shape
        # A dozen arrays of codes should fit a cache; there are many iterations.
        self.numbers_per_row = 8 * n_components
        self.multiplications_per_row = 30 * n_components * n_features

    def for_sparse(self, entries_per_row: float) -> Encoder:
        """The same for blocks of sparse rows."""
        return Encoder(self._A, self._objective, SparseRows)

    def __call__(self, X: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Codes of the rows X, (n, n_components), written to ``out`` if given."""
        if out is None:
            out = np.empty((X.shape[0], len(self._A)), X.dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            of_rows = self._codes.of_rows(self._rows_of(X))
            try:
                found, _, _, converged = _solve(of_rows, MAX_ITER_ENCODE, _ENCODE_TOL)
            except NotFiniteError:
                raise ValueError(_TOO_LARGE.format(dtype=X.dtype)) from None
            out[:] = found.T
        if not np.isfinite(out).all():
            raise ValueError(_TOO_LARGE.format(dtype=X.dtype))
        if not converged.all():
            self.converged = False
        return out


def _solve(codes: RowCodes, max_iter: int, tol: float) -> SeparableResult:
    return minimize_separable(
        codes, codes.start(), max_iter=max_iter, tol=tol * codes.scale()
    )


class Batches:
    """Endless batches: the rows in a random order, then in another one."""

    def __init__(
        self, n_samples: int, batch_size: int, rng: np.random.RandomState
    ) -> None:
        self._n, self._size, self._rng = n_samples, batch_size, rng
        self._order, self._next = np.arange(0), n_samples  # the first is yet to come

    @property
    def all_rows(self) -> bool:
        """Whether every batch holds all rows, in their own order."""
        return self._size >= self._n

    def take(self, rows: PickedRows) -> PickedRows:
        """The next batch of ``rows``."""
        if self.all_rows:
            return rows
        # Batches are of one size; the few rows left over are other ones each time.
        if self._next + self._size > self._n:
            self._order, self._next = self._rng.permutation(self._n), 0
        self._next += self._size
        return rows.pick(self._order[self._next - self._size : self._next])
