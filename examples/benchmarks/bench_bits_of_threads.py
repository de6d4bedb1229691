"""Whether the bits of a fit depend on the number of threads: a hundred configurations.

Every estimator, by L-BFGS and by Adam, with and without weights of the rows, on dense
rows of both dtypes and on sparse ones, is fitted with BLAS at 1, 2 and 3 threads. The
data are large enough for BLAS to share out the products. Compared are digests of all
that a fit leaves in public, of codes, predictions and scores.

Prints for each estimator how many configurations there are, and how many of them have
the same bits with any number of threads; then those that have not.
"""

import argparse
import itertools
import warnings

import numpy as np
from _common import blas_threads, print_header
from _digests import outcome
from scipy.sparse import csr_array

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)

THREADS = (1, 2, 3)
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(size=(400, 300))
X[X < 0.5] = 0.0
LABELS = RANDOM.integers(0, 4, len(X))
ROWS = {
    "float64": np.asarray,
    "float32": np.float32,
    "sparse": csr_array,
}
WEIGHTS = {"plain": None, "weighted": RANDOM.uniform(0.5, 2, len(X))}
SOLVERS = ("lbfgs", "adam")
SHORT = {"max_iter": 3, "random_state": 0}
MODELS = {
    "SparseAutoencoder": lambda **p: SparseAutoencoder(100, **p),
    "with sparsity=l1": lambda **p: SparseAutoencoder(100, sparsity="l1", **p),
    "with l1_ratio=0.5": lambda **p: SparseAutoencoder(100, l1_ratio=0.5, **p),
    "DenoisingAutoencoder": lambda **p: DenoisingAutoencoder(100, **p),
    "ContractiveAutoencoder": lambda **p: ContractiveAutoencoder(100, **p),
    "StackedAutoencoder": lambda **p: StackedAutoencoder((100, 50), **p),
    "StackedAutoencoderClassifier": lambda **p: StackedAutoencoderClassifier(100, **p),
    "StackedAutoencoderRegressor": lambda **p: StackedAutoencoderRegressor(100, **p),
    "SparseCoding": lambda **p: SparseCoding(100, code_max_iter=3, **p),
}


def configurations(name):
    """Solver, rows and weights, by name."""
    solvers = (None,) if name == "SparseCoding" else SOLVERS
    return itertools.product(solvers, ROWS, WEIGHTS)


def digest(name, solver, rows, weights):
    """Of a fit with as many threads as BLAS has now."""
    options = SHORT if solver is None else SHORT | {"solver": solver}
    model, given = MODELS[name](**options), ROWS[rows](X)
    data = {"sample_weight": WEIGHTS[weights]}
    targets = {
        "StackedAutoencoderClassifier": LABELS,
        "StackedAutoencoderRegressor": np.cos(LABELS),
    }
    y = targets.get(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(given, **data) if y is None else model.fit(given, y, **data)
        return outcome(model, given) if y is None else outcome(model, given, y)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--quick", action="store_true", help="one estimator")
    arguments = parser.parse_args()
    models = ["SparseAutoencoder"] if arguments.quick else arguments.models
    print_header("Bits of fits with 1, 2 and 3 threads")
    print(f"{'':<32}{'configurations':>15}{'same bits':>12}")
    total, different = 0, []
    for name in models:
        alike, all_of_it = 0, [*configurations(name)]
        for configuration in all_of_it:
            found = set()
            for threads in THREADS:
                with blas_threads(threads):
                    found.add(digest(name, *configuration))
            alike += len(found) == 1
            if len(found) > 1:
                different.append((name, *configuration))
        total += len(all_of_it)
        print(f"{name:<32}{len(all_of_it):>15}{alike:>12}", flush=True)
    print(f"{'all':<32}{total:>15}{total - len(different):>12}")
    for names in different:
        print("different:", *names)


if __name__ == "__main__":
    main()
