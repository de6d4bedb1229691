"""Outliers of a large table: seconds and memory of fitting and scoring.

The rows lie near a curved surface of 8 dimensions. Beside the scores: the two products
of the rows and the weights, ``(X @ W.T) @ D``, and a whole forward pass, which adds
biases and applies the logistic function. Each is computed on all rows at once and, for
the products, also in blocks that fit into cache. Seconds are of the CPU, the least of
``--repetitions``; memory is beyond the table itself.
"""

import argparse
import resource
import time

import numpy as np
from _common import blas_threads, print_header

from skae import ReconstructionOutlierDetector


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few rows")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows = 20_000
    return arguments


def table(n_rows, n_columns):
    """In pieces, so that its making needs no more memory than all that follows."""
    random = np.random.RandomState(0)
    mixing = random.standard_normal((8, n_columns))
    X = np.empty((n_rows, n_columns))
    for start in range(0, n_rows, 10_000):
        part = X[start : start + 10_000]
        part[:] = np.tanh(random.standard_normal((len(part), 8)) @ mixing)
        part += 0.1 * random.standard_normal(part.shape)
    return X


def timed(function, repetitions):
    """Least CPU seconds, and those of the clock then."""
    seconds = []
    for _ in range(repetitions):
        began = time.process_time(), time.perf_counter()
        function()
        seconds.append((time.process_time() - began[0], time.perf_counter() - began[1]))
    return min(seconds)


def peak():
    """Of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forward(X, W, b, D, c):
    H = X @ W.T
    H += b
    H *= 0.5
    np.tanh(H, out=H)
    H *= 0.5
    H += 0.5
    H = H @ D
    H += c
    return H


def in_blocks(X, W, D, length=256):
    for start in range(0, len(X), length):
        (X[start : start + length] @ W.T) @ D


def main():
    arguments = parse_arguments()
    X = table(arguments.rows, arguments.columns)
    print_header("Outliers of a large table")
    print(f"{X.shape[0]} rows, {X.shape[1]} columns, {X.nbytes / 1e6:.0f} MB\n")
    detector = ReconstructionOutlierDetector(random_state=0)
    before = peak()
    rows = [("fit", timed(lambda: detector.fit(X), 1), peak() - before)]
    before = peak()
    score = timed(lambda: detector.score_samples(X), arguments.repetitions)
    rows.append(("score_samples", score, peak() - before))
    autoencoder = detector.estimator_[-1]
    W, D = autoencoder.components_, autoencoder.decoder_components_
    b, c = autoencoder.intercept_hidden_, autoencoder.intercept_visible_
    for name, function in [
        ("two products", lambda: (X @ W.T) @ D),
        ("two products in blocks", lambda: in_blocks(X, W, D)),
        ("forward pass", lambda: forward(X, W, b, D, c)),
    ]:
        rows.append((name, timed(function, arguments.repetitions), None))
    print(f"{'':<24}{'CPU s':>8}{'clock s':>9}{'ratio':>7}{'MB':>6}")
    for name, (cpu, clock), memory in rows:
        # Of the time of the scores to the time of this.
        ratio = "" if memory is not None else f"{score[0] / cpu:.2f}"
        memory = "" if memory is None else f"{memory:.0f}"
        print(f"{name:<24}{cpu:8.2f}{clock:9.2f}{ratio:>7}{memory:>6}")
    print("\nratio: CPU seconds of score_samples divided by those of this line")
    print(f"{len(W)} units, {autoencoder.n_iter_} iterations")


if __name__ == "__main__":
    arguments = parse_arguments()
    with blas_threads(arguments.threads):
        main()
