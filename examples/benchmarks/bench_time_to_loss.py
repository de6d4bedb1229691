"""Loss after so many evaluations and seconds: coordinates, samples, Adam and others.

Each line is a method, each number J on all rows, worked out by the textbook from the
fitted weights, with the evaluations and the CPU seconds of that fit. An evaluation is
one of J and its gradient on all rows; of a sample it counts as that part of one, and an
epoch of Adam as one, though it takes longer. Every fit has a limit of iterations of its
own and BLAS one thread.

* "this": the default. "all rows": without samples that grow. "spread only": also
  without the columns' covariance and the codes', the coordinates of release 0.1.0.
* "release": another checkout of the package, given by ``--release PATH``.
* "adam": falling rate, at the better of two.
* "MLPRegressor": scikit-learn's L-BFGS, where there is no penalty on codes.
* "torch": its L-BFGS on the same J from the same kind of start, if it is installed.

``--problems`` takes names, ``--rows`` how many rows of the pictures.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.special import expit

warnings.filterwarnings("ignore")
LIMITS, EPOCHS, RATES = (25, 50, 100, 200), (5, 20), (3e-3, 1e-2)

MNIST = {"n_components": 196, "output_activation": "logistic"}
PROBLEMS = {
    "mnist weak": {
        **MNIST,
        **{"alpha": 1e-5, "sparsity_target": 0.1, "sparsity_weight": 0.1},
    },
    "mnist log loss": {
        **{**MNIST, "loss": "log_loss", "alpha": 1e-4},
        **{"sparsity_target": 0.05, "sparsity_weight": 1.0},
    },
    "mnist ufldl": {
        **MNIST,
        **{"alpha": 3e-3, "sparsity_target": 0.1, "sparsity_weight": 3.0},
    },
    "mnist linear output": {
        "n_components": 196,
        **{"alpha": 1e-4, "sparsity_target": 0.05, "sparsity_weight": 1.0},
    },
    "mnist tanh": {
        "n_components": 64,
        **{"activation": "tanh", "sparsity": None, "alpha": 1e-4},
    },
    "digits": {
        "n_components": 64,
        **{"alpha": 1e-3, "sparsity_target": 0.05, "sparsity_weight": 0.1},
    },
    "patches": {
        "n_components": 25,
        **{"output_activation": "logistic", "alpha": 1e-4},
        **{"sparsity_target": 0.01, "sparsity_weight": 3.0},
    },
    "breast cancer": {
        "n_components": 32,
        **{"alpha": 1e-3, "sparsity_target": 0.05, "sparsity_weight": 1.0},
    },
}


def rows_of(problem, path, n_rows):
    """The data of a problem."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    if problem == "digits":
        return datasets.load_digits().data / 16
    if problem == "breast cancer":
        return StandardScaler().fit_transform(datasets.load_breast_cancer().data)
    if problem == "patches":
        return _patches(datasets.load_sample_images().images, n_rows)
    from _common import mnist

    return mnist(path, n_rows)


def _patches(images, n_rows):
    """8 x 8 pieces of grey photographs, each of mean zero, brought to [0.1, 0.9]."""
    rng, pieces = np.random.RandomState(0), []
    grey = [image.mean(axis=2) for image in images]
    for _ in range(n_rows):
        image = grey[rng.randint(len(grey))]
        top, left = (rng.randint(size - 8) for size in image.shape)
        pieces.append(image[top : top + 8, left : left + 8].ravel())
    pieces = np.array(pieces)
    pieces -= pieces.mean(axis=1, keepdims=True)
    most = 3 * pieces.std()
    return (np.clip(pieces, -most, most) / most + 1) * 0.4 + 0.1


def judged(X, W, b, D, c, p):
    """J of the textbook."""
    X = X.astype(np.float64)
    Z = X @ W.T + b
    H = np.tanh(Z) if p.get("activation") == "tanh" else expit(Z)
    Z = H @ D + c
    if p.get("loss") == "log_loss":
        errors = np.logaddexp(0, Z) - X * Z
    else:
        out = expit(Z) if p.get("output_activation") == "logistic" else Z
        errors = 0.5 * (out - X) ** 2
    J = errors.sum() / len(X) + p["alpha"] / 2 * ((W**2).sum() + (D**2).sum())
    if p.get("sparsity", "kl") == "kl":
        r, mean = p["sparsity_target"], H.mean(axis=0)
        kl = r * np.log(r / mean) + (1 - r) * np.log((1 - r) / (1 - mean))
        J += p["sparsity_weight"] * kl.sum()
    return float(J)


def fitted(problem, X, **settings):
    """One fit: evaluations of all rows, CPU seconds and J."""
    from skae import SparseAutoencoder
    from skae.engines.threads import ThreadEngine

    evaluate, done = ThreadEngine.__call__, [0.0]

    def counted(engine, theta):
        done[0] += engine._blocks.n_samples / len(X)
        return evaluate(engine, theta)

    p = PROBLEMS[problem]
    model = SparseAutoencoder(**p, **settings, random_state=0, tol=0)
    ThreadEngine.__call__ = counted
    began = time.process_time()
    try:
        model.fit(X)
    finally:
        ThreadEngine.__call__ = evaluate
    seconds = time.process_time() - began
    weights = (
        *(model.components_, model.intercept_hidden_),
        *(model.decoder_components_, model.intercept_visible_),
    )
    J = judged(X, *(np.float64(array) for array in weights), p)
    return done[0] or model.n_iter_, seconds, J


