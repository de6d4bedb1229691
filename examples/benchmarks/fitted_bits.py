"""The bits of some hundred fits, to see whether a change of the code changed any.

    python examples/benchmarks/fitted_bits.py > before.txt
    python examples/benchmarks/fitted_bits.py --against before.txt

Prints a line per configuration: a digest of all that the fit left in public, and of
what it makes of a few rows, and the configuration's name. A refactoring leaves every
digest as it was, on the same machine with the same versions of NumPy and SciPy.
With ``--against`` prints those that differ, and exits with status 1 if any does.

Only what a user may call is used, so that any version of the package will do. Within
a family of estimators every value of a parameter meets every value of every other
one in some configuration (pairwise testing), where they may meet.
"""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from _digests import outcome
from _pairwise import pairwise
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
    StackedAutoencoder,
    StackedAutoencoderClassifier,
    StackedAutoencoderRegressor,
)

try:
    import dask.array
except ImportError:
    dask = None

# -- data ----------------------------------------------------------------------------

DIGITS, LABELS = load_digits(return_X_y=True)
WHOLE = DIGITS / 16
PIXELS, LABELS = WHOLE[:240], LABELS[:240]
RANDOM = np.random.default_rng(0)
WEIGHTS = {
    None: None,
    "positive": RANDOM.uniform(0.5, 2, len(PIXELS)),
    "zeros": RANDOM.integers(0, 3, len(PIXELS)).astype(float),
}
TABLE, DIAGNOSES = load_breast_cancer(return_X_y=True)  # columns of many scales
TARGETS = {
    "words": np.array([f"digit {label}" for label in range(10)])[LABELS],
    "two": LABELS % 2,
    "labels": np.stack([LABELS % 2, LABELS > 4, LABELS == 3], axis=1).astype(int),
    "number": PIXELS.mean(axis=1),
    "numbers": np.stack([PIXELS[:, 20], LABELS / 9.0], axis=1),
}


def in_chunks(array, edges):
    """A dask array cut before these rows."""
    if array is None:
        return None
    lengths = tuple(np.diff([0, *edges, array.shape[0]]).tolist())
    chunks = (lengths, -1) if array.ndim == 2 else (lengths,)
    return dask.array.from_array(array, chunks=chunks)


def mapped(array):
    """A read-only memory map of a file that is gone when the map is."""
    with tempfile.TemporaryFile() as file:
        np.save(file, array)
        start = file.tell() - array.nbytes
        return np.memmap(file, array.dtype, "r", start, array.shape)


CUTS = {"dask": [], "dask in three": [100, 130]}
KINDS = {
    "float64": np.asarray,
    "float32": np.float32,
    "F order": np.asfortranarray,
    "csr": csr_array,
    "csr float32": lambda X: csr_array(X.astype(np.float32)),
    "memory map": mapped,
    "dask": lambda X: in_chunks(X, CUTS["dask"]),
    "dask in three": lambda X: in_chunks(X, CUTS["dask in three"]),
}


def beside(array, kind):
    """Weights or targets, of the kind that goes with rows of this one."""
    return in_chunks(array, CUTS[kind]) if kind in CUTS else array


# -- what is fitted --------------------------------------------------------------------

FEW = {"max_iter": 10, "random_state": 0}
SOLVING = {
    "rows": list(KINDS),
    "weights": list(WEIGHTS),
    "solver": ["lbfgs", "adam"],
    "early_stopping": [False, True],
    "l1_ratio": [0.0, 0.4],
    "alpha": ["scale", 1e-3],
    "learning_rate": ["constant", "linear"],
    "batch_size": ["auto", 70],
}
NETWORK = {
    "activation": ["logistic", "tanh", "relu", "identity"],
    "loss": ["squared_error", "log_loss"],
    "output_activation": ["identity", "logistic"],
    "tied_weights": [False, True],
}
STACK = SOLVING | {
    "autoencoder": ["denoising", "sparse", "contractive", "rbm", None],
    "activation": ["logistic", "tanh", "relu"],
    "hidden_layer_sizes": [(8, 5), 6],
    "fine_tune": [True, False],
    "dropout": [0.0, 0.2],
}
ON_TOP = {"decay": ["all", "start", "output"], "unlabeled": [False, True]}


