"""What the L-BFGS solver costs, and how it compares with SciPy's L-BFGS-B.

    python examples/benchmarks/bench_lbfgs.py [--threads N]

Three tables: the time of an iteration outside the function; evaluations and iterations
over the problems of the tests; seconds at the size of a large autoencoder. Times are
medians of several runs in one process, solvers in turn.
"""

import argparse
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import scipy
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from problems import problems  # noqa: E402

from skae.solvers import minimize_lbfgs  # noqa: E402

RUNS = 7


class Timed:
    """A separable quadratic, about as cheap as a function can be, that times itself."""

    def __init__(self, n, dtype):
        self.curvature = np.logspace(0, 4, n).astype(dtype)
        self.x0 = np.random.default_rng(0).standard_normal(n).astype(dtype)
        self.gradient = np.empty(n, dtype=dtype)
        self.seconds = 0.0

    def __call__(self, x):
        start = perf_counter()
        g = np.multiply(self.curvature, x, out=self.gradient)
        value = float(np.dot(g, x)) / 2
        self.seconds += perf_counter() - start
        return value, g, None


def overhead(n, dtype, n_iter):
    """Seconds per iteration outside the function."""
    fun, seconds = Timed(n, dtype), []
    for _ in range(RUNS):
        fun.seconds, start = 0.0, perf_counter()
        result = minimize_lbfgs(fun, fun.x0, max_iter=n_iter, tol=0, ftol=0)
        seconds.append((perf_counter() - start - fun.seconds) / result.n_iter)
    return median(seconds)


def print_overhead():
    print("\nMicroseconds per iteration outside the function, 10 corrections")
    print(f"{'n':>10} {'float32':>10} {'float64':>10}")
    for n, n_iter in ((3_300, 200), (31_000, 100), (308_000, 40), (2_000_000, 20)):
        row = [1e6 * overhead(n, dtype, n_iter) for dtype in (np.float32, np.float64)]
        print(f"{n:10,} {row[0]:10,.0f} {row[1]:10,.0f}")


def print_evaluations(tol=1e-6):
    print(f"\nEvaluations (iterations) until max |g| <= {tol:g}, float64")
    print(f"{'problem':36} {'n':>6} {'skae':>14} {'SciPy':>14} {'ratio':>6}")
    ratios, many = [], 20_000
    options = {"maxcor": 10, "gtol": tol, "ftol": 0, "maxiter": many, "maxfun": many}
    for name, fun, x0, _ in problems():
        ours = minimize_lbfgs(
            lambda x, fun=fun: (*fun(x), None), x0, max_iter=many, tol=tol, ftol=0
        )
        theirs = minimize(fun, x0, jac=True, method="L-BFGS-B", options=options)
        ratios.append(ours.n_fun / theirs.nfev)
        counts = f"{ours.n_fun} ({ours.n_iter})", f"{theirs.nfev} ({theirs.nit})"
        print(
            f"{name:36} {x0.size:6} {counts[0]:>14} {counts[1]:>14} {ratios[-1]:6.2f}"
        )
    print(f"ratio: median {median(ratios):.2f}, largest {max(ratios):.2f}")


def print_seconds(n=308_000, n_iter=40):
    print(
        f"\nSeconds for {n_iter} iterations, n = {n:,}, a quadratic; median of {RUNS}"
    )
    names = "SciPy float64", "skae float64", "skae float32"
    seconds = {name: [] for name in names}
    wide, narrow = Timed(n, np.float64), Timed(n, np.float32)
    options = {"maxcor": 10, "gtol": 0, "ftol": 0, "maxiter": n_iter, "maxfun": 10**6}
    for _ in range(RUNS):
        for name in names:
            start = perf_counter()
            if name.startswith("SciPy"):
                result = minimize(
                    lambda x: wide(x)[:2],
                    wide.x0,
                    jac=True,
                    method="L-BFGS-B",
                    options=options,
                )
                done = result.nit
            else:
                fun = narrow if name.endswith("32") else wide
                done = minimize_lbfgs(
                    fun, fun.x0, max_iter=n_iter, tol=0, ftol=0
                ).n_iter
            seconds[name].append((perf_counter() - start) * n_iter / done)
    for name in names:
        pairs = zip(seconds[names[0]], seconds[name], strict=True)
        ratio = median(theirs / ours for theirs, ours in pairs)
        print(f"{name:14} {median(seconds[name]):8.3f} s   SciPy takes {ratio:5.1f} x")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, help="BLAS threads; default all")
    threads = parser.parse_args().threads
    print(f"NumPy {np.__version__}, SciPy {scipy.__version__}, ", end="")
    print(f"BLAS threads: {threads or 'all'}")
    with threadpool_limits(threads, user_api="blas"):
        print_overhead()
        print_seconds()
    # Counts, not times: small matrices are best served by one thread.
    with threadpool_limits(1, user_api="blas"):
        print_evaluations()


if __name__ == "__main__":
    main()
