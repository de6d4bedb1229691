"""Training of TopK autoencoders: Adam with atoms of length one.

After each step, the atoms are scaled to length one. Units that have not been active for
many rows count as dead, and an additional term of the loss revives them. The threshold
of ``selection="batch"`` is a running mean over the batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from skae.core.sparse_rows import SparseRows
from skae.core.top_k import SparseEncoder, TopKObjective
from skae.engines.batches import shuffled_batches
from skae.engines.sparse_codes import each_block
from skae.rows.data import Data, LocalRows
from skae.solvers import Adam, Iteration, Result, minimize_adam
from skae.training.problem import MakeEngine, Problem, State, Trained
from skae.training.progress import Progress

# The threshold is a mean over so many batches.
_BATCHES_OF_THRESHOLD = 100
_RECENT = 100  # steps
# Of the steps of a fit, those on which codes are chosen as is best at first.
_AT_FIRST = 0.2
# A fraction of dead units that is worth a warning.
_MANY_DEAD = 0.25
# So many times the loss of the column means is no fit at all.
_DIVERGED = 2


TopKProblem = Problem[TopKObjective, None]


def train_top_k(
    problem: TopKProblem,
    engine: MakeEngine,
    start: np.ndarray,
    seed: int,
    state: State | None,
    progress: Progress,
) -> tuple[Result, np.ndarray, State]:
    """Minimise by Adam; see ``train_on_all_rows`` for what else is the same.

    Parameters
    ----------
    state : dict or None
        What an earlier call returned, to go on from.

    Returns
    -------
    state : dict
        Arrays, numbers and tuples only.
    """
    run = _Run(problem, seed, state)
    objective = problem.objective

    def each_epoch(iteration: Iteration) -> None:
        progress(
            iteration._replace(aux=run.epoch_mean()),
            lambda: objective.normalise(iteration.x.copy()),
        )

    result = run.minimise(start, progress.begin, each_epoch)
    return result, objective.normalise(result.x), run.state


class _Run:
    """All that passes from one batch, and from one epoch, to the next."""

    def __init__(self, problem: TopKProblem, seed: int, state: State | None) -> None:
        self._problem = problem
        objective, data = problem.objective, problem.data
        self._random_state = np.random.RandomState(seed)
        self._adam = Adam(
            objective.layout.size,
            objective.dtype,
            scale=_scale(objective),
            unit=objective.unit,
        )
        # Rows since each unit has last fired.
        self._silent = np.zeros(objective.n_components, np.int64)
        self._threshold, self._n_thresholds, self._recent = 0.0, 0, 0.0
        self._n_first = 0
        if state is not None:
            self._random_state.set_state(state["random_state"])
            # Copies: a piece that is refused must leave no trace.
            self._adam.m, self._adam.v = state["m"].copy(), state["v"].copy()
            self._adam.t = state["t"]
            self._silent = state["silent"].copy()
            self._threshold = state["threshold"]
            self._n_thresholds = state["n_thresholds"]
            self._recent = state["recent"]
        self._batch = _dense_batches(
            data.local_rows, problem.settings.batch_size, objective.dtype
        )
        self._sums = np.zeros(3)  # of weights, errors and the auxiliary loss

    @property
    def state(self) -> State:
        """What another run may go on from."""
        return {
            "random_state": self._random_state.get_state(),
            "m": self._adam.m,
            "v": self._adam.v,
            "t": self._adam.t,
            "silent": self._silent,
            "threshold": self._threshold,
            "n_thresholds": self._n_thresholds,
            "recent": self._recent,
        }

    def epoch_mean(self) -> tuple[float, dict[str, float]]:
        """Mean loss and terms of the epoch."""
        weight, errors, auxiliary = self._sums.tolist()
        terms = {"errors": errors / weight, "auxiliary": auxiliary / weight}
        return sum(terms.values()), terms

    def minimise(
        self,
        start: np.ndarray,
        begin: Callable[[], None],
        callback: Callable[[Iteration], object],
    ) -> Result:
        """Run Adam for up to ``max_iter`` epochs."""
        problem, settings, data = (
            self._problem,
            self._problem.settings,
            self._problem.data,
        )
        rows = data.counted  # those held out have weight zero
        mean_weight = 1.0
        if data.weights is not None:
            mean_weight = float(data.weights[rows].mean(dtype=np.float64))
        n_steps = settings.max_iter * -(-len(rows) // settings.batch_size)
        rates = _rates(problem, n_steps)
        if settings.max_iter > 1:  # and not a piece
            self._n_first = ceil(_AT_FIRST * n_steps)

        def batches() -> Iterator[np.ndarray]:
            begin()
            self._sums[:] = 0
            order = shuffled_batches(
                len(rows), settings.batch_size, self._random_state, settings.shuffle
            )
            return (rows[index] for index in order)

        def evaluate(
            theta: np.ndarray, index: np.ndarray
        ) -> tuple[float, np.ndarray, float]:
            weight = mean_weight * len(index)
            self._adam.learning_rate = next(rates)
            loss, gradient = self._step(theta, index, weight)
            return loss / problem.objective.unit, gradient, weight

        falling = settings.learning_rate == "linear"
        watched = problem.validate is not None
        return minimize_adam(
            evaluate,
            start,
            batches,
            max_iter=settings.max_iter,
            tol=settings.tol,
            atol=settings.nearly_zero * settings.tol,
            # A falling rate is worth its last epochs, whatever those before have won;
            # where rows are held out, it is their score that must not stand still.
            n_iter_no_change=None if falling or watched else settings.n_iter_no_change,
            least_steps=ceil(1 / settings.learning_rate_init),
            adam=self._adam,
            callback=callback,
        )

    def _step(
        self, theta: np.ndarray, index: np.ndarray, weight: float
    ) -> tuple[float, np.ndarray]:
        """Loss and gradient of a batch; θ's atoms get length one, its threshold set."""
        problem, data = self._problem, self._problem.data
        objective = problem.objective
        objective.normalise(theta)
        X = self._batch(index)
        weights = None if data.weights is None else data.weights[index]
        selection = objective.selection
        if self._n_first:
            selection = selection.at_first
            self._n_first -= 1
            self._n_thresholds = 0  # which are to be of the other kind
        at = objective.evaluate(theta, X, weights, weight, self._dead(), selection)
        if at.least is not None:
            self._n_thresholds += 1
            share = 1 / min(self._n_thresholds, _BATCHES_OF_THRESHOLD)
            self._threshold += (at.least - self._threshold) * share
            objective.layout.views(theta).threshold[0] = self._threshold
        self._silent += len(index)
        self._silent[at.fired] = 0
        self._sums += (
            weight,
            weight * at.terms["errors"],
            weight * at.terms["auxiliary"],
        )
        part = at.terms["errors"] / objective.unit
        self._recent += (part - self._recent) / min(self._adam.t + 1, _RECENT)
        return at.loss, at.gradient

    def _dead(self) -> np.ndarray:
        """Units to revive: those dead or, where they are many, some in turn."""
        dead = np.flatnonzero(self._silent > self._problem.objective.dead_after)
        most = 2 * self._problem.objective.n_auxiliary
        if len(dead) <= most:
            return dead
        turn = self._adam.t * most % len(dead)
        return np.sort(np.roll(dead, -turn)[:most])


