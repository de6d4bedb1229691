"""Sparse rows: TF-IDF of docstrings, and rows with 100 non-zeros among 50,000 columns.

**Text.** Which sub-package of SciPy or scikit-learn is a docstring of? Words of the
docstrings that come with the two libraries, as TF-IDF; 64 codes, standardised, and a
logistic regression on them, beside as many components of TruncatedSVD and beside the
words themselves; fits of 100 iterations, three splits. No file has docstrings on both
sides of a split. Reported as found.

**Memory.** A fit of 200,000 x 50,000 in a process of its own: how far the peak of the
resident size rises above what is there before, and by how many bytes that grows for
each byte of further non-zeros (values and column indices): the fit of half of the
rows is taken off, and with it the solver's history, which is 20 times the
parameters whatever the rows.

**Time.** An evaluation of loss and gradient within a fit, on sparse rows and on the
same rows when dense, in turns, of an autoencoder and, on half of the rows, of a
classifier of ten classes. And an epoch of
Adam against MLPRegressor's, which takes sparse X but needs its targets dense.

    --rows, --features, --entries, --components   size of the synthetic rows
    --dense_rows, --mlp_rows                      rows that are made dense
    --parts                                       text, memory and time, or some
"""

import ast
import json
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import scipy.sparse
from _common import (
    DTYPES,
    Table,
    in_turns,
    median_ratio,
    not_converged,
    parse_arguments,
    print_header,
    time_in_turns,
    watched_fit,
)
from _resident import MB, in_new_process, peak, resident
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoderClassifier,
)

N_CLASSES = 10
LEAST_DOCSTRINGS, LEAST_LETTERS = 40, 200


# -- text --------------------------------------------------------------------------


def docstrings():
    """Docstrings of public sub-packages, their names, and the files they are in."""
    texts, labels, files = [], [], []
    for package in ("scipy", "sklearn"):
        root = Path(find_spec(package).origin).parent
        for path in sorted(root.glob("*/**/*.py")):
            parts = path.relative_to(root).parts
            if parts[0].startswith("_") or {"tests", "externals"} & set(parts):
                continue
            for text in docstrings_of(path):
                texts.append(text)
                labels.append(f"{package}.{parts[0]}")
                files.append(str(path))
    labels, files = np.array(labels), np.array(files)
    names, counts = np.unique(labels, return_counts=True)
    kept = np.flatnonzero(np.isin(labels, names[counts >= LEAST_DOCSTRINGS]))
    return [texts[index] for index in kept], labels[kept], files[kept]


def docstrings_of(path):
    """Docstrings of classes and functions, those of some length."""
    kinds = ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, kinds):
            text = ast.get_docstring(node)
            if text and len(text) >= LEAST_LETTERS:
                yield text


def text(arguments):
    """Accuracy of a linear classifier on 64 codes, on components, on words."""
    texts, labels, files = docstrings()
    if arguments.quick:
        some = np.flatnonzero(np.char.startswith(labels, "sklearn.m"))
        texts, labels, files = [texts[i] for i in some], labels[some], files[some]
    words = TfidfVectorizer(min_df=3, sublinear_tf=True, dtype=np.float32)
    X = words.fit_transform(texts)
    print(
        f"\n{X.shape[0]} docstrings of {len(set(labels))} sub-packages, {X.shape[1]} "
        f"words, {X.nnz / X.shape[0]:.0f} of them in each"
    )
    k = 64
    short = {"random_state": 0, "max_iter": 5 if arguments.quick else 100}
    plain = {"sparsity": None, "alpha": 1e-5} | short
    features = {
        "TruncatedSVD(64)": TruncatedSVD(k, random_state=0),
        "SparseAutoencoder(64)": SparseAutoencoder(k, **short),
        "the same, sparsity=None": SparseAutoencoder(k, **plain),
        "the same, tanh": SparseAutoencoder(k, activation="tanh", **plain),
        "DenoisingAutoencoder(64)": DenoisingAutoencoder(k, **short),
        "ContractiveAutoencoder(64)": ContractiveAutoencoder(k, **short),
    }
    n_splits = 2 if arguments.quick else 3
    splits = StratifiedGroupKFold(n_splits, shuffle=True, random_state=0)
    splits = list(splits.split(X, labels, files))
    table = Table("features", "accuracy", "+-", "explained")
    classifier = LogisticRegression(max_iter=2000)
    # Rows of unit length need weaker regularisation than standardised codes.
    weaker = LogisticRegression(C=100, max_iter=2000)
    scores = cross_val_score(weaker, X, labels, cv=splits)
    table.row(f"{X.shape[1]} words", scores.mean(), scores.std(), "-")
    for name, encoder in features.items():
        pipeline = make_pipeline(encoder, StandardScaler(), classifier)
        with not_converged():
            scores = cross_val_score(pipeline, X, labels, cv=splits)
            encoder.fit(X)
        table.row(name, scores.mean(), scores.std(), float(explained(encoder, X)))


