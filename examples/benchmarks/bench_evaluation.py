"""One loss and gradient over its floor, the five matrix products alone.

An evaluation of an autoencoder's loss and gradient needs five matrix products:
codes, reconstruction, the error carried back to the codes, and the gradients of
encoder and decoder. Whatever else it costs (activations, penalty, sums, biases)
is overhead, and the ratio to the products alone says how much.

The floor is measured in two ways, outputs preallocated in both, and the faster is
the denominator:

* whole: the products of whole arrays, BLAS with all the threads it is given;
* blocks: block by block of rows as the engine cuts them, the blocks shared among
  as many threads with BLAS at one thread each, nothing added up.

The objective has logistic codes, linear outputs, weight decay and the
Kullback-Leibler penalty, which needs a second pass over the codes.

The last column is the same evaluation with a fifth of the entries missing (NaN, at
random), over the one without.
"""

import math
from concurrent.futures import ThreadPoolExecutor
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
    parse_arguments,
    print_header,
    seconds,
    time_in_turns,
)

from skae.core.penalties import KullbackLeibler
from skae.engines.threads import ThreadEngine
from skae.rows.incomplete import incomplete
from skae.rows.lengths import block_rows
from skae.rows.source import source

SECONDS_A_REPETITION = 0.2


def whole_floor(X, k):
    """The five products of whole arrays, as a function of nothing."""
    n, d = X.shape
    rng = np.random.default_rng(0)
    W, D = rng.standard_normal((2, k, d)).astype(X.dtype)
    codes, epsilon = np.empty((2, n, k), X.dtype)
    delta = np.empty_like(X)
    gradient_W, gradient_D = np.empty((2, k, d), X.dtype)

    def products():
        np.matmul(X, W.T, out=codes)
        np.matmul(codes, D, out=delta)
        np.matmul(delta, D.T, out=epsilon)
        np.matmul(codes.T, delta, out=gradient_D)
        np.matmul(epsilon.T, X, out=gradient_W)

    return products


def block_floor(X, k, n_threads, pool):
    """The same in the engine's blocks, which ``n_threads`` threads share."""
    n, d = X.shape
    rng = np.random.default_rng(0)
    W, D = rng.standard_normal((2, k, d)).astype(X.dtype)
    rows = block_rows(n, d + k)
    blocks = [X[start : start + rows] for start in range(0, n, rows)]
    n_threads = min(n_threads, len(blocks))
    codes = [np.empty((k, len(block)), X.dtype) for block in blocks]

    def room():
        return {
            "epsilon": np.empty(k * rows, X.dtype),
            "delta": np.empty(rows * d, X.dtype),
            "gradients": np.empty((2, k, d), X.dtype),
        }

    rooms = [room() for _ in range(n_threads)]

    def share(thread):
        space = rooms[thread]
        gradient_W, gradient_D = space["gradients"]
        for index in range(thread, len(blocks), n_threads):
            block, H = blocks[index], codes[index]
            m = len(block)
            epsilon = space["epsilon"][: k * m].reshape(k, m)
            delta = space["delta"][: m * d].reshape(m, d)
            np.matmul(W, block.T, out=H)
            np.matmul(H.T, D, out=delta)
            np.matmul(D, delta.T, out=epsilon)
            np.matmul(H, delta, out=gradient_D)
            np.matmul(epsilon, block, out=gradient_W)

    def products():
        others = [pool.submit(share, thread) for thread in range(1, n_threads)]
        share(0)
        for other in others:
            other.result()

    return products


def evaluation(X, k, engines):
    """The engine's loss and gradient, as a function of nothing."""
    d = X.shape[1]
    penalty = KullbackLeibler(0.05, 3.0, (0.0, 1.0))
    objective = X.autoencoder(d, k, alpha=1e-4, terms=[penalty], dtype=X.dtype)
    theta = np.random.default_rng(0).uniform(-0.08, 0.08, objective.layout.size)
    theta = theta.astype(X.dtype)
    engine = engines.enter_context(ThreadEngine(objective, X))
    return lambda: engine(theta)


def with_holes(X):
    """The rows with a fifth of their entries missing."""
    missing = np.random.default_rng(0).uniform(size=X.shape) < 0.2
    rows = np.where(missing, X.dtype.type(np.nan), X)
    return incomplete(rows, np.nanmean(rows, axis=0).astype(X.dtype))


def repeated(task, calls):
    """``task`` so many times."""

    def run():
        for _ in range(calls):
            task()

    return run


def limited(task, n_threads):
    """``task`` with BLAS at ``n_threads``, for which it is told only once."""

    def run():
        with blas_threads(n_threads):
            task()

    return run


def measure(X, k, n_threads, repeats):
    """Seconds an evaluation and the two floors take, by name."""
    with ExitStack() as stack:
        stack.enter_context(blas_threads(n_threads))
        pool = stack.enter_context(ThreadPoolExecutor(max(1, n_threads - 1)))
        # While the engine is open, BLAS stays at one thread.
        once = {
            "whole": (whole_floor(X, k), n_threads),
            "blocks": (block_floor(X, k, n_threads, pool), 1),
            "engine": (evaluation(source(X), k, stack), 1),
            "missing": (evaluation(with_holes(X), k, stack), 1),
        }
        tasks, calls_of = {}, {}
        for name, (task, blas) in once.items():
            limited(task, blas)()
            calls = math.ceil(SECONDS_A_REPETITION / seconds(limited(task, blas)))
            tasks[name] = limited(repeated(task, calls), blas)
            calls_of[name] = calls
        times = time_in_turns(tasks, repeats)
    return {name: [t / calls_of[name] for t in times[name]] for name in times}


def main():
    arguments = parse_arguments(__doc__)
    print_header("Loss and gradient over the five matrix products")
    repeats = 3 if arguments.quick else 15
    table = Table(
        "rows x features, hidden",
        "dtype",
        "threads",
        "engine ms",
        "whole ms",
        "blocks ms",
        "over floor",
        "20 % missing over none",
    )
    for case in cases(arguments).values():
        for dtype in DTYPES:
            for n_threads in sorted({1, all_threads()}):
                times = measure(case.rows(dtype), case.n_components, n_threads, repeats)
                ms = {task: 1e3 * median(times[task]) for task in times}
                floor = min("whole", "blocks", key=ms.get)
                ratio = median_ratio(times["engine"], times[floor])
                table.row(
                    case.name,
                    dtype,
                    n_threads,
                    ms["engine"],
                    ms["whole"],
                    ms["blocks"],
                    ratio,
                    median_ratio(times["missing"], times["engine"]),
                )


if __name__ == "__main__":
    main()
