"""Loss against CPU seconds and evaluations, method by method and problem by problem.

    python examples/benchmarks/bench_time_to_loss.py --out results.json \\
        --release ../release --problems "fashion|digits"
    python examples/benchmarks/bench_time_to_loss.py --draw results.json \\
        --figure results.png

Every point is a fit of its own, with a limit of iterations or epochs of its own, in a
process of its method with one thread. Its seconds are CPU seconds of the whole fit,
and its loss is J on all rows, worked out by the textbook from the fitted weights; of
the denoising problem, the mean over draws of the noise that no method has met. An
evaluation is one of J and its gradient on all rows; on a sample it counts as that part
of one, and an epoch of Adam as one.

* "L-BFGS": of this checkout, and "release", of another one that ``--release PATH``
  names.
* "Adam": of this checkout with a falling rate; "torch Adam" the same by PyTorch, and
  "torch L-BFGS", if it is installed. Of Adam the best of three rates counts.
* "Adam, L-BFGS": Adam, half as long as its last limit, then L-BFGS with ``warm_start``
  to each of its limits.
* "MLPRegressor": scikit-learn's L-BFGS, where there is no penalty on codes and outputs
  are linear.

Noise of "torch L-BFGS" and "MLPRegressor" is drawn once, as nothing there knows of
another. Sparse rows are made dense for torch. With ``--out FILE`` results are added to
those of earlier runs, so that the whole may be done in pieces.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import numpy as np
from _time_to_loss import PROBLEMS, corrupted, judged, rows_of

warnings.filterwarnings("ignore")
METHODS = (
    *("L-BFGS", "release", "Adam"),
    *("Adam, L-BFGS", "torch Adam", "torch L-BFGS", "MLPRegressor"),
)
LIMITS, EPOCHS, RATES, BATCH = (30, 80, 200), (5, 20), (1e-3, 3e-3, 1e-2), 200


# -- this package ------------------------------------------------------------------


def estimator(task, max_iter, **options):
    """Ours, or that of another release, for such a problem."""
    import skae

    options = {"alpha": task.alpha, "max_iter": max_iter, **options}
    options = {"random_state": 0, "tol": 0, **options}
    if task.hidden:
        sizes, few = (*task.hidden, task.k), max(5, max_iter // 10)
        # What decodes codes is logistic, as codes are.
        layers = [
            skae.SparseAutoencoder(sparsity=None, max_iter=few, output_activation=g)
            for g in (task.output, *["logistic"] * len(task.hidden))
        ]
        return skae.StackedAutoencoder(sizes, autoencoder=layers, **options)
    options |= {"loss": task.loss, "output_activation": task.output}
    options |= {"activation": task.activation, "sparsity": None}
    if task.weight:
        options |= {"sparsity": "kl", "sparsity_target": task.target}
        options["sparsity_weight"] = task.weight
    if task.level:
        kind = skae.DenoisingAutoencoder
        options |= {"corruption": "masking", "corruption_level": task.level}
    else:
        kind = skae.SparseAutoencoder
    return kind(task.k, **options)


def network(model):
    """Weights and biases, layer by layer."""
    if hasattr(model, "coefs_"):
        return model.coefs_, model.intercepts_
    coefs = [model.components_.T, model.decoder_components_]
    return coefs, [model.intercept_hidden_, model.intercept_visible_]


def fitted(task, X, max_iter, found=None, **options):
    """Evaluations of all rows, CPU seconds and J of one fit.

    ``found``, a dict, is given the fitted ``model``.
    """
    from skae.engines.threads import ThreadEngine

    evaluate, done = ThreadEngine.__call__, [0.0]

    def counted(engine, theta):
        blocks = getattr(engine, "_blocks", None)
        done[0] += getattr(blocks, "n_samples", X.shape[0]) / X.shape[0]
        return evaluate(engine, theta)

    model = estimator(task, max_iter, **options)
    if "growing_samples" in model.get_params():
        model.set_params(growing_samples=True)
    ThreadEngine.__call__ = counted
    began = time.process_time()
    try:
        model.fit(X)
    finally:
        ThreadEngine.__call__ = evaluate
    seconds = time.process_time() - began
    if found is not None:
        found["model"] = model
    return done[0] or max_iter, seconds, judged(task, X, *network(model))


def best_of(lines):
    """That of the lowest last loss."""
    return min(lines, key=lambda line: line[-1][-1])


def by_lbfgs(task, X, limits, epochs):
    return [fitted(task, X, m) for m in limits]


def by_adam(task, X, limits, epochs):
    options = {"solver": "adam", "learning_rate": "linear", "batch_size": BATCH}
    return best_of(
        [fitted(task, X, m, learning_rate_init=rate, **options) for m in epochs]
        for rate in RATES
    )


def by_both(task, X, limits, epochs):
    options = {"solver": "adam", "learning_rate": "linear", "batch_size": BATCH}
    found, lines = [], []
    for rate in RATES:
        found.append({})
        more = {"found": found[-1], "learning_rate_init": rate}
        lines.append([fitted(task, X, max(1, epochs[-1] // 2), **more, **options)])
    first = best_of(lines)
    model = found[lines.index(first)]["model"]
    results = [*first]
    for m in limits:
        further = deepcopy(model)
        further.set_params(solver="lbfgs", warm_start=True, max_iter=m)
        began = time.process_time()
        further.fit(X)
        seconds = first[0][1] + time.process_time() - began
        J = judged(task, X, *network(further))
        results.append((first[0][0] + m, seconds, J))
    return results


# -- others ------------------------------------------------------------------------


def by_sklearn(task, X, limits, epochs):
    """scikit-learn's network, whose penalty is divided by n."""
    from sklearn.neural_network import MLPRegressor

    if task.weight or task.output != "identity":
        raise ValueError("no such objective")
    dense = X.toarray() if hasattr(X, "toarray") else X
    inputs, results = corrupted(task, X, 0) if task.level else X, []
    for m in limits:
        model = MLPRegressor(
            hidden_layer_sizes=(*task.hidden, task.k, *task.hidden[::-1]),
            activation=task.activation,
            solver="lbfgs",
            alpha=task.alpha * X.shape[0],
            max_iter=m,
            max_fun=10**6,
            tol=0,
            random_state=0,
        )
        began = time.process_time()
        model.fit(inputs, dense)
        seconds = time.process_time() - began
        J = judged(task, X, model.coefs_, model.intercepts_)
        results.append((model.n_iter_, seconds, J))
    return results


