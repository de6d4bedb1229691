"""How often to draw the noise of a denoising autoencoder: schedules at equal cost.

L-BFGS needs one function: the noise must be frozen while its line search compares
values and while its history collects differences of gradients. But noise that is
frozen for good is learnt by heart. Between the two lie

* fresh k: a run of k iterations on one draw, then another draw and another run,
  the pairs of steps and gradient differences forgotten (``redraw_every=k``);
* scale k: the same, but the scale of the first step is remembered;
* keep k: the same, but the pairs are kept too, with the gradient on the new draw;
* copies c: c copies of each row, each with a frozen noise of its own; an evaluation
  costs c times as much;
* one draw: frozen for good (``redraw_every=None``).

Of these, DenoisingAutoencoder has "fresh" and "one draw"; the others are built here
from the same objective and solver. All schedules of a row start from the same
weights and may spend the same number of evaluations of the training rows (one on c
copies counts c times). The error is that of held-out rows, noise of another
generator on them, against the clean ones: the mean over rows of the sum of squared
pixel errors, at a quarter, at half and at all of the evaluations, then at a
quarter, half and all of the seconds that every schedule has lasted.
The seconds are of processor time, all threads together, without the seconds of
measuring errors.
"""

import time
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from _common import Table, parse_arguments, print_header
from _images import (
    Images,
    digits_images,
    mean_squared_distance,
    mnist_images,
    noisy,
)

from skae.core.autoencoder import AutoencoderObjective
from skae.core.corruptions import CORRUPTIONS, Noise
from skae.engines.threads import ThreadEngine
from skae.rows.source import source
from skae.solvers import minimize_lbfgs
from skae.solvers import run as solver
from skae.training.coordinates import Coordinates

FRACTIONS = (0.25, 0.5, 1.0)
ALPHA = 1e-4  # about the estimator's default for these data


@dataclass(frozen=True)
class Schedule:
    """When noise is drawn, and what of the solver's history survives that."""

    name: str
    every: int | None = None  # iterations on one draw
    keep: str = "nothing"  # or "scale" or "pairs"
    copies: int = 1


def fresh(k):
    return Schedule(f"fresh {k}", every=k)


def scale(k):
    return Schedule(f"scale {k}", every=k, keep="scale")


def keep(k):
    return Schedule(f"keep {k}", every=k, keep="pairs")


def copies(c):
    return Schedule(f"copies {c}", copies=c)


@dataclass(frozen=True)
class Task:
    """Images, the noise on them, a size of network and what may be spent."""

    name: str
    images: Images
    n_components: int
    corruption: str
    level: float
    evaluations: int
    schedules: list
    n_seeds: int


def tasks(arguments):
    """Digits 64-64 and MNIST 784-196, each with Gaussian noise and masking."""
    one_draw = Schedule("one draw")
    many = [
        *map(fresh, (5, 10, 20, 50)),
        *map(scale, (5, 10, 20)),
        *map(keep, (5, 10, 20)),
        *map(copies, (2, 5)),
        one_draw,
    ]
    few = [*map(fresh, (5, 10, 20, 50)), scale(10), keep(10), copies(2), one_draw]
    if arguments.quick:
        many = few = [fresh(10), keep(10), one_draw]
    chosen = []
    if "digits" in arguments.cases:
        chosen += both_noises(
            name="digits 1297 x 64, 64",
            images=digits_images(),
            n_components=64,
            levels={"gaussian": 0.25, "masking": 0.3},
            evaluations=40 if arguments.quick else 800,
            schedules=many,
            n_seeds=1 if arguments.quick else arguments.digits_seeds,
        )
    if "784-196" in arguments.cases:
        n_samples = 1000 if arguments.quick else 10_000
        chosen += both_noises(
            name=f"MNIST {n_samples} x 784, 196",
            images=mnist_images(arguments.data, n_samples + 1000, 0).split(1000),
            n_components=196,
            levels={"gaussian": 0.5, "masking": 0.3},
            evaluations=40 if arguments.quick else 200,
            schedules=few,
            n_seeds=1 if arguments.quick else arguments.mnist_seeds,
        )
    return chosen


def both_noises(levels, **task):
    """A task for each corruption."""
    return [
        Task(corruption=corruption, level=level, **task)
        for corruption, level in levels.items()
    ]


# -- a solver that remembers ---------------------------------------------------------


@contextmanager
def surviving_history(keep):
    """Within the block, runs of L-BFGS continue with the history of the last run."""
    original, last = solver.History, []

    def continued(gradient, n_corrections):
        if keep == "nothing" or not last:
            last[:] = [original(gradient, n_corrections)]
        history = last[0]
        if keep == "scale":
            history.clear()
        history.g[:] = gradient
        history._Wg[: history._rows] = history._W[: history._rows] @ gradient
        return history

    solver.History = continued
    try:
        yield
    finally:
        solver.History = original


# -- training with an eye on the held-out error ----------------------------------------


