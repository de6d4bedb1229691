"""Training by Adam: every step uses one batch of rows.

An epoch is one pass through the rows in random order. The state of Adam can be kept, so
that ``partial_fit`` continues from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

import numpy as np

from skae.core.arrays import moved, to_host
from skae.engines.batches import BatchEngine, shuffled_batches
from skae.solvers import Adam, Iteration, Result, minimize_adam
from skae.solvers.result import Callback
from skae.training.problem import (
    MakeEngine,
    Settings,
    State,
    WeightsProblem,
)
from skae.training.progress import Progress

_RECENT = 100  # steps


def train_on_batches(
    problem: WeightsProblem,
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
        What an earlier call returned, to go on from if the units are the same.

    Returns
    -------
    state : dict
        Arrays, numbers and tuples only.
    """
    coordinates = problem.coordinates
    batches = MiniBatches(problem, seed, state)

    def each_epoch(iteration: Iteration) -> None:
        progress(iteration, lambda: coordinates.decentred(iteration.x))

    # Where rows are held out, it is their score that must not stand still.
    watched = problem.validate is not None
    n_iter_no_change = None if watched else problem.settings.n_iter_no_change
    theta = coordinates.to_centred(start)
    result = batches.run(theta, n_iter_no_change, progress.begin, each_epoch)
    return result, coordinates.decentred(result.x), batches.state


class MiniBatches:
    """All that passes from one batch, and from one epoch, to the next.

    Parameters
    ----------
    problem : WeightsProblem
        What to minimise.
    seed : int
        Of the order of the rows.
    state : dict, optional
        Of an earlier instance.
    """

    def __init__(
        self, problem: WeightsProblem, seed: int, state: State | None = None
    ) -> None:
        self._problem = problem
        objective, coordinates = problem.objective, problem.coordinates
        self._random_state = np.random.RandomState(seed)
        # Adam for θ′ and J/unit, written for θ and J.
        self._adam = Adam(
            objective.layout.size,
            objective.dtype,
            scale=to_host(coordinates.scale),
            like=coordinates.scale,
            unit=coordinates.unit,
        )
        self._engine = BatchEngine(
            objective, problem.settings.batch_size, coordinates.means
        )
        # Running mean of the batches' data term, in units of constant predictions'.
        self._recent = 0.0
        if state is not None and state["units"] == self._units:
            self._random_state.set_state(state["random_state"])
            # Copies: a piece that is refused must leave no trace.
            like = coordinates.scale
            self._adam.m = moved(state["m"].copy(), like)
            self._adam.v = moved(state["v"].copy(), like)
            self._adam.t = state["t"]
            self._engine.draw = state["draw"]
            if state["mean_statistics"] is not None:
                mean = moved(state["mean_statistics"], like)
                self._engine.mean_statistics = mean
            self._recent = state["recent"]

    @property
    def _units(self) -> tuple[Any, ...]:
        """What a state must agree in: coordinates, order of parameters, and pieces."""
        coordinates, objective = self._problem.coordinates, self._problem.objective
        scale, size = coordinates.scale, objective.layout.size
        # Of sparse rows the parameters lie in another order.
        order = bool(objective.by_feature)
        return (
            size,
            float(coordinates.unit),
            float(scale[0]),
            float(scale[-1]),
            order,
            *_pieces(objective),
        )

    @property
    def state(self) -> State:
        """What another instance may go on from."""
        return {
            "units": self._units,
            "random_state": self._random_state.get_state(),
            "m": self._adam.m,
            "v": self._adam.v,
            "t": self._adam.t,
            "draw": self._engine.draw,
            "mean_statistics": self._engine.mean_statistics,
            "recent": self._recent,
        }

    def run(
        self,
        theta: np.ndarray,
        n_iter_no_change: int | None,
        begin: Callable[[], None],
        callback: Callback,
    ) -> Result:
        """Minimise from θ, that of centred rows, for up to ``max_iter`` epochs.

        ``begin()`` is called before each epoch, and ``callback(iteration)`` after it,
        with the mean loss and terms of the epoch as ``aux``.
        """
        data, settings = self._problem.data, self._problem.settings
        rates = _rates(settings)
        self._adam.penalise(self._problem.objective.penalty_weights)
        unit = self._problem.coordinates.unit
        rows = data.counted  # those held out have weight zero
        mean_weight = 1.0
        if data.weights is not None:
            mean_weight = float(data.weights[rows].mean(dtype=np.float64))
        epoch = _Mean()

        def batches() -> Iterator[np.ndarray]:
            begin()
            epoch.clear()
            self._adam.learning_rate = next(rates)
            order = shuffled_batches(
                len(rows), settings.batch_size, self._random_state, settings.shuffle
            )
            return (rows[index] for index in order)

        def evaluate(
            theta: np.ndarray, index: np.ndarray
        ) -> tuple[float, np.ndarray, float]:
            weight = mean_weight * len(index)
            loss, gradient, terms = self._engine(theta, data, index, weight)
            epoch.add(weight, loss, terms)
            part = next(iter(terms.values())) / unit
            self._recent += (part - self._recent) / min(self._adam.t + 1, _RECENT)
            return loss / unit, gradient, weight

        def each_epoch(iteration: Iteration) -> None:
            callback(iteration._replace(aux=epoch.mean()))

        return minimize_adam(
            evaluate,
            theta,
            batches,
            max_iter=settings.max_iter,
            tol=settings.tol,
            atol=settings.nearly_zero * settings.tol,
            n_iter_no_change=n_iter_no_change,
            # In which an entry may move by its own typical size.
            least_steps=ceil(1 / settings.learning_rate_init),
            adam=self._adam,
            callback=each_epoch,
        )


def _rates(settings: Settings) -> Iterator[float]:
    """The learning rate of each epoch."""
    for epoch in range(settings.max_iter):
        falling = settings.learning_rate == "linear"
        factor = 1 - epoch / settings.max_iter if falling else 1.0
        yield settings.learning_rate_init * factor


def _pieces(objective: Any) -> list[str]:
    """Names of what codes and loss are made of, each with a mean code of its own."""
    alone = [getattr(objective, "activation", None)]
    found = [*getattr(objective, "activations", alone), objective.output]
    found += [objective.loss, *map(type, getattr(objective, "terms", ()))]
    return [str(getattr(piece, "__name__", "")) for piece in found]


class _Mean:
    """Weighted mean of losses and of their terms over an epoch."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._weight = self._loss = 0.0
        self._terms: dict[str, float] = {}

    def add(self, weight: float, loss: float, terms: dict[str, float]) -> None:
        self._weight += weight
        self._loss += weight * loss
        for name, value in terms.items():
            self._terms[name] = self._terms.get(name, 0.0) + weight * value

    def mean(self) -> tuple[float, dict[str, float]]:
        terms = {name: value / self._weight for name, value in self._terms.items()}
        return self._loss / self._weight, terms
