"""Two threads against one: 10,000 x 784, 196 hidden units.

A loss and gradient of the engine, and ``transform``, ``predict`` and
``score_samples`` of a fitted estimator, in one thread and in two, in turns. It takes
two cores that have nothing else to do; the matrix products of BLAS itself, whole and
with its own threads, are printed beside for what the machine can give.
"""

from contextlib import ExitStack
from statistics import median

import numpy as np
from _common import (
    DTYPES,
    Table,
    all_threads,
    blas_threads,
    cases,
    median_ratio,
    not_converged,
    parse_arguments,
    print_header,
    time_in_turns,
)

from skae import SparseAutoencoder
from skae.core.autoencoder import AutoencoderObjective
from skae.core.penalties import KullbackLeibler
from skae.engines.threads import ThreadEngine

METHODS = ("transform", "predict", "score_samples")


def engine_task(X, k, stack):
    """``task(n_threads)``: the engine's gradient."""
    d = X.shape[1]
    penalty = KullbackLeibler(0.05, 3.0, (0.0, 1.0))
    objective = AutoencoderObjective(d, k, alpha=1e-4, terms=[penalty], dtype=X.dtype)
    theta = np.random.default_rng(0).uniform(-0.08, 0.08, objective.layout.size)
    theta = theta.astype(X.dtype)
    engines = {
        n: stack.enter_context(ThreadEngine(objective, X, n_threads=n)) for n in (1, 2)
    }
    return lambda n_threads: engines[n_threads](theta)[1]


def limited(method, X):
    """``task(n_threads)``: what ``method(X)`` returns, BLAS at so many threads."""

    def run(n_threads):
        with blas_threads(n_threads):
            return method(X)

    return run


def tasks_of(X, k):
    """Whatever is to be run in one thread and in two, by name, without the engine."""
    with not_converged():
        model = SparseAutoencoder(k, max_iter=2, random_state=0).fit(X[:1000])
    W = np.ones((k, X.shape[1]), X.dtype)
    methods = {name: getattr(model, name) for name in METHODS}
    methods["BLAS: X Wᵀ"] = lambda X: X @ W.T
    return {name: limited(method, X) for name, method in methods.items()}


def measure(task, repeats):
    """Whether the bits are the same, and seconds by number of threads."""
    same = np.array_equal(task(1).copy(), task(2))
    each = {n: (lambda n=n: task(n)) for n in (1, 2)}
    return same, time_in_turns(each, repeats)


def main():
    arguments = parse_arguments(__doc__)
    print_header("Two threads against one")
    if all_threads() < 2:
        print("BLAS is allowed one thread here: nothing to compare.\n")
    table = Table("task", "dtype", "1: ms", "2: ms", "speed-up", "bits")
    repeats = 3 if arguments.quick else 15
    case = cases(arguments)["784-196"]
    for dtype in DTYPES:
        X = case.rows(dtype)
        with ExitStack() as stack:  # while the engines are open BLAS has one thread
            name = "loss and gradient"
            task = engine_task(X, case.n_components, stack)
            measured = {name: measure(task, repeats)}
        for name, task in tasks_of(X, case.n_components).items():
            measured[name] = measure(task, repeats)
        for name, (same, times) in measured.items():
            speed_up = median_ratio(times[1], times[2])
            table.row(
                name,
                dtype,
                1e3 * median(times[1]),
                1e3 * median(times[2]),
                speed_up,
                "same" if same else "OTHERS",
            )


if __name__ == "__main__":
    main()
