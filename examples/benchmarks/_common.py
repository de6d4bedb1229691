"""What the benchmarks share: data, timing in turns, a watch on a fit, tables.

Every figure is a ratio of two times of the same run of a script. The two are
measured in turns, a, b, b, a, …, and the ratio printed is the median of the
ratios of the repetitions, so that a machine that slows down for a while slows
both.
"""

import argparse
import os
import platform
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
import scipy
import sklearn
from sklearn.datasets import fetch_openml, load_digits
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

import skae
from skae.engines.threads import ThreadEngine

DTYPES = ("float32", "float64")
CASES = ("digits", "64-25", "784-196")
# After a product OpenBLAS's threads go on spinning for some 30 ms.
_SECONDS_OF_REST = 0.1
_BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[3] / "shared/data/mnist.npz"


def parse_arguments(description, **more):
    """Read --data and --quick; ``more`` names further options and their defaults."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=_BESIDE_THE_CHECKOUT if _BESIDE_THE_CHECKOUT.exists() else None,
        help="MNIST as an .npz with X_train; by default fetched from OpenML",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few rows, iterations and repetitions: shows that the script runs",
    )
    parser.add_argument(
        "--cases",
        nargs="+",
        choices=CASES,
        default=CASES,
        help="the sizes to measure, where a script measures several",
    )
    for name, default in more.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()


# -- data --------------------------------------------------------------------------


@dataclass
class Case:
    """A network and the rows to train it on."""

    name: str
    X: np.ndarray
    n_components: int

    def rows(self, dtype):
        """X in ``dtype``, C-contiguous."""
        return np.ascontiguousarray(self.X, dtype)


def mnist(path, n_samples):
    """The first rows of MNIST's training set, in [0, 1], float32."""
    if path is not None:
        with np.load(path) as arrays:
            X = arrays["X_train"][:n_samples]
    else:
        X = fetch_openml("mnist_784", as_frame=False).data[:60000][:n_samples]
    return X.astype(np.float32) / np.float32(255)