def explained(encoder, X):
    """Fraction of the variance that codes or components explain."""
    if isinstance(encoder, TruncatedSVD):
        return encoder.explained_variance_ratio_.sum()
    return encoder.score(X)


# -- synthetic rows ----------------------------------------------------------------


def rows_of(n_rows, arguments, dtype):
    """So many rows with ``entries`` non-zeros, one in each strip of the columns."""
    z, d = arguments.entries, arguments.features
    rng = np.random.default_rng(0)
    indices = np.empty((n_rows, z), np.int32)
    data = np.empty((n_rows, z), dtype)
    width = d // z
    for start in range(0, n_rows, 10_000):  # no large array but the two
        part = slice(start, start + 10_000)
        shape = indices[part].shape
        indices[part] = rng.integers(0, width, shape, np.int32)
        indices[part] += width * np.arange(z, dtype=np.int32)
        data[part] = rng.random(shape, np.float32) / z**0.5
    indptr = np.arange(0, n_rows * z + 1, z, dtype=np.int32)
    return scipy.sparse.csr_array(
        (data.ravel(), indices.ravel(), indptr), shape=(n_rows, d)
    )


def model(arguments, **parameters):
    """An estimator that stops at ``max_iter`` only."""
    fixed = {"max_iter": arguments.iterations, "tol": 0, "random_state": 0}
    return SparseAutoencoder(arguments.components, **fixed | parameters)


def classifier(arguments):
    """The same, without pre-training."""
    return StackedAutoencoderClassifier(
        arguments.components, autoencoder=None, max_iter=2, tol=0, random_state=0
    )


def child(n_rows, dtype, arguments):
    """Fit in this process and print what it took as JSON."""
    arguments = SimpleNamespace(**arguments)
    X = rows_of(n_rows, arguments, dtype)
    before = resident()
    with not_converged(), watched_fit() as watch:
        estimator = model(arguments).fit(X)
    report = {
        "above": peak() - before,
        "stored": X.data.nbytes + X.indices.nbytes,
        "parameters": 2 * estimator.components_.nbytes,
        "seconds": watch.inside / len(watch.curve),
        "evaluations": len(watch.curve),
    }
    print(json.dumps(report))


