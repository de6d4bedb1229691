"""Training by Adam, on batches of rows."""

import numpy as np

from skae.engines.batches import BatchEngine, shuffled_batches
from skae.rows.memory_map import Release
from skae.solvers.adam import Adam, minimize_adam


class MiniBatches:
    """All that passes from one batch, and from one epoch, to the next.

    Parameters
    ----------
    problem : Problem
        What to minimise; its rows are those of the first epoch.
    seed : int
        Of the order of the rows.
    """

    def __init__(self, problem, seed):
        coordinates = problem.coordinates
        self._random_state = np.random.RandomState(seed)
        self._draw, self._mean_code = 0, None
        self._fixed = self._what_is_fixed(problem)
        # Adam for θ′ and J/unit, written for θ and J.
        self._adam = Adam(
            problem.objective.layout.size,
            problem.objective.dtype,
            scale=coordinates.scale,
            unit=coordinates.unit,
        )

    def suits(self, problem):
        """Whether the problem is in the coordinates that this state is in."""
        same_size = len(self._adam.m) == problem.objective.layout.size
        return same_size and self._fixed == self._what_is_fixed(problem)

    @staticmethod
    def _what_is_fixed(problem):
        unit, scale = problem.coordinates.unit, problem.coordinates.scale
        # Of sparse rows the parameters lie in another order.
        order = problem.objective.by_feature
        return unit, float(scale[0]), float(scale[-1]), order

    def run(self, problem, theta, n_iter_no_change, begin, callback):
        """Minimise from θ, that of centred rows, for up to ``max_iter`` epochs.

        ``begin()`` is called before each epoch, and ``callback(iteration)`` after it,
        with the mean loss and terms of the epoch as ``aux``.
        """
        data, settings = problem.data, problem.settings
        rates = iter(_rates(settings))
        self._adam.penalise(problem.objective.penalty_weights)
        unit = problem.coordinates.unit
        rows = np.arange(data.X.shape[0])
        mean_weight = 1.0
        if data.weights is not None:
            rows = np.flatnonzero(data.weights)  # those held out have weight zero
            mean_weight = float(data.weights[rows].mean(dtype=np.float64))
        engine = BatchEngine(
            problem.objective, settings.batch_size, problem.coordinates.means
        )
        engine.draw, engine.mean_code = self._draw, self._mean_code
        epoch, release = _Mean(), Release(data.X)

        def batches():
            begin()
            epoch.clear()
            self._adam.learning_rate = next(rates)
            order = shuffled_batches(
                len(rows), settings.batch_size, self._random_state, settings.shuffle
            )
            return (rows[index] for index in order)

        def evaluate(theta, index):
            weight = mean_weight * len(index)
            loss, gradient, terms = engine(theta, data, index, weight)
            release.after_gathering(len(index))
            epoch.add(weight, loss, terms)
            return loss / unit, gradient, weight

        def each_epoch(iteration):
            callback(iteration._replace(aux=epoch.mean()))

        result = minimize_adam(
            evaluate,
            theta,
            batches,
            max_iter=settings.max_iter,
            tol=settings.tol,
            n_iter_no_change=n_iter_no_change,
            adam=self._adam,
            callback=each_epoch,
        )
        self._draw, self._mean_code = engine.draw, engine.mean_code
        return result


def _rates(settings):
    """The learning rate of each epoch."""
    for epoch in range(settings.max_iter):
        falling = settings.learning_rate == "linear"
        factor = 1 - epoch / settings.max_iter if falling else 1.0
        yield settings.learning_rate_init * factor


class _Mean:
    """Weighted mean of losses and of their terms over an epoch."""

    def __init__(self):
        self.clear()

    def clear(self):
        self._weight, self._loss, self._terms = 0.0, 0.0, {}

    def add(self, weight, loss, terms):
        self._weight += weight
        self._loss += weight * loss
        for name, value in terms.items():
            self._terms[name] = self._terms.get(name, 0.0) + weight * value

    def mean(self):
        terms = {name: value / self._weight for name, value in self._terms.items()}
        return self._loss / self._weight, terms


def train_on_batches(problem, start, batches, progress):
    """Minimise by Adam; see ``train_on_all_rows`` for what else is the same.

    Parameters
    ----------
    batches : MiniBatches
        The state to go on from.
    """
    coordinates = problem.coordinates

    def each_epoch(iteration):
        progress(iteration, lambda: coordinates.decentred(iteration.x))

    # Where rows are held out, it is their score that must not stand still.
    watched = problem.validate is not None
    n_iter_no_change = None if watched else problem.settings.n_iter_no_change
    theta = coordinates.to_centred(start)
    result = batches.run(problem, theta, n_iter_no_change, progress.begin, each_epoch)
    return result, coordinates.decentred(result.x)