def thirds(X, U):
    """A corruption of one's own: some entries are a third of what they were."""
    return np.where(U < 0.2, X / 3, X)


FAMILIES = {
    SparseAutoencoder: SOLVING | NETWORK | {"sparsity": ["kl", "l1", None]},
    DenoisingAutoencoder: SOLVING
    | NETWORK
    | {
        "corruption": ["masking", "gaussian", "salt_and_pepper", thirds],
        "emphasis": [None, (1, 0.5)],
        "redraw_every": [20, 3, None],
        "sparsity": [None, "kl", "l1"],
    },
    ContractiveAutoencoder: SOLVING
    | NETWORK
    | {"activation": ["logistic", "tanh"], "contraction_weight": ["scale", 0.05]},
    StackedAutoencoder: STACK
    | {
        "code_activation": [None, "identity"],
        "loss": ["squared_error", "log_loss"],
        "output_activation": ["identity", "logistic"],
    },
    StackedAutoencoderClassifier: STACK
    | ON_TOP
    | {"y": ["words", "two", "labels"], "class_weight": [None, "balanced"]},
    StackedAutoencoderRegressor: STACK | ON_TOP | {"y": ["number", "numbers"]},
}


def allowed(given):
    """Whether an estimator takes these parameters together."""
    get = given.get
    remote = str(get("rows")).startswith("dask")
    adam = get("solver") == "adam"
    unbounded = get("activation") in ("relu", "identity")
    refused = [
        remote and (adam or get("early_stopping") or get("autoencoder") == "rbm"),
        remote and get("class_weight") is not None,
        get("loss") == "log_loss" and get("output_activation") == "identity",
        get("sparsity") == "kl" and unbounded,
        get("corruption") == "gaussian" and get("emphasis") is not None,
        get("autoencoder") == "rbm" and get("activation", "logistic") != "logistic",
        get("autoencoder") == "rbm" and get("code_activation") is not None,
        get("autoencoder") == "rbm" and get("output_activation") == "identity",
        get("autoencoder") == "contractive" and unbounded,
        get("autoencoder") == "contractive" and get("code_activation") is not None,
        get("autoencoder", "") is None and get("fine_tune") is False,
        get("early_stopping") and get("fine_tune") is False,
        get("decay") == "start" and get("l1_ratio", 0) > 0,
        get("dropout", 0) > 0 and get("solver") == "lbfgs",
        # Without a use for it, the value would be a copy of another configuration.
        get("solver") == "lbfgs" and get("learning_rate") == "linear",
        get("solver") == "lbfgs" and get("batch_size") == 70,
    ]
    return not any(refused)


def fit(kind, rows, weights, dropout=None, y=None, unlabeled=False, **parameters):
    """Fit an estimator of a kind to the digits, and return its outcome."""
    if dropout is not None:
        parameters |= {"input_dropout": dropout / 2, "hidden_dropout": dropout}
    if parameters["early_stopping"]:
        parameters |= {"n_iter_no_change": 2, "max_iter": 25}
    model = kind(**FEW | parameters)
    X, few = KINDS[rows](PIXELS), KINDS[rows](PIXELS[::2])[:20]
    data = {"sample_weight": beside(WEIGHTS[weights], rows)}
    if y is None:
        return outcome(model.fit(X, **data), few)
    if unlabeled:
        data["X_unlabeled"] = KINDS[rows](WHOLE[300:500])
    model.fit(X, beside(TARGETS[y], rows), **data)
    return outcome(model, few[:15], few_targets(few, TARGETS[y]))


def few_targets(few, y):
    y = y[::2][:15]
    return y if not hasattr(few, "dask") else dask.array.from_array(y, chunks=-1)