def memory(arguments):
    """Peak memory of a fit, and how it grows with the rows."""
    d, k = arguments.features, arguments.components
    names = "features", "entries", "components", "iterations"
    sizes = {name: getattr(arguments, name) for name in names}
    print(f"\n{arguments.entries} non-zeros a row, of {d} columns, {k} hidden")
    table = Table(
        "rows",
        "dtype",
        "non-zeros MB",
        "dense MB",
        "parameters MB",
        "fit MB",
        "MB per MB",
        "evaluation s",
    )
    for dtype in DTYPES:
        reports = {}
        for n_rows in (arguments.rows // 2, arguments.rows):
            report = in_new_process(__file__, n_rows, dtype, sizes)
            reports[n_rows] = report
            growth = "-"
            if len(reports) == 2:
                half, whole = reports.values()
                growth = whole["above"] - half["above"]
                growth /= whole["stored"] - half["stored"]
            table.row(
                n_rows,
                dtype,
                report["stored"] / MB,
                n_rows * d * np.dtype(dtype).itemsize / MB,
                report["parameters"] / MB,
                report["above"] / MB,
                growth,
                report["seconds"],
            )


def against_dense(arguments):
    """Seconds of an evaluation within fits of sparse and of dense rows."""
    repeats = 1 if arguments.quick else 3
    table = Table(
        "of",
        "rows x features, hidden",
        *("dtype", "sparse s", "dense s", "ratio"),
    )
    estimators = (
        ("an autoencoder", model(arguments, max_iter=2), arguments.dense_rows),
        ("a classifier", classifier(arguments), arguments.dense_rows // 2),
    )
    for (name, estimator, n_rows), dtype in product(estimators, DTYPES):
        # As many bytes whatever the dtype.
        rows = n_rows * 4 // np.dtype(dtype).itemsize
        X = rows_of(rows, arguments, dtype)
        times = evaluations_in_turns(estimator, {"X": X, "dense": X.toarray()}, repeats)
        ratio = median_ratio(times["dense"], times["X"])
        table.row(
            name,
            f"{rows} x {arguments.features}, {arguments.components}",
            dtype,
            median(times["X"]),
            median(times["dense"]),
            ratio,
        )


def evaluations_in_turns(estimator, data, repeats):
    """Seconds of an evaluation in a fit of each, as ``in_turns``."""

    def evaluation(X):
        with not_converged(), watched_fit() as watch:
            estimator.fit(X, np.arange(X.shape[0]) % N_CLASSES)
        return watch.inside / len(watch.curve)

    tasks = {name: (lambda X=X: evaluation(X)) for name, X in data.items()}
    return in_turns(tasks, repeats)


def against_mlp(arguments):
    """Seconds of an epoch of Adam, against MLPRegressor's with dense targets."""
    n_rows, repeats = arguments.mlp_rows, 1 if arguments.quick else 3
    table = Table("rows x features, hidden", "dtype", "skae s", "MLP s", "ratio")
    for dtype in DTYPES:
        X = rows_of(n_rows, arguments, dtype)
        targets = X.toarray()
        ours = model(arguments, solver="adam", max_iter=1, sparsity=None)
        theirs = MLPRegressor(
            hidden_layer_sizes=(arguments.components,),
            activation="logistic",
            max_iter=1,
            random_state=0,
        )
        with not_converged():
            tasks = {
                "skae": lambda ours=ours, X=X: ours.fit(X),
                "MLP": lambda mlp=theirs, X=X, T=targets: mlp.fit(X, T),
            }
            times = time_in_turns(tasks, repeats)
        table.row(
            f"{n_rows} x {arguments.features}, {arguments.components}",
            dtype,
            median(times["skae"]),
            median(times["MLP"]),
            median_ratio(times["MLP"], times["skae"]),
        )


def time(arguments):
    """An evaluation on all rows, and an epoch of batches."""
    print("\nAn evaluation of loss and gradient")
    against_dense(arguments)
    print("\nAn epoch of Adam")
    against_mlp(arguments)


def main():
    arguments = parse_arguments(
        __doc__,
        rows=200_000,
        features=50_000,
        entries=100,
        components=64,
        iterations=12,
        dense_rows=20_000,
        mlp_rows=4_000,
        parts="text memory time",
        child="",
    )
    if arguments.child:
        return child(*json.loads(arguments.child))
    if arguments.quick:
        arguments.rows, arguments.features, arguments.iterations = 4_000, 5_000, 3
        arguments.dense_rows = arguments.mlp_rows = 1_000
    print_header("Sparse rows")
    parts = {"text": text, "memory": memory, "time": time}
    for name in arguments.parts.split():
        parts[name](arguments)


if __name__ == "__main__":
    main()