def _dense_batches(
    rows: LocalRows, size: int, dtype: np.dtype
) -> Callable[[np.ndarray], np.ndarray]:
    """What hands out rows here and there, up to so many, always as an array."""
    take, buffer = rows.batches(size), np.empty((size, rows.shape[1]), dtype)

    def batch(index: np.ndarray) -> np.ndarray:
        X = take(index)
        if isinstance(X, SparseRows):
            return X.toarray(out=buffer[: len(index)])
        assert isinstance(X, np.ndarray)
        return X

    return batch


def _scale(objective: TopKObjective) -> np.ndarray:
    """Typical sizes of the entries of θ: atoms have length one, biases units of x."""
    scale = np.empty(objective.layout.size)
    at = objective.layout.views(scale)
    at.W[:] = at.D[:] = objective.n_features**-0.5
    at.b[:] = at.c[:] = (objective.unit / objective.n_features) ** 0.5
    at.threshold[:] = 1
    return scale


def _rates(problem: TopKProblem, n_steps: int) -> Iterator[float]:
    """The learning rate of each step; a falling one comes to its end with the last."""
    settings = problem.settings
    for step in range(n_steps):
        falling = settings.learning_rate == "linear"
        yield settings.learning_rate_init * (1 - step / n_steps if falling else 1)


