"""What an L1 penalty costs the L-BFGS solver, in time and in evaluations.

    python examples/benchmarks/bench_owlqn.py [--threads N] [--quick]

Two tables. The time of an iteration outside the function, beside the smooth solver's on
the same quadratic, of which the penalty sets half the entries to zero: ratios of the
median iteration, each pair of runs in turn, and their median. And the evaluations until
the largest entry of the (pseudo-)gradient is below 1e-6: without a penalty, with one,
and with one by OWL-QN as it was published.
"""

import argparse
import sys
from pathlib import Path
from statistics import geometric_mean, median
from time import thread_time

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from problems import (  # noqa: E402
    logistic_regression,
    quadratic,
    rosenbrock,
    sparse_autoencoder,
    wood,
)

from skae.solvers import minimize_lbfgs  # noqa: E402

SETTLED = 11  # iterations until the history is full


class Timed:
    """½ Σ a_j (x_j - b_j)², which times itself."""

    def __init__(self, n, dtype):
        rng = np.random.default_rng(0)
        self.curvature = np.logspace(0, 3, n).astype(dtype)
        self.centre = rng.laplace(size=n).astype(dtype)
        self.x0 = rng.standard_normal(n).astype(dtype)
        self.residual, self.gradient = np.empty((2, n), dtype=dtype)
        self.seconds = 0.0

    def __call__(self, x):
        start = thread_time()
        r = np.subtract(x, self.centre, out=self.residual)
        g = np.multiply(self.curvature, r, out=self.gradient)
        value = float(np.dot(g, r)) / 2
        self.seconds += thread_time() - start
        return value, g, None


def seconds_of_iterations(fun, l1, n_iter):
    """Seconds of each settled iteration outside the function."""
    stamps = []

    def stamp(iteration):
        stamps.append(thread_time() - fun.seconds)

    fun.seconds = 0.0
    minimize_lbfgs(fun, fun.x0, max_iter=n_iter, tol=0, ftol=0, l1=l1, callback=stamp)
    return np.diff(stamps[SETTLED:])


def print_cost(runs):
    print("\nMicroseconds of the median iteration outside the function, CPU time")
    print(
        f"{'n':>10} {'dtype':>8} {'smooth':>8} {'l1':>8} {'ratio':>6} {'of means':>9}"
    )
    for n, n_iter in ((3_000, 100), (30_000, 60), (300_000, 40)):
        for dtype in (np.float32, np.float64):
            fun = Timed(n, dtype)
            times = [
                [seconds_of_iterations(fun, l1, n_iter) for l1 in (None, penalty)]
                for penalty in runs * [0.7 * fun.curvature]
            ]
            smooth, ours = (median(np.median(t[i]) for t in times) for i in (0, 1))
            ratio = median(np.median(b) / np.median(a) for a, b in times)
            of_means = median(b.mean() / a.mean() for a, b in times)
            print(
                f"{n:10,} {np.dtype(dtype).name:>8} {1e6 * smooth:8.0f} "
                f"{1e6 * ours:8.0f} {ratio:6.2f} {of_means:9.2f}",
                flush=True,
            )