def families():
    """Names and fits of every pair of values, family by family."""
    for kind, choices in FAMILIES.items():
        if "n_components" in kind().get_params():
            choices = choices | {"n_components": [9]}
        for values in pairwise(choices, allowed):
            shown = [
                f"{name}={getattr(value, '__name__', value)}"
                for name, value in values.items()
                if value != choices[name][0]
            ]
            name = " ".join([kind.__name__, *shown])
            yield name, values["rows"], lambda k=kind, v=values: fit(k, **v)


# -- and by hand -----------------------------------------------------------------------


def sequence(model, *steps):
    """The outcome of fits in turn, each with some parameters set before.

    A step is a method, rows, and a dict of parameters.
    """
    for method, X, parameters in steps:
        getattr(model.set_params(**parameters), method)(X)
    return outcome(model, PIXELS[:20].astype(X.dtype))


def by_hand():
    """Names and fits of what is no combination of values."""
    single = PIXELS.astype(np.float32)
    pieces = [("partial_fit", piece, {}) for piece in np.array_split(PIXELS, 3)]
    short = [("partial_fit", piece, {}) for piece in np.array_split(single, 3)]
    again = {"warm_start": True}
    adam = {"solver": "adam"} | again
    for kind in (SparseAutoencoder, DenoisingAutoencoder, ContractiveAutoencoder):
        make = {"n_components": 8} | FEW
        name = kind.__name__
        yield (
            f"{name} warm starts",
            sequence(kind(**make), ("fit", PIXELS, {}), ("fit", PIXELS[:150], again)),
        )
        yield (
            f"{name} one solver after the other",
            sequence(
                kind(**make),
                ("fit", PIXELS, adam),
                ("fit", PIXELS, {"solver": "lbfgs"}),
                ("fit", PIXELS, {"solver": "adam", "shuffle": False}),
            ),
        )
        yield f"{name} pieces", sequence(kind(solver="adam", **make), *pieces)
        yield (
            f"{name} pieces, float32, sparse weights",
            sequence(
                kind(solver="adam", l1_ratio=0.5, tied_weights=True, **make), *short
            ),
        )
        yield (
            f"{name} pieces after a fit",
            sequence(kind(**make), ("fit", PIXELS, adam), *pieces),
        )
        for n_jobs in (1, 2):
            several = {"n_init": 3, "n_jobs": n_jobs} | make
            yield (
                f"{name} starts, {n_jobs} at a time",
                sequence(kind(**several), ("fit", PIXELS, {})),
            )
        yield (
            f"{name} columns of many scales",
            outcome(kind(7, **FEW).fit(TABLE), TABLE[:20]),
        )
        # Enough rows and units for several threads, and for several blocks.
        yield (
            f"{name} many units",
            outcome(
                kind(200, max_iter=4, random_state=0).fit(np.tile(WHOLE, (2, 1))),
                WHOLE[:20],
            ),
        )
    yield (
        "SparseAutoencoder few evaluations, no decay",
        sequence(
            SparseAutoencoder(8, max_fun=6, alpha=0.0, **FEW), ("fit", PIXELS, {})
        ),
    )
    yield (
        "SparseAutoencoder to the end",
        outcome(
            SparseAutoencoder(3, tol=1e-3, random_state=0).fit(PIXELS[:60, 20:30]),
            PIXELS[:20, 20:30],
        ),
    )
    yield from sparse_coding()
    yield from stacks_by_hand()