def torch_start(task, X):
    """Parameters like those our estimators start from."""
    import torch

    torch.set_num_threads(1)
    # Of constant columns Adam's means fall below the normal numbers, with which
    # processors are several times slower. Ours makes such numbers zero.
    torch.set_flush_denormal(True)
    rng = np.random.RandomState(0)
    c = np.asarray(X.mean(axis=0), np.float64).ravel()
    if task.output == "logistic":
        c = np.clip(c, 1e-3, 1 - 1e-3)
        c = np.log(c / (1 - c))
    hidden = (*task.hidden, task.k, *task.hidden[::-1])
    sizes, parts = (X.shape[1], *hidden, X.shape[1]), []
    for n_inputs, n_units in pairwise(sizes):
        bound = (6 / (n_inputs + n_units + 1)) ** 0.5
        parts += [rng.uniform(-bound, bound, (n_inputs, n_units)), np.zeros(n_units)]
    parts[-1] = c
    kind = {"dtype": torch.float32, "requires_grad": True}
    return [torch.tensor(part, **kind) for part in parts]


def torch_J(task, theta, inputs, rows):
    """J of some rows."""
    import torch

    coefs, intercepts, H = theta[::2], theta[1::2], inputs
    apply = torch.tanh if task.activation == "tanh" else torch.sigmoid
    for W, b in zip(coefs[:-1], intercepts[:-1], strict=True):
        H = apply(H @ W + b)
    Z = H @ coefs[-1] + intercepts[-1]
    if task.loss == "log_loss":
        with_logits = torch.nn.functional.binary_cross_entropy_with_logits
        J = with_logits(Z, rows, reduction="sum")
    else:
        out = torch.sigmoid(Z) if task.output == "logistic" else Z
        J = 0.5 * ((out - rows) ** 2).sum()
    J = J / len(rows) + task.alpha / 2 * sum((W**2).sum() for W in coefs)
    if task.weight:
        r, mean = task.target, H.mean(dim=0)
        kl = r * torch.log(r / mean) + (1 - r) * torch.log((1 - r) / (1 - mean))
        J = J + task.weight * kl.sum()
    return J


def torch_result(task, X, theta, evaluations, seconds):
    parts = [part.detach().numpy() for part in theta]
    return evaluations, seconds, judged(task, X, parts[::2], parts[1::2])