def encoder_at(objective: TopKObjective, theta: np.ndarray) -> SparseEncoder:
    """What encodes rows at θ."""
    at = objective.layout.views(theta)
    return SparseEncoder(
        *(at.W, at.b, at.D, at.c),
        objective.selection,
        float(at.threshold[0]),
        objective.dtype,
        csr_array,
    )


class HeldOutErrors:
    """θ -> the fraction of the variance of rows held out that is explained.

    Parameters
    ----------
    objective : TopKObjective
    data : Data
        The rows held out; those of weight zero are left out.
    unit : float
        What the column means leave of them.
    """

    def __init__(self, objective: TopKObjective, data: Data, unit: float) -> None:
        self._objective, self._unit = objective, unit
        self._held_out = data.picked(data.counted)

    def __call__(self, theta: np.ndarray) -> float:
        encoder = encoder_at(self._objective, theta)
        rows: LocalRows = self._held_out.local_rows
        parts = each_block(encoder.squared_errors, encoder, rows)
        errors = np.concatenate(list(parts))
        mean = float(np.average(errors, weights=self._held_out.weights))
        return 1 - mean / self._unit


def diverged(
    problem: TopKProblem,
    start: np.ndarray,
    theta: np.ndarray,
    loss: float,
    result: Result,
    errors: float,
) -> str | None:
    """Whether the column means would do far better, in words."""
    if errors <= _DIVERGED * problem.objective.unit:
        return None
    if problem.settings.max_iter == 1:  # a piece, of which there may be more
        return None
    return (
        "has diverged: constant predictions would be better. Steps with "
        f"learning_rate_init={problem.settings.learning_rate_init} are too long; "
        "lower it."
    )


def fault_of_dead_units(trained: Trained, fitted: Mapping[str, Any]) -> str | None:
    """Whether too many units are dead after training, in words."""
    dead, n = fitted["dead_fraction_"], len(fitted["components_"])
    # Equal rows have no codes; whoever ends training early knows.
    if dead <= _MANY_DEAD or dead == 1 or trained.status in ("stopped", "interrupted"):
        return None
    kept = fitted["_selection"][1]
    fewer = f", or n_nonzero_coefs, which is {kept:g}" if kept > 1 else ""
    return (
        f"has left {dead:.0%} of the {n} units dead: they are active on no row of X. "
        f"Lower n_components{fewer}."
    )


def share_of_codes(problem: TopKProblem, engine: MakeEngine, trained: Trained) -> float:
    """What codes explain of the variance of the rows."""
    if problem.data.moments.no_variation(problem.objective.dtype):
        return 1.0
    return 1 - trained.terms["errors"] / problem.objective.unit


def attributes(objective: TopKObjective, theta: np.ndarray) -> dict[str, Any]:
    """Fitted attributes by name: copies of the arrays of θ."""
    at = objective.layout.views(theta)
    return {
        "components_": at.W.copy(),
        "intercept_hidden_": at.b.copy(),
        "decoder_components_": at.D.copy(),
        "intercept_visible_": at.c.copy(),
        "threshold_": float(at.threshold[0]),
    }


def theta_of(objective: TopKObjective, fitted: dict[str, Any]) -> np.ndarray:
    """θ of fitted attributes: the inverse."""
    theta = np.empty(objective.layout.size, objective.dtype)
    at = objective.layout.views(theta)
    at.W[:], at.b[:] = fitted["components_"], fitted["intercept_hidden_"]
    at.D[:] = fitted["decoder_components_"]
    at.c[:] = fitted["intercept_visible_"]
    at.threshold[:] = fitted["threshold_"]
    return theta
