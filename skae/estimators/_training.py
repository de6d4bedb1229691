"""From an objective and rows to trained parameters: the one fit path."""

import time
from dataclasses import dataclass, replace

import numpy as np

from skae.core.coordinates import Coordinates
from skae.core.objective import AutoencoderObjective
from skae.engines.threads import ThreadEngine
from skae.solvers import SOLVERS, NotFiniteError

# Runs on fresh noise without a lower loss before training counts as converged.
_PATIENCE = 5


@dataclass(frozen=True)
class Moments:
    """Column means, and the mean squared distance of the rows from them."""

    mean: np.ndarray  # (n_features,), float64
    variance: float  # summed over the columns

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")  # check_magnitude refuses these
    def of(cls, X, weights):
        """Weighted moments of X, a few rows at a time, in float64."""
        step = max(1, 2**18 // X.shape[1])
        blocks = [slice(start, start + step) for start in range(0, len(X), step)]
        if weights is None:
            weights = np.ones(1)
            weights = np.broadcast_to(weights, len(X))
        total = weights.sum(dtype=np.float64)
        mean = sum(weights[b].astype(np.float64) @ X[b] for b in blocks) / total
        squares = 0.0
        for b in blocks:
            deviations = X[b] - mean
            squares += weights[b] @ np.vecdot(deviations, deviations)
        return cls(mean, float(squares / total))

    def no_variation(self, dtype):
        """Whether all rows count as equal: what varies is rounding at most."""
        rounding = 10 * np.finfo(dtype).eps * np.linalg.norm(self.mean)
        return self.variance <= rounding**2

    @np.errstate(over="ignore")
    def check_magnitude(self, n_samples, dtype):
        """Refuse X with which sums and gradients leave the range of its dtype.

        A gradient sums products of three numbers of X's size over the rows; the
        solver's coordinates divide by such products.
        """
        info = np.finfo(dtype)
        size = (self.mean @ self.mean + self.variance) ** 0.5
        least = (10 * info.tiny) ** (1 / 3)
        most = (0.1 * info.max / n_samples) ** (1 / 3)
        if not size < most:
            problem = f"large: rows of length {size:.2g}, against {most:.2g} at most"
        elif self.spread < least and not self.no_variation(dtype):
            problem = f"small: spread {self.spread:.2g}, against {least:.2g} at least"
        else:
            return
        raise ValueError(
            f"X is too {problem}, for training in {dtype}; scale X, for instance with "
            "StandardScaler."
        )

    @property
    def spread(self):
        """Root mean square deviation of an entry."""
        return (self.variance / len(self.mean)) ** 0.5


@dataclass(frozen=True)
class Scale:
    """The scale of the data: what penalties with weight "scale" are relative to."""

    unit: float  # loss of reconstructing every row by the column means
    spread: float  # root mean square deviation of an entry


@dataclass(frozen=True)
class Problem:
    """All that one run of training needs besides its start."""

    objective: AutoencoderObjective
    X: np.ndarray
    weights: np.ndarray | None
    coordinates: Coordinates
    max_iter: int
    max_fun: int
    tol: float
    verbose: int
    redraw_every: int | None = None


@dataclass(frozen=True)
class Trained:
    """One run's outcome, in the units of the data."""

    theta: np.ndarray
    loss: float
    terms: dict
    loss_curve: np.ndarray
    terms_curve: dict
    mean_code: np.ndarray
    n_iter: int
    status: str


def random_start(objective, seed):
    """θ′ with weights ~ U(±√(6/(n_features + n_components + 1))).

    The output's biases are 0, which in the solver's coordinates stands for the
    column means. So are the hidden biases, unless the penalty has a mean code to
    aim at: then units start there, which saves the solver the way.
    """
    rng = np.random.RandomState(seed)
    start = np.zeros(objective.layout.size, objective.dtype)
    parameters = objective.parameters(start)
    shape = parameters.encoder.shape
    bound = (6 / (sum(shape) + 1)) ** 0.5
    parameters.decoder[:-1] = rng.uniform(-bound, bound, shape)
    if not objective.tied_weights:
        parameters.encoder[:] = rng.uniform(-bound, bound, shape)
    if objective.needs_mean_code:
        parameters.hidden[:] = objective.activation.link(objective.sparsity.target)
    return start


def train(problem, start):
    """Minimise from ``start``, given in the solver's coordinates."""
    coordinates = problem.coordinates
    buffer = np.empty_like(start)
    curve = []
    report = _Report(problem)

    def evaluate(inner):
        loss, gradient, terms = engine(coordinates.to_data(inner, out=buffer))
        return loss / coordinates.unit, coordinates.pull_back(gradient), (loss, terms)

    def each_iteration(iteration):
        curve.append(iteration.aux)
        report(iteration)

    with ThreadEngine(problem.objective, problem.X, problem.weights) as engine:
        minimise = _in_one_run if problem.redraw_every is None else _in_rounds
        try:
            result = minimise(problem, engine, evaluate, start, each_iteration)
        except NotFiniteError:
            raise ValueError(
                f"The loss of X or its gradient overflows {start.dtype} at the start "
                "of a run; scale X, for instance with StandardScaler, or lower "
                "the weights of the penalties."
            ) from None
        theta = coordinates.to_data(result.x)
        mean_code = engine.mean_code(theta)
    loss, terms = result.aux
    report.close(result, loss)
    return Trained(
        theta=theta,
        loss=loss,
        terms=terms,
        loss_curve=np.array([loss for loss, _ in curve]),
        terms_curve={
            name: np.array([terms[name] for _, terms in curve]) for name in terms
        },
        mean_code=mean_code,
        n_iter=result.n_iter,
        status=result.status,
    )


def _in_one_run(problem, engine, evaluate, start, each_iteration):
    return SOLVERS["lbfgs"](
        evaluate,
        start,
        max_iter=problem.max_iter,
        max_fun=problem.max_fun,
        tol=problem.tol,
        callback=each_iteration,
    )


def _in_rounds(problem, engine, evaluate, start, each_iteration):
    """Runs of ``redraw_every`` iterations, each with noise drawn afresh.

    The first value of a run is the loss on noise that the run before did not
    meet, which estimates the expected loss. Training has converged when
    the lowest of these has not fallen by ``tol`` in ``_PATIENCE`` runs.
    """
    n_iter = n_fun = stale = 0
    lowest, result = np.inf, None
    x = start
    while True:
        values = []

        def recorded(inner, values=values):
            evaluation = evaluate(inner)
            values.append(evaluation[0])
            return evaluation

        def shifted(iteration, n_iter=n_iter, n_fun=n_fun):
            each_iteration(
                iteration._replace(
                    n_iter=iteration.n_iter + n_iter, n_fun=iteration.n_fun + n_fun
                )
            )

        try:
            result = SOLVERS["lbfgs"](
                recorded,
                x,
                max_iter=min(problem.redraw_every, problem.max_iter - n_iter),
                max_fun=problem.max_fun - n_fun,
                tol=problem.tol,
                callback=shifted,
            )
        except KeyboardInterrupt:
            # The solver has nothing to keep before its first value; we may.
            if result is None:
                raise
            return replace(result, n_iter=n_iter, n_fun=n_fun, status="interrupted")
        x = result.x
        n_iter += result.n_iter
        n_fun += result.n_fun
        status = result.status
        if status == "max_iter" and n_iter < problem.max_iter:
            status = "value"  # of this run only
        stale = 0 if values[0] < lowest - problem.tol else stale + 1
        lowest = min(lowest, values[0])
        if n_fun >= problem.max_fun:
            status = "max_fun"
        unfinished = status in ("gradient", "value", "precision")
        if unfinished and stale == _PATIENCE:
            status = "noise"
        if status == "noise" or not unfinished:
            return replace(result, n_iter=n_iter, n_fun=n_fun, status=status)
        engine.draw += 1


class _Report:
    """Prints a line now and then: every tenth iteration, or each if verbose > 1."""

    def __init__(self, problem):
        self._verbose = problem.verbose
        self._printed = None
        self._start = time.perf_counter()

    def __call__(self, iteration):
        every = 1 if self._verbose > 1 else 10
        if self._verbose and (iteration.n_iter % every == 0 or iteration.n_iter == 1):
            self._line(iteration, iteration.aux[0], iteration.gradient_norm)

    def _line(self, at, loss, gradient_norm):
        self._printed = at.n_iter
        print(
            f"iteration {at.n_iter:5d}  loss {loss:.6e}  "
            f"gradient {gradient_norm:.2e}  evaluations {at.n_fun:5d}  "
            f"{time.perf_counter() - self._start:7.2f} s"
        )

    def close(self, result, loss):
        if self._verbose:
            if result.n_iter != self._printed:
                self._line(result, loss, float(np.abs(result.gradient).max()))
            print(f"stopped: {result.message}")