def sparse_coding():
    few = {"max_iter": 4, "random_state": 0}
    weights = WEIGHTS["zeros"]
    grid = {"topography": (3, 4)}
    made = {
        "plain": {},
        "batches": {"batch_size": 90},
        "all rows": {"batch_size": None, "epsilon": 1e-4},
        "weights by hand": {"sparsity_weight": 0.2, "dictionary_penalty": 0.05},
        "topographic": grid,
        "topographic, batches": grid | {"batch_size": 100, "pool_size": 2},
        "few code iterations": {"code_max_iter": 2, "epsilon": 1e-3},
    }
    for name, parameters in made.items():
        size = {} if "topography" in parameters else {"n_components": 10}
        for rows in ("float64", "float32", "csr"):
            X = KINDS[rows](PIXELS)
            s = None if rows == "float32" else weights
            model = SparseCoding(**few, **size, **parameters).fit(X, sample_weight=s)
            yield f"SparseCoding {name}, {rows}", outcome(model, X[:20])
    pieces = [("partial_fit", piece, {}) for piece in np.array_split(PIXELS, 3)]
    again = ("fit", PIXELS, {"warm_start": True})
    yield "SparseCoding pieces", sequence(SparseCoding(10, **few), *pieces)
    yield (
        "SparseCoding warm starts, pieces",
        sequence(SparseCoding(**few, **grid), again, again, *pieces),
    )
    X = mapped(PIXELS)
    yield "SparseCoding memory map", outcome(SparseCoding(6, **few).fit(X), X[:20])


def stacks_by_hand():
    y = TARGETS["words"]
    given = [
        SparseAutoencoder(sparsity_target=0.1, max_iter=4, tied_weights=True),
        DenoisingAutoencoder(corruption="gaussian", activation="tanh", max_iter=4),
    ]
    make = {"hidden_layer_sizes": (8, 5)} | FEW
    for kind, targets in (
        (StackedAutoencoder, [None]),
        (StackedAutoencoderClassifier, ["words", "labels"]),
        (StackedAutoencoderRegressor, ["numbers"]),
    ):
        for name in targets:
            y = None if name is None else TARGETS[name]
            few = PIXELS[:20], None if y is None else y[:20]
            label = kind.__name__ if name is None else f"{kind.__name__} {name}"
            model = kind(autoencoder=given, **make).fit(PIXELS, y)
            yield f"{label} estimators", outcome(model, *few)
            model = kind(autoencoder=["rbm", "sparse"], **make)
            if kind is StackedAutoencoder:
                model.set_params(output_activation="logistic")
            yield f"{label} a list", outcome(model.fit(PIXELS, y), *few)
            model = kind(**make, warm_start=True).fit(PIXELS, y)
            model.set_params(solver="adam").fit(PIXELS, y)
            model.set_params(solver="lbfgs", early_stopping=True).fit(PIXELS, y)
            yield f"{label} warm starts", outcome(model, *few)
    classes = {"class_weight": {0: 2.0, 1: 0.5}}
    model = StackedAutoencoderClassifier(6, alpha="scale", **classes, **FEW)
    model.fit(TABLE / TABLE.max(axis=0), DIAGNOSES)
    rows = TABLE[:20] / TABLE.max(axis=0), DIAGNOSES[:20]
    yield "StackedAutoencoderClassifier weights of classes", outcome(model, *rows)


# -- the table -------------------------------------------------------------------------


def table():
    """Names and digests of all configurations, as they are fitted."""
    for name, rows, run in families():
        if dask is not None or rows not in CUTS:
            yield name, run()
    yield from by_hand()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, help="a table to compare with")
    against = parser.parse_args().against
    if dask is None:
        print("dask is not installed: nothing of it is fitted", file=sys.stderr)
    known = None
    if against is not None:
        lines = against.read_text().splitlines()
        known = {name: bits for bits, name in (line.split(" ", 1) for line in lines)}
    seen, different = set(), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "No dask.distributed client")
        for name, bits in table():
            if name in seen:
                raise AssertionError(f"two configurations of one name: {name}")
            seen.add(name)
            if known is None:
                print(bits, name, flush=True)
            elif known.get(name) != bits:
                different += 1
                print("differs:" if name in known else "is new:", name, flush=True)
    if known is None:
        return 0
    for name in sorted(known.keys() - seen):
        print("not fitted:", name)
    print(f"{different} of {len(seen)} configurations are not as they were")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