def by_skae(method, problem, X, limits):
    """Fits of a method of this package, or of another release of it."""
    options = {}
    if method in ("all rows", "spread only"):
        options["growing_samples"] = False
    if method == "spread only":
        from skae.training.whitening import Whitening

        Whitening.at = lambda self, theta, recoded: self._plain
    if method != "adam":
        return [fitted(problem, X, max_iter=m, **options) for m in limits]
    options = {"solver": "adam", "learning_rate": "linear"}
    lines = [
        [
            fitted(problem, X, max_iter=m, learning_rate_init=rate, **options)
            for m in EPOCHS
        ]
        for rate in RATES
    ]
    return min(lines, key=lambda line: line[-1][-1])


def by_sklearn(problem, X, limits):
    """scikit-learn's network, whose penalty is divided by n."""
    from sklearn.neural_network import MLPRegressor

    p, results = PROBLEMS[problem], []
    for m in limits:
        model = MLPRegressor(
            p["n_components"],
            activation=p["activation"],
            solver="lbfgs",
            alpha=p["alpha"] * len(X),
            max_iter=m,
            max_fun=10**6,
            tol=0,
            random_state=0,
        )
        began = time.process_time()
        model.fit(X, X)
        seconds = time.process_time() - began
        (V, D), (b, c) = model.coefs_, model.intercepts_
        results.append((model.n_iter_, seconds, judged(X, V.T, b, D, c, p)))
    return results


def by_torch(problem, X, limits):
    """PyTorch's L-BFGS on all rows."""
    import torch

    torch.set_num_threads(1)
    p, X = PROBLEMS[problem], np.ascontiguousarray(X, np.float32)
    k, d = p["n_components"], X.shape[1]
    data, results, f = torch.from_numpy(X), [], torch.nn.functional
    logistic = p.get("output_activation") == "logistic"
    for m in limits:
        bound, rng = (6 / (d + k + 1)) ** 0.5, np.random.RandomState(0)
        c = X.mean(axis=0)
        if logistic:
            c = np.clip(c, 1e-3, 1 - 1e-3)
            c = np.log(c / (1 - c))
        arrays = (
            *(rng.uniform(-bound, bound, (k, d)), np.zeros(k)),
            *(rng.uniform(-bound, bound, (k, d)), c),
        )
        theta = [
            torch.tensor(array, dtype=torch.float32, requires_grad=True)
            for array in arrays
        ]
        evaluations = [0]
        solver = torch.optim.LBFGS(
            theta,
            max_iter=m,
            max_eval=10**6,
            history_size=10,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

        def closure(theta=theta, solver=solver, evaluations=evaluations):
            solver.zero_grad()
            evaluations[0] += 1
            W, b, D, c = theta
            H = data @ W.T + b
            H = torch.tanh(H) if p.get("activation") == "tanh" else torch.sigmoid(H)
            Z = H @ D + c
            if p.get("loss") == "log_loss":
                J = f.binary_cross_entropy_with_logits(Z, data, reduction="sum")
            else:
                out = torch.sigmoid(Z) if logistic else Z
                J = 0.5 * ((out - data) ** 2).sum()
            J = J / len(data) + p["alpha"] / 2 * ((W**2).sum() + (D**2).sum())
            if p.get("sparsity", "kl") == "kl":
                r, mean = p["sparsity_target"], H.mean(dim=0)
                kl = r * torch.log(r / mean)
                kl = kl + (1 - r) * torch.log((1 - r) / (1 - mean))
                J = J + p["sparsity_weight"] * kl.sum()
            J.backward()
            return J

        began = time.process_time()
        solver.step(closure)
        seconds = time.process_time() - began
        weights = [array.detach().numpy().astype(np.float64) for array in theta]
        results.append((evaluations[0], seconds, judged(X, *weights, p)))
    return results


def child(method, problem, data, n_rows, limits):
    """One method on one problem, in a process of its own; prints its results."""
    X = rows_of(problem, data and Path(data), int(n_rows))
    limits = json.loads(limits)
    if method == "MLPRegressor":
        results = by_sklearn(problem, X, limits)
    elif method == "torch":
        results = by_torch(problem, X, limits)
    else:
        results = by_skae(method, problem, X, limits)
    print(json.dumps(results))


def measured(method, problem, arguments, limits):
    """Results of a child process, None where the method cannot be had."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    if method == "release":
        environment["PYTHONPATH"] = arguments.release
    command = [sys.executable, __file__, "--child", method, problem]
    command += [str(arguments.data or ""), str(arguments.rows), json.dumps(limits)]
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode:
        return None
    return json.loads(run.stdout.splitlines()[-1])


def main():
    from _common import parse_arguments, print_header

    arguments = parse_arguments(
        __doc__, release="", problems=",".join(PROBLEMS), rows=10_000
    )
    limits = LIMITS
    if arguments.quick:
        arguments.rows, limits = 1000, (5, 10)
    print_header("Loss after so many evaluations and CPU seconds of a fit, one thread")
    print(f"{arguments.rows} rows of pictures\n")
    for problem in arguments.problems.split(","):
        methods = ["this", "all rows", "spread only", "adam"]
        if arguments.release:
            methods.insert(3, "release")
        if PROBLEMS[problem].get("activation") == "tanh":
            methods.append("MLPRegressor")
        methods.append("torch")
        print(problem)
        for method in methods:
            results = measured(method, problem, arguments, limits)
            if results is None:
                print(f"  {method:14} not to be had")
                continue
            cells = [
                f"{evaluations:5.0f} {seconds:6.1f} s {J:9.4g}"
                for evaluations, seconds, J in results
            ]
            print(f"  {method:14}", "  |".join(cells), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