class Training:
    """One run of one schedule.

    ``curve`` becomes a list of (evaluations, seconds, held-out error).
    """

    def __init__(self, task, schedule, seed):
        X = task.images.X_train
        noise = Noise(
            CORRUPTIONS[task.corruption](task.level, X.min(axis=0), X.max(axis=0)),
            seed,
        )
        moments = source(X).moments()
        self.objective = AutoencoderObjective(
            X.shape[1],
            task.n_components,
            alpha=ALPHA,
            noise=noise,
            dtype=X.dtype,
        )
        unit = moments.variance / 2
        units = self.objective.units(moments.mean, moments.spread)
        self.coordinates = Coordinates(self.objective, *units, unit)
        self.task, self.schedule, self.seed = task, schedule, seed
        self.clean = task.images.X_test
        self.noisy = noisy(self.clean, task.corruption, task.level, 1000 + seed)
        self.step = max(1, task.evaluations // 40)  # evaluations between errors
        self.evaluations, self.seconds = 0, 0.0
        self.curve = []

    def error(self, inner):
        """Squared distance of the denoised held-out rows from the clean ones."""
        parameters = self.objective.parameters(self.coordinates.to_data(inner))
        H = np.empty((self.objective.n_components + 1, len(self.noisy)), inner.dtype)
        self.objective.encode(parameters, self.noisy, H)
        return mean_squared_distance(H.T @ parameters.decoder, self.clean)

    def measure(self, x):
        self.seconds += time.process_time() - self.began
        if not self.curve or self.evaluations >= self.curve[-1][0] + self.step:
            self.curve.append((self.evaluations, self.seconds, self.error(x)))
        self.began = time.process_time()

    def run(self):
        schedule = self.schedule
        x = self.objective.start(np.random.RandomState(self.seed))
        X = np.tile(self.task.images.X_train, (schedule.copies, 1))

        def evaluate(inner):
            self.evaluations += schedule.copies
            loss, gradient, _ = engine(self.coordinates.to_data(inner))
            scaled = loss / self.coordinates.unit
            return scaled, self.coordinates.pull_back(gradient), None

        def each_iteration(iteration):
            self.measure(iteration.x)
            if self.evaluations >= self.task.evaluations:
                raise StopIteration

        with (
            ThreadEngine(self.objective, X) as engine,
            surviving_history(schedule.keep),
        ):
            self.began = time.process_time()
            while self.evaluations < self.task.evaluations:
                x = minimize_lbfgs(
                    evaluate,
                    x,
                    max_iter=schedule.every or self.task.evaluations,
                    tol=0,
                    ftol=0,
                    callback=each_iteration,
                ).x
                engine.draw += schedule.every is not None
        self.step = 0
        self.measure(x)
        return np.array(self.curve)


def at(curve, column, limit):
    """The last error of ``curve`` within a limit of evaluations or seconds."""
    within = curve[:, column] <= limit
    return curve[within, 2][-1] if within.any() else np.nan


# -- tables --------------------------------------------------------------------------


def compare(task):
    """Train by every schedule from every seed; print errors at equal cost."""
    table = Table(
        f"{task.name}, {task.corruption} {task.level:g}",
        *(f"{fraction * task.evaluations:.0f} ev." for fraction in FRACTIONS),
        "±",
        *(f"{fraction:g} of s" for fraction in FRACTIONS),
        "CPU s",
        "of best",
    )
    curves = {
        schedule: [Training(task, schedule, seed).run() for seed in range(task.n_seeds)]
        for schedule in task.schedules
    }
    # Every schedule has lasted at least so long, from every seed.
    shared = min(curve[-1, 1] for runs in curves.values() for curve in runs)
    rows = {}
    for schedule, runs in curves.items():
        by_cost = [
            [[at(curve, column, f * limit) for f in FRACTIONS] for curve in runs]
            for column, limit in ((0, 1.01 * task.evaluations), (1, shared))
        ]
        rows[schedule] = np.array(by_cost)
    best = min(errors[0, :, -1].mean() for errors in rows.values())
    for schedule, (by_evaluations, by_seconds) in rows.items():
        spread = np.nan
        if task.n_seeds > 1:
            spread = by_evaluations[:, -1].std(ddof=1) / task.n_seeds**0.5
        table.row(
            schedule.name,
            *by_evaluations.mean(axis=0).tolist(),
            float(spread),
            *by_seconds.mean(axis=0).tolist(),
            float(np.mean([curve[-1, 1] for curve in curves[schedule]])),
            float(by_evaluations[:, -1].mean() / best),
        )
    print(f"seconds shared by all: {shared:.3g}\n", flush=True)


def main():
    arguments = parse_arguments(__doc__, **{"digits-seeds": 5, "mnist-seeds": 2})
    print_header("Schedules of a denoising autoencoder's noise, at equal cost")
    for task in tasks(arguments):
        compare(task)


if __name__ == "__main__":
    main()
