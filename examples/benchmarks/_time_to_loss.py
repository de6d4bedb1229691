"""The problems of ``bench_time_to_loss.py``: rows, network, penalties, and J by hand.

Networks are lists of weights (inputs, units) and of biases, layer by layer, as
scikit-learn's ``coefs_`` and ``intercepts_``.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.sparse
from scipy.special import expit

DATA = Path(__file__).resolve().parents[3] / "shared/data"
DRAWS = 3  # of the noise, for the expected loss


@dataclass(frozen=True)
class Task:
    """One objective on one kind of rows.

    ``share`` is the fraction of ``--rows`` that is used.
    """

    rows: str
    k: int
    alpha: float = 1e-4
    target: float = 0.05
    weight: float = 0.0  # of the Kullback-Leibler penalty
    activation: str = "logistic"
    output: str = "identity"
    loss: str = "squared_error"
    level: float = 0.0  # of masking noise
    hidden: tuple = field(default=())  # before the k codes
    share: float = 1.0


LOGISTIC = {"output": "logistic"}
PROBLEMS = {
    "fashion": Task("fashion", 196, weight=1.0),
    "fashion, 1000 units": Task("fashion", 1000, weight=1.0, share=0.25),
    "mnist, weak penalty": Task("mnist", 196, 1e-5, 0.1, 0.1, **LOGISTIC),
    "mnist, log loss": Task("mnist", 196, weight=1.0, loss="log_loss", **LOGISTIC),
    "mnist, tanh": Task("mnist", 64, activation="tanh"),
    "mnist, UFLDL": Task("mnist", 196, 3e-3, 0.1, 3.0, **LOGISTIC),
    "patches": Task("patches", 25, 1e-4, 0.01, 3.0, **LOGISTIC),
    "digits": Task("digits", 64, 1e-3, 0.05, 0.1),
    "table": Task("table", 32, 1e-3, weight=1.0),
    "words": Task("words", 50, 1e-6),
    "words, 50,000 columns": Task("many_words", 50, 1e-6),
    "mnist, denoising": Task("mnist", 196, 1e-3, level=0.3, share=0.5),
    "mnist, deep": Task("mnist", 32, 1e-5, hidden=(128,), share=0.5),
}


def rows_of(task, n_rows):
    """X, float32, CSR where it is of words."""
    n_rows = max(200, int(n_rows * task.share))
    X = globals()["_" + task.rows](n_rows)
    if scipy.sparse.issparse(X):
        return scipy.sparse.csr_matrix(X, dtype=np.float32)
    return np.ascontiguousarray(X, np.float32)


def _pictures(name, openml, n_rows):
    if (DATA / f"{name}.npz").exists():
        with np.load(DATA / f"{name}.npz") as arrays:
            return arrays["X_train"][:n_rows] / np.float32(255)
    from sklearn.datasets import fetch_openml

    return fetch_openml(openml, as_frame=False).data[:n_rows] / 255


def _mnist(n_rows):
    return _pictures("mnist", "mnist_784", n_rows)


def _fashion(n_rows):
    return _pictures("fashion_mnist", "Fashion-MNIST", n_rows)


def _digits(n_rows):
    from sklearn.datasets import load_digits

    return load_digits().data[:n_rows] / 16


def _patches(n_rows):
    """8 x 8 pieces of grey photographs, each of mean zero, brought to [0.1, 0.9]."""
    from sklearn.datasets import load_sample_images

    rng, pieces = np.random.RandomState(0), []
    grey = [image.mean(axis=2) for image in load_sample_images().images]
    for _ in range(n_rows):
        image = grey[rng.randint(len(grey))]
        top, left = (rng.randint(size - 8) for size in image.shape)
        pieces.append(image[top : top + 8, left : left + 8].ravel())
    pieces = np.array(pieces)
    pieces -= pieces.mean(axis=1, keepdims=True)
    most = 3 * pieces.std()
    return (np.clip(pieces, -most, most) / most + 1) * 0.4 + 0.1


def _table(n_rows):
    """Sixty columns that go together: variances fall as 1/i², and tails are heavy."""
    rng = np.random.RandomState(0)
    Q = np.linalg.qr(rng.standard_normal((60, 60)))[0]
    X = rng.standard_t(5, (n_rows, 60)) / np.arange(1, 61) @ Q
    return (X - X.mean(axis=0)) / X.std(axis=0)


def _words(n_rows):
    return _documents(min(n_rows, 4000), 2000)


def _many_words(n_rows):
    return _documents(n_rows, 50_000)


def _documents(n_rows, n_words):
    """TF-IDF of made-up documents: ten subjects, and words as rare as Zipf has them."""
    from sklearn.feature_extraction.text import TfidfTransformer

    rng = np.random.RandomState(0)
    zipf = 1 / np.arange(1, n_words + 1)
    subjects = zipf * rng.gamma(0.3, size=(10, n_words))
    subjects /= subjects.sum(axis=1, keepdims=True)
    of = rng.randint(10, size=n_rows)
    counts = scipy.sparse.vstack(
        [scipy.sparse.csr_matrix(rng.multinomial(80, subjects[i])) for i in of],
        format="csr",
    )
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts)


# -- J by hand ---------------------------------------------------------------------


def corrupted(task, X, seed):
    """X with masking noise of that seed."""
    kept = np.random.RandomState(seed).uniform(size=X.shape) >= task.level
    return X * kept.astype(X.dtype)


def judged(task, X, coefs, intercepts):
    """J, or its mean over some draws of the noise."""
    inputs = [X]
    if task.level:
        inputs = [corrupted(task, X, 10**6 + seed) for seed in range(DRAWS)]
    coefs = [np.asarray(W, np.float64) for W in coefs]
    return float(np.mean([_J(task, X, Y, coefs, intercepts) for Y in inputs]))


def _J(task, X, inputs, coefs, intercepts):
    n, layers = X.shape[0], list(zip(coefs, intercepts, strict=True))
    clean = X.toarray() if scipy.sparse.issparse(X) else X.astype(np.float64)
    H, mean = inputs, None
    for W, b in layers[:-1]:
        Z = np.asarray(H @ W) + b
        H = np.tanh(Z) if task.activation == "tanh" else expit(Z)
        mean = H.mean(axis=0)
    Z = H @ layers[-1][0] + layers[-1][1]
    if task.loss == "log_loss":
        errors = np.logaddexp(0, Z) - clean * Z
    else:
        errors = 0.5 * ((expit(Z) if task.output == "logistic" else Z) - clean) ** 2
    J = errors.sum() / n + task.alpha / 2 * sum((W**2).sum() for W in coefs)
    if task.weight:
        r = task.target
        kl = r * np.log(r / mean) + (1 - r) * np.log((1 - r) / (1 - mean))
        J += task.weight * kl.sum()
    return J
