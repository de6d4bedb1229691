"""What a busy machine costs: fits and scores beside two processes that compute.

Each path is timed by the wall clock three times: with one thread of BLAS and as many as
BLAS takes by itself on a machine that does nothing else, and again as many beside two
processes that multiply matrices without end. On two cores three processes have two
thirds of a core each, so that the last time may be 1.5 times the first; threads that
wait for each other make it many times that. Runs each path in a process of its own, as
users do, where OMP_NUM_THREADS is not set.

The machine must be quiet otherwise.
"""

import argparse
import os
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from statistics import median

import numpy as np
from _common import print_header

from skae import (
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoderClassifier,
)

BURN = "import numpy as np\na = np.ones((300, 300))\nwhile True: a @ a"
SHORT = {"random_state": 0, "tol": 0}


def rows(n, d):
    return np.random.default_rng(0).random((n, d))


def fitted(model, n, d):
    """A fit, and a score of what has been fitted beforehand."""
    X, y = rows(n, d), np.arange(n) % 3
    if isinstance(model, StackedAutoencoderClassifier):
        return lambda: model.fit(X, y)
    return lambda: model.fit(X)


def scored(n, d):
    X = rows(n, d)
    model = SparseAutoencoder(50, max_iter=1, random_state=0).fit(X[:100])
    return lambda: model.score(X)


def transformed(n, d):
    X = rows(n, d)
    model = SparseAutoencoder(50, max_iter=1, random_state=0).fit(X[:100])
    return lambda: model.transform(X)


PATHS = {
    "fit by L-BFGS, 5000 x 200": lambda: fitted(
        SparseAutoencoder(100, max_iter=30, **SHORT), 5000, 200
    ),
    "fit by L-BFGS, 1000 x 30": lambda: fitted(
        SparseAutoencoder(20, max_iter=300, **SHORT), 1000, 30
    ),
    "fit by Adam, 5000 x 200": lambda: fitted(
        SparseAutoencoder(100, solver="adam", max_iter=10, **SHORT), 5000, 200
    ),
    "fit with noise, 2000 x 100": lambda: fitted(
        DenoisingAutoencoder(100, max_iter=40, **SHORT), 2000, 100
    ),
    "sparse coding, 2000 x 100": lambda: fitted(
        SparseCoding(50, max_iter=10, **SHORT), 2000, 100
    ),
    "classifier, 1000 x 64": lambda: fitted(
        StackedAutoencoderClassifier(50, max_iter=50, **SHORT), 1000, 64
    ),
    "score, 1000 x 50,000": lambda: scored(1000, 50_000),
    "transform, 100,000 x 50": lambda: transformed(100_000, 50),
}


@contextmanager
def burners(how_many):
    """So many processes that compute, each with one thread."""
    one = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    running = [
        subprocess.Popen([sys.executable, "-c", BURN], env=one) for _ in range(how_many)
    ]
    try:
        time.sleep(1.0 if running else 0.0)
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def seconds(path, repetitions, threads):
    """Median of the wall clock in a process with so many threads; None: all."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_NUM_THREADS")
    }
    if threads is not None:
        environment |= {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    command = [sys.executable, __file__, "--child", path, "--repeat", str(repetitions)]
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def child(path, repetitions):
    """Print the median time of one path in this process."""
    warnings.simplefilter("ignore")
    run, times = PATHS[path](), []
    for _ in range(repetitions):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    print(median(times))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=[*PATHS])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one path, once")
    parser.add_argument("--child", choices=PATHS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.repeat)
        return
    if arguments.quick:
        arguments.paths, arguments.repeat = ["fit by L-BFGS, 1000 x 30"], 1
    print_header("Beside two processes that compute")
    heads = "one thread", "all threads", "beside two", "ratio"
    print(f"{'':<28}" + "".join(head.rjust(14) for head in heads))
    for path in arguments.paths:
        alone = seconds(path, arguments.repeat, "1")
        many = seconds(path, arguments.repeat, None)
        with burners(2):
            beside = seconds(path, arguments.repeat, None)
        times = "".join(f"{t:>12.3f} s" for t in (alone, many, beside))
        print(f"{path:<28}{times}{beside / alone:>14.2f}", flush=True)


if __name__ == "__main__":
    main()