def published(fun, x0, c, tol, max_fun, m=10):
    """OWL-QN of Andrew & Gao (2007), algorithm 1; returns its evaluations.

    The two-loop recursion with all of y, d set to zero wherever its sign is not that of
    -∇̃F, and a step that is halved until F decreases enough.
    """

    def evaluate(x):
        value, g = fun(x)
        pseudo = np.where(
            x != 0, g + c * np.sign(x), np.sign(g) * np.maximum(np.abs(g) - c, 0)
        )
        return value + c @ np.abs(x), g, pseudo

    x, pairs, n_fun = x0, [], 1
    value, g, pseudo = evaluate(x)
    while np.abs(pseudo).max() > tol and n_fun < max_fun:
        d, alphas = -pseudo, []
        for s, y in reversed(pairs):
            alphas.append(s @ d / (s @ y))
            d = d - alphas[-1] * y
        if pairs:
            s, y = pairs[-1]
            d = d * (s @ y) / (y @ y)
        for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
            d = d + s * (alpha - y @ d / (s @ y))
        d = np.where(d * pseudo < 0, d, 0)
        signs = np.where(x != 0, np.sign(x), -np.sign(pseudo))
        t = 1.0 if pairs else 1 / np.linalg.norm(pseudo)
        for _ in range(40):
            new = x + t * d
            new = np.where((new * signs > 0) | (c == 0), new, 0)
            new_value, new_g, new_pseudo = evaluate(new)
            n_fun += 1
            if new_value <= value + 1e-4 * pseudo @ (new - x):
                break
            t /= 2
        else:
            return max_fun
        s, y = new - x, new_g - g
        if s @ y > 0:
            pairs = [*pairs, (s, y)][-m:]
        x, value, g, pseudo = new, new_value, new_g, new_pseudo
    return n_fun


def cases(quick):
    """(problem, number of unpenalised entries at its end, weight of the others)."""
    regressions = [
        (logistic_regression("breast cancer", load_breast_cancer, 0.0), 2),
        (logistic_regression("digits", load_digits, 0.0), 10),
        (logistic_regression("wine", load_wine, 0.0), 3),
    ]
    autoencoders = [
        (sparse_autoencoder("iris", load_iris, 3, alpha=1e-4), 7),
        (sparse_autoencoder("digits", load_digits, 8), 72),
    ]
    analytic = [rosenbrock(10), wood(4), quadratic(1e2), quadratic(1e4)]
    yield from ((*p, c) for p in regressions for c in (1e-1, 1e-2, 1e-3))
    yield from ((p, 0, c) for p in analytic for c in (1.0, 1e-2))
    if not quick:
        yield from ((*p, c) for p in autoencoders for c in (1e-2, 1e-3))


def count(evaluations, limit):
    return f"> {limit}" if evaluations >= limit else str(evaluations)


def print_evaluations(quick, tol=1e-6):
    limit = 500 if quick else 2000
    print(f"\nEvaluations until max |∇̃F| <= {tol:g}, float64, at most {limit}")
    print(f"{'problem':34} {'weight':>7} {'zeros':>6} {'smooth':>7} {'l1':>7} ", end="")
    print(f"{'published':>9}")
    ratios = []
    for problem, n_free, weight in cases(quick):
        c = np.full(problem.x0.size, weight)
        c[c.size - n_free :] = 0
        options = {"max_iter": limit, "max_fun": limit, "tol": tol, "ftol": 0}

        def fun(x, problem=problem):
            return (*problem.fun(x), None)

        smooth = minimize_lbfgs(fun, problem.x0, **options)
        ours = minimize_lbfgs(fun, problem.x0, l1=c, **options)
        with np.errstate(all="ignore"):
            theirs = published(problem.fun, problem.x0, c, tol, limit)
        ratios.append(theirs / ours.n_fun)
        zeros = np.mean(ours.x == 0)
        counts = [count(n, limit) for n in (smooth.n_fun, ours.n_fun, theirs)]
        print(
            f"{problem.name:34} {weight:7g} {zeros:6.0%} {counts[0]:>7} {counts[1]:>7} "
            f"{counts[2]:>9}",
            flush=True,
        )
    print(
        f"published / l1: geometric mean {geometric_mean(ratios):.2f} or more, ", end=""
    )
    print(f"{min(ratios):.2f} to {max(ratios):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1, help="BLAS threads")
    parser.add_argument("--quick", action="store_true", help="only show that it runs")
    arguments = parser.parse_args()
    print(f"NumPy {np.__version__}, BLAS threads: {arguments.threads}")
    with threadpool_limits(arguments.threads, user_api="blas"):
        print_cost(3 if arguments.quick else 9)
        print_evaluations(arguments.quick)


if __name__ == "__main__":
    main()