def by_torch_lbfgs(task, X, limits, epochs):
    import torch

    data = torch.from_numpy(X.toarray() if hasattr(X, "toarray") else X)
    inputs, results = data, []
    if task.level:
        inputs = torch.from_numpy(corrupted(task, X, 0))
    for m in limits:
        theta, evaluations = torch_start(task, X), [0]
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
            J = torch_J(task, theta, inputs, data)
            J.backward()
            return J

        began = time.process_time()
        solver.step(closure)
        seconds = time.process_time() - began
        results.append(torch_result(task, X, theta, evaluations[0], seconds))
    return results


def by_torch_adam(task, X, limits, epochs):
    return best_of([torch_adam(task, X, m, rate) for m in epochs] for rate in RATES)


def torch_adam(task, X, n_epochs, rate):
    import torch

    torch.manual_seed(0)
    data = torch.from_numpy(X.toarray() if hasattr(X, "toarray") else X)
    theta = torch_start(task, X)
    solver = torch.optim.Adam(theta, lr=rate, fused=True)
    began = time.process_time()
    for epoch in range(n_epochs):
        for group in solver.param_groups:
            group["lr"] = rate * (1 - epoch / n_epochs)
        for index in torch.randperm(len(data)).split(BATCH):
            rows = inputs = data[index]
            if task.level:
                inputs = rows * (torch.rand(rows.shape) >= task.level)
            solver.zero_grad(set_to_none=True)
            torch_J(task, theta, inputs, rows).backward()
            solver.step()
    seconds = time.process_time() - began
    return torch_result(task, X, theta, n_epochs, seconds)


BY = {
    "L-BFGS": by_lbfgs,
    "release": by_lbfgs,
    "Adam": by_adam,
    "Adam, L-BFGS": by_both,
    "torch Adam": by_torch_adam,
    "torch L-BFGS": by_torch_lbfgs,
    "MLPRegressor": by_sklearn,
}


# -- processes ---------------------------------------------------------------------


def child(method, problem, n_rows, limits, epochs):
    """One method on one problem, in a process of its own; prints its results."""
    task = PROBLEMS[problem]
    X = rows_of(task, int(n_rows))
    print(json.dumps(BY[method](task, X, json.loads(limits), json.loads(epochs))))


def measured(method, problem, arguments, limits, epochs):
    """Results of a child process; None, and why, where the method cannot be had."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    if method == "release":
        environment["PYTHONPATH"] = str(Path(arguments.release).resolve())
    command = [sys.executable, __file__, "--child", method, problem]
    command += [str(arguments.rows), json.dumps(limits), json.dumps(epochs)]
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode:
        return None, run.stderr.strip().splitlines()[-1]
    return json.loads(run.stdout.splitlines()[-1]), ""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("time_to_loss.json"))
    parser.add_argument("--release", default="", help="another checkout")
    parser.add_argument("--problems", default="|".join(PROBLEMS), help="with | between")
    parser.add_argument("--methods", default="|".join(METHODS), help="with | between")
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--iterations", help="limits of L-BFGS, as 30,80,200")
    parser.add_argument("--epochs", help="limits of Adam, as 5,20")
    parser.add_argument("--quick", action="store_true", help="only shows that it runs")
    parser.add_argument("--draw", type=Path, help="results to print and draw")
    parser.add_argument("--figure", type=Path, help="file to draw to, .png or .svg")
    arguments = parser.parse_args()
    if arguments.draw:
        from _common import print_header
        from _time_to_loss_figure import show

        print_header("Evaluations or epochs, CPU seconds in one thread, and loss")
        show(json.loads(arguments.draw.read_text()), arguments.figure)
        return
    limits, epochs = (
        [int(part) for part in text.split(",")] if text else default
        for text, default in (
            (arguments.iterations, LIMITS),
            (arguments.epochs, EPOCHS),
        )
    )
    if arguments.quick:
        arguments.rows, limits, epochs = 400, (3, 6), (1, 2)
    found = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for problem in arguments.problems.split("|"):
        for method in arguments.methods.split("|"):
            if method == "release" and not arguments.release:
                continue
            results, why = measured(method, problem, arguments, limits, epochs)
            if results is None:
                print(f"{problem}, {method}: not to be had. {why}", flush=True)
                continue
            found.setdefault(problem, {})[method] = results
            arguments.out.write_text(json.dumps(found, indent=1))
            seconds = sum(point[1] for point in results)
            print(f"{problem}, {method}: {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