def pooled(X):
    """MNIST's 28 x 28 pixels with a margin of 2, averaged over 4 x 4: 8 x 8."""
    images = np.pad(X.reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
    return images.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(-1, 64)


def cases(arguments):
    """Those of the three sizes that are chosen, by their names in ``CASES``."""
    n_samples = 1000 if arguments.quick else 10_000
    X = mnist(arguments.data, n_samples)
    every = {
        "digits": Case("digits 1797 x 64, 25", load_digits().data / 16, 25),
        "64-25": Case(f"MNIST 8x8 {n_samples} x 64, 25", pooled(X), 25),
        "784-196": Case(f"MNIST {n_samples} x 784, 196", X, 196),
    }
    return {name: every[name] for name in arguments.cases}


# -- timing ------------------------------------------------------------------------


def seconds(task):
    """Seconds that ``task()`` takes."""
    began = time.perf_counter()
    task()
    return time.perf_counter() - began


def in_turns(tasks, repeats):
    """Run each task ``repeats`` times in turns.

    Parameters
    ----------
    tasks : dict of str to callable
        Whatever needs warming up has been called before.
    repeats : int
        Every other repetition goes through the tasks backwards.

    Returns
    -------
    results : dict of str to list
        What the calls returned, in order of the repetitions.
    """
    results = {name: [] for name in tasks}
    for repeat in range(repeats):
        for name in list(tasks)[:: -1 if repeat % 2 else 1]:
            time.sleep(_SECONDS_OF_REST)
            results[name].append(tasks[name]())
    return results


def time_in_turns(tasks, repeats):
    """Seconds of each task, as ``in_turns``."""
    timed = {name: (lambda task=task: seconds(task)) for name, task in tasks.items()}
    return in_turns(timed, repeats)


def median_ratio(numerators, denominators):
    """Median of the ratios of the repetitions."""
    return median(a / b for a, b in zip(numerators, denominators, strict=True))


@cache
def _blas():
    return ThreadpoolController().select(user_api="blas")


def blas_threads(n_threads):
    """Context with that many BLAS threads; None leaves BLAS as it is."""
    return _blas().limit(limits=n_threads)


def all_threads():
    """Threads that NumPy's BLAS uses if nobody limits it."""
    return max(
        (pool["num_threads"] for pool in _blas().info()),
        default=1,
    )


@contextmanager
def not_converged():
    """Silence what a fixed number of iterations always ends in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


# -- a watch on a fit --------------------------------------------------------------


@dataclass
class Watch:
    """The evaluations of the objective during one fit of an estimator of skae."""

    started: float = field(default_factory=time.perf_counter)
    start: np.ndarray | None = None  # θ of the first evaluation, in data's units
    inside: float = 0.0  # seconds within evaluations
    first: float = 0.0  # seconds before the first evaluation
    curve: list = field(default_factory=list)  # (seconds since started, loss)

    def stamp(self, loss):
        """Note that an evaluation has just found ``loss``."""
        self.curve.append((time.perf_counter() - self.started, loss))


@contextmanager
def watched_fit():
    """Time every evaluation of the objective within the block; yields a Watch."""
    original = ThreadEngine.__call__
    watch = Watch()

    def evaluate(engine, theta):
        if watch.start is None:
            watch.start = theta.copy()
            watch.first = time.perf_counter() - watch.started
        began = time.perf_counter()
        outcome = original(engine, theta)
        watch.inside += time.perf_counter() - began
        watch.stamp(outcome[0])
        return outcome

    ThreadEngine.__call__ = evaluate
    try:
        yield watch
    finally:
        ThreadEngine.__call__ = original


class Curve:
    """Loss against time, the loss being the lowest seen so far."""

    def __init__(self, stamps):
        seconds, losses = np.array(stamps).T
        self.seconds, self.lowest = seconds, np.minimum.accumulate(losses)

    def reached(self, loss):
        """Evaluations and seconds until ``loss`` was first seen."""
        index = int(np.argmax(self.lowest <= loss))
        return index + 1, float(self.seconds[index])


def unpack(theta, n_features, n_components):
    """W (k, d), b (k,), D (k, d) and c (d,) of a flat θ, without a copy."""
    d, k = n_features, n_components
    W, b, D, c = np.split(theta, np.cumsum([k * d, k, k * d]))
    return W.reshape(k, d), b, D.reshape(k, d), c


# -- printing ----------------------------------------------------------------------


def _cpu_model():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def print_header(title, **versions):
    """Print the machine, the versions and each BLAS that is loaded."""
    n_cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count()
    )
    versions = {
        "Python": platform.python_version(),
        "skae": skae.__version__,
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        **versions,
    }
    print(f"## {title}")
    print(f"{_cpu_model()}, {n_cores} cores, {platform.system()}")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    for pool in _blas().info():
        owner = Path(pool["filepath"]).parent.name.removesuffix(".libs")
        print(
            f"BLAS of {owner}: {pool['internal_api']} {pool['version']}, "
            f"{pool.get('architecture', 'architecture unknown')}, "
            f"{pool['num_threads']} threads"
        )
    print(flush=True)


class Table:
    """Prints rows as they come, under a head of fixed widths."""

    def __init__(self, *columns):
        self._widths = [max(len(name), 9) for name in columns]
        self._widths[0] = max(self._widths[0], 26)
        self.row(*columns)
        self.row(*("-" * width for width in self._widths))

    def row(self, *cells):
        """Print one row; numbers with three digits."""
        first, *rest = (
            f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells
        )
        padded = [first.ljust(self._widths[0])]
        padded += [
            cell.rjust(width)
            for cell, width in zip(rest, self._widths[1:], strict=True)
        ]
        print("  ".join(padded).rstrip(), flush=True)
