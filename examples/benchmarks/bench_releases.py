"""Whole fits of this checkout beside those of another, such as the last release's.

    git worktree add ../release v0.1
    python examples/benchmarks/bench_releases.py --other ../release

Two processes, one for each checkout, do the same fits in turns, a, b, b, a, …, one at a
time, each with one thread. The figure is the median of the ratios of CPU seconds. Every
fit has a number of iterations and no tolerance, so that both evaluate the same
objective equally often; the losses they end at are compared as well.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from _common import (
    Table,
    in_turns,
    median_ratio,
    not_converged,
    parse_arguments,
    print_header,
)

HERE = Path(__file__).resolve().parents[2]


def fits(quick):
    """Fits by name, each a function of nothing that returns a fitted estimator."""
    import numpy as np
    import scipy.sparse
    from sklearn.datasets import load_digits

    import skae

    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    pictures = rng.random((4000, 784), dtype=np.float32)
    text = scipy.sparse.random(3000, 2000, 0.01, format="csr", random_state=0)
    short = 10 if quick else 1

    def fixed(iterations, **more):
        fewer = max(2, iterations // short)
        return {"max_iter": fewer, "tol": 0, "random_state": 0, **more}

    sae, dae, cae = (
        skae.SparseAutoencoder,
        skae.DenoisingAutoencoder,
        skae.ContractiveAutoencoder,
    )
    digits = X.astype(np.float32)
    half = np.where(np.arange(len(X)) % 2, 1.0, 2.5)
    classifier = skae.StackedAutoencoderClassifier
    return {
        "sparse": lambda: sae(64, **fixed(250)).fit(X),
        "sparse, 784-196": lambda: sae(196, **fixed(10)).fit(pictures),
        "sparse, weights": lambda: sae(64, **fixed(250)).fit(X, sample_weight=half),
        "sparse, L1": lambda: sae(
            64, sparsity="l1", activation="relu", **fixed(200)
        ).fit(X),
        "sparse, Adam": lambda: sae(64, **fixed(60, solver="adam")).fit(digits),
        "sparse, CSR": lambda: sae(50, **fixed(30)).fit(text),
        "denoising": lambda: dae(64, **fixed(150)).fit(X),
        "contractive": lambda: cae(64, **fixed(150)).fit(X),
        "classifier": lambda: classifier((50, 30), **fixed(80)).fit(X, y),
        "sparse coding": lambda: skae.SparseCoding(64, **fixed(10)).fit(X),
    }


def serve(quick):
    """Do the fits that are named on standard input; print their seconds and losses."""
    every = fits(quick)
    for line in sys.stdin:
        began = time.process_time()
        with not_converged():
            estimator = every[line.strip()]()
        taken = time.process_time() - began
        print(json.dumps([taken, float(estimator.loss_curve_[-1])]), flush=True)


def worker(checkout, quick):
    """A process that fits with the package of a checkout."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--serve", "yes"]
    return subprocess.Popen(
        command + ["--quick"] * quick,
        env={**os.environ, **threads, "PYTHONPATH": str(checkout)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def asked(process, name):
    """Seconds and loss of one fit in a worker."""
    process.stdin.write(f"{name}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def main():
    arguments = parse_arguments(__doc__, other="", serve="")
    if arguments.serve:
        return serve(arguments.quick)
    if not arguments.other:
        sys.exit("--other names the checkout to compare with")
    print_header(f"Fits of this checkout over those of {Path(arguments.other).name}")
    both = {
        "this": worker(HERE, arguments.quick),
        "other": worker(Path(arguments.other).resolve(), arguments.quick),
    }
    repeats = 2 if arguments.quick else 11
    table = Table("fit", "seconds", "other", "this/other", "losses")
    for name in fits(arguments.quick):
        tasks = {
            side: lambda p=p, name=name: asked(p, name) for side, p in both.items()
        }
        in_turns(tasks, 1)
        done = in_turns(tasks, repeats)
        times = {side: [taken for taken, _ in done[side]] for side in done}
        lost = {side: done[side][0][1] for side in done}
        table.row(
            name,
            min(times["this"]),
            min(times["other"]),
            median_ratio(times["this"], times["other"]),
            "equal" if lost["this"] == lost["other"] else f"{lost}",
        )
    for process in both.values():
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    main()
