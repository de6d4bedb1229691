"""Seconds to the same loss against torch.optim.LBFGS on the same objective.

The same objective (Kullback-Leibler penalty included) by autograd, the same start,
the same dtype and number of stored corrections, strong-Wolfe search, on the CPU.

torch runs with one thread and with all, and the faster of the two settings is what
counts. skae runs as it is out of the box; its time is that of ``fit``, so it includes
checking X and drawing the start.

Both run for the same number of iterations, and every evaluation is stamped with its
time and loss. In each repetition two losses are looked for, reached by both: "half"
is the worse of what the two have reached after half of their evaluations, "end"
the worse of what they reach in the end. The seconds are those until a loss as low
is first seen. Evaluations until then are printed as well, so that faster
evaluations and fewer evaluations can be told apart. They differ because skae's
solver works in coordinates in which the data are centred and have unit spread.
"""

from functools import partial
from statistics import median

import numpy as np
import torch
from _common import (
    DTYPES,
    Curve,
    Table,
    Watch,
    cases,
    in_turns,
    median_ratio,
    not_converged,
    parse_arguments,
    print_header,
    unpack,
    watched_fit,
)
from torch.nn.functional import linear

from skae import SparseAutoencoder

ITERATIONS = {"digits": 200, "64-25": 150, "784-196": 60}


def ours(model, X):
    """Fit, and return the curve."""
    with watched_fit() as watch:
        model.fit(X)
    return Curve(watch.curve)


def theirs(X, start, model, n_threads):
    """Minimise the same objective from the same start, and return the curve."""
    torch.set_num_threads(n_threads)
    watch = Watch()
    rows, n = torch.from_numpy(X), len(X)
    W, b, D, c = (
        torch.tensor(part, requires_grad=True)
        for part in unpack(start, X.shape[1], model.n_components)
    )
    alpha, beta, rho = model.alpha, model.sparsity_weight_, model.sparsity_target
    optimizer = torch.optim.LBFGS(
        [W, b, D, c],
        max_iter=model.max_iter,
        max_eval=100 * model.max_iter,
        tolerance_grad=0,
        tolerance_change=0,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        H = torch.sigmoid(linear(rows, W, b))
        residual = torch.addmm(c, H, D) - rows
        rho_hat = H.mean(dim=0)
        kl = rho * torch.log(rho / rho_hat)
        kl += (1 - rho) * torch.log((1 - rho) / (1 - rho_hat))
        decay = alpha / 2 * (W.square().sum() + D.square().sum())
        loss = residual.square().sum() / (2 * n) + decay + beta * kl.sum()
        loss.backward()
        watch.stamp(loss.item())
        return loss

    optimizer.step(closure)
    return Curve(watch.curve)


def levels(runs):
    """The losses looked for, given every task's curve of one repetition."""
    half = max(run.lowest[len(run.lowest) // 2] for run in runs)
    end = max(run.lowest[-1] for run in runs)
    return {"half": half, "end": end}


def compare(table, case, dtype, max_iter, repeats):
    """Run both, in turns, and print a row for each level."""
    X = case.rows(dtype)
    model = SparseAutoencoder(
        case.n_components,
        alpha=1e-3,
        sparsity_target=0.05,
        max_iter=max_iter,
        tol=0,
        random_state=0,
    )
    with watched_fit() as watch:
        model.fit(X)
    tasks = {"skae": partial(ours, model, X)}
    settings = {}
    for n_threads in sorted({1, torch.get_num_threads()}):
        settings[n_threads] = partial(theirs, X, watch.start, model, n_threads)
        warm = settings[n_threads]()
        np.testing.assert_allclose(warm.lowest[0], watch.curve[0][1], rtol=1e-4)
    curves = in_turns(tasks | settings, repeats)

    for level in ("half", "end"):
        reached = {name: [] for name in curves}
        for repeat in range(repeats):
            runs = {name: curves[name][repeat] for name in curves}
            loss = levels(runs.values())[level]
            for name, run in runs.items():
                reached[name].append(run.reached(loss))
        times = {name: [s for _, s in reached[name]] for name in reached}
        counts = {name: median(n for n, _ in reached[name]) for name in reached}
        best = min(settings, key=lambda n: median(times[n]))
        ratio = median_ratio(times[best], times["skae"])
        table.row(
            case.name,
            dtype,
            level,
            f"{loss:.5g}",
            best,
            median(times["skae"]),
            median(times[best]),
            f"{counts['skae']:g}/{counts[best]:g}",
            ratio * counts["skae"] / counts[best],
            ratio,
        )


def main():
    arguments = parse_arguments(__doc__)
    print_header("Seconds to the same loss against torch", torch=torch.__version__)
    n_threads = torch.get_num_threads()
    table = Table(
        "rows x features, hidden",
        "dtype",
        "level",
        "loss",
        "torch threads",
        "skae s",
        "torch s",
        "evaluations",
        "an evaluation",
        "ratio",
    )
    for name, case in cases(arguments).items():
        for dtype in DTYPES:
            torch.set_num_threads(n_threads)
            with not_converged():
                compare(
                    table,
                    case,
                    dtype,
                    10 if arguments.quick else ITERATIONS[name],
                    2 if arguments.quick else 5,
                )


if __name__ == "__main__":
    main()
