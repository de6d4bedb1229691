"""Loss against seconds: L-BFGS, Adam, one after the other, torch and MLPRegressor.

MNIST, 784-196, float32, logistic codes and linear outputs, two objectives: "sparse"
(squared error, weight decay and the Kullback-Leibler penalty on mean codes) and
"denoising" (the expected squared error under masking noise of .3, and weight decay).

Every point is a fit of its own, with a limit of iterations or epochs of its own; its
seconds are those of the whole fit, and its loss is worked out afterwards, in the same
ten lines for all. With Adam the learning rate falls linearly to zero over the epochs of
the fit. What is given to others:

* torch's Adam has the same batches of 200 and rates of 1e-3 and of 3e-3, of which the
  better counts at each level; on batches the penalty takes the batch's mean codes, in
  skae a running mean. torch's L-BFGS is strong-Wolfe with 10 corrections. In denoising
  it sees one draw of the noise, as nothing there knows of another, Adam a fresh one at
  each batch. Both start from the same kind of weights as skae and the column means.
* ``MLPRegressor`` has no penalty on codes, so it is there for denoising, from one draw
  of noisy rows to clean ones, with its own Adam at a constant rate of 1e-3.

Printed are the seconds of the quickest fit that comes within 10, 3 and 1 % of the
lowest loss of all, and that loss; "-" is never. ``--figure FILE`` draws the curves
(matplotlib).
"""

import time
from collections import defaultdict

import numpy as np
from _common import Table, mnist, not_converged, parse_arguments, print_header
from scipy.special import expit
from sklearn.neural_network import MLPRegressor

from skae import DenoisingAutoencoder, SparseAutoencoder

try:
    import torch
except ImportError:
    torch = None

K, ALPHA, BETA, RHO, LEVEL, BATCH = 196, 1e-3, 1.0, 0.05, 0.3, 200
NEAR = (0.10, 0.03, 0.01)
ITERATIONS, EPOCHS = (10, 20, 40, 80, 160, 320), (1, 2, 4, 8, 16, 32, 64)


def corrupted(X, seed):
    return X * (np.random.default_rng(seed).random(X.shape, np.float32) >= LEVEL)


def judged(kind, X, W, b, D, c):
    """J(θ) of the textbook; noise is one draw that nobody has trained on."""
    inputs = corrupted(X, 10**6) if kind == "denoising" else X
    H = expit(inputs @ W.T + b)
    loss = 0.5 * np.square(H @ D + c - X).sum(dtype=np.float64) / len(X)
    loss += ALPHA / 2 * (np.square(W).sum() + np.square(D).sum())
    if kind == "sparse":
        mean = H.mean(axis=0, dtype=np.float64)
        kl = RHO * np.log(RHO / mean) + (1 - RHO) * np.log((1 - RHO) / (1 - mean))
        loss += BETA * kl.sum()
    return float(loss)


# -- skae --------------------------------------------------------------------------


def ours(kind, **options):
    options = {"alpha": ALPHA, "tol": 0, "random_state": 0, **options}
    if kind == "denoising":
        noise = {"corruption": "masking", "corruption_level": LEVEL}
        return DenoisingAutoencoder(K, **noise, **options)
    penalty = {"sparsity_weight": BETA, "sparsity_target": RHO}
    return SparseAutoencoder(K, **penalty, **options)


def learnt(model):
    return (
        model.components_,
        model.intercept_hidden_,
        model.decoder_components_,
        model.intercept_visible_,
    )


def lbfgs(kind, X, n):
    return learnt(ours(kind, max_iter=n).fit(X))


def adam(kind, X, n):
    options = {"solver": "adam", "learning_rate": "linear", "batch_size": BATCH}
    return learnt(ours(kind, max_iter=n, n_iter_no_change=n, **options).fit(X))


def adam_then_lbfgs(kind, X, n, epochs=4):
    options = {"solver": "adam", "learning_rate": "linear", "batch_size": BATCH}
    model = ours(kind, max_iter=epochs, **options).fit(X)
    model.set_params(solver="lbfgs", warm_start=True, max_iter=n)
    return learnt(model.fit(X))


# -- others ------------------------------------------------------------------------


def torch_parameters(X):
    rng, shape = np.random.default_rng(0), (K, X.shape[1])
    bound = (6 / (sum(shape) + 1)) ** 0.5
    W, D = (rng.uniform(-bound, bound, shape).astype(np.float32) for _ in range(2))
    parts = W, np.zeros(K, np.float32), D, X.mean(axis=0)
    return [torch.tensor(part, requires_grad=True) for part in parts]


def torch_loss(kind, parameters, inputs, rows):
    W, b, D, c = parameters
    H = torch.sigmoid(torch.nn.functional.linear(inputs, W, b))
    loss = (torch.addmm(c, H, D) - rows).square().sum() / (2 * len(rows))
    loss = loss + ALPHA / 2 * (W.square().sum() + D.square().sum())
    if kind == "sparse":
        mean = H.mean(dim=0)
        kl = RHO * torch.log(RHO / mean)
        kl = kl + (1 - RHO) * torch.log((1 - RHO) / (1 - mean))
        loss = loss + BETA * kl.sum()
    return loss


def torch_lbfgs(kind, X, n):
    parameters, rows = torch_parameters(X), torch.from_numpy(X)
    inputs = torch.from_numpy(corrupted(X, 0)) if kind == "denoising" else rows
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=n,
        max_eval=100 * n,
        tolerance_grad=0,
        tolerance_change=0,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        loss = torch_loss(kind, parameters, inputs, rows)
        loss.backward()
        return loss

    optimizer.step(closure)
    return [part.detach().numpy() for part in parameters]


def torch_adam(kind, X, n, rate):
    torch.manual_seed(0)
    parameters, rows = torch_parameters(X), torch.from_numpy(X)
    optimizer = torch.optim.Adam(parameters, lr=rate, fused=True)
    for epoch in range(n):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - epoch / n)
        for index in torch.randperm(len(rows)).split(BATCH):
            batch = inputs = rows[index]
            if kind == "denoising":
                inputs = batch * (torch.rand(batch.shape) >= LEVEL)
            optimizer.zero_grad(set_to_none=True)
            torch_loss(kind, parameters, inputs, batch).backward()
            optimizer.step()
    return [part.detach().numpy() for part in parameters]


def mlp(kind, X, n):
    # Its decay is divided by the number of rows of a batch.
    model = MLPRegressor(
        hidden_layer_sizes=(K,),
        activation="logistic",
        alpha=ALPHA * BATCH,
        batch_size=BATCH,
        max_iter=n,
        tol=0,
        n_iter_no_change=n,
        random_state=0,
    )
    model.fit(corrupted(X, 0), X)
    (W, D), (b, c) = model.coefs_, model.intercepts_
    return W.T, b, D, c


def methods(kind, quick):
    """By name: fits of one number, what that number is, and its values."""
    iterations, epochs = (ITERATIONS[:2], EPOCHS[:2]) if quick else (ITERATIONS, EPOCHS)
    found = {
        "skae, L-BFGS": (lbfgs, iterations),
        "skae, Adam": (adam, epochs),
        "skae, Adam, then L-BFGS": (adam_then_lbfgs, iterations),
    }
    if torch is not None:
        found["torch, L-BFGS"] = torch_lbfgs, iterations
        for rate in (1e-3, 3e-3):
            found[f"torch, Adam, {rate:g}"] = (
                lambda kind, X, n, rate=rate: torch_adam(kind, X, n, rate),
                epochs,
            )
    if kind == "denoising":
        found["MLPRegressor, Adam"] = mlp, epochs
    return found


def curves(kind, X, quick):
    """By name: (seconds, loss) of each fit."""
    found = defaultdict(list)
    for name, (fit, numbers) in methods(kind, quick).items():
        with not_converged():
            fit(kind, X[:500], 1)  # not the first use of a library
            for number in numbers:
                began = time.perf_counter()
                parameters = fit(kind, X, number)
                took = time.perf_counter() - began
                found[name].append((took, judged(kind, X, *parameters)))
    return found


def print_seconds(kind, found):
    lowest = min(loss for points in found.values() for _, loss in points)
    levels = [lowest * (1 + near) for near in NEAR]
    heads = (f"{level:.4g}" for level in levels)
    table = Table(f"{kind}, seconds to", *heads, "lowest", "after s")
    for name, points in found.items():
        reached = [[s for s, loss in points if loss <= level] for level in levels]
        cells = [f"{min(times):.2f}" if times else "-" for times in reached]
        best = min(points, key=lambda point: point[1])
        table.row(name, *cells, f"{best[1]:.4g}", f"{best[0]:.1f}")
    print()


def draw(file, every):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(every), figsize=(11, 4.5), layout="constrained")
    for ax, (kind, found) in zip(axes, every.items(), strict=True):
        for name, points in found.items():
            style = "-" if name.startswith("skae") else "--"
            ax.loglog(*zip(*points, strict=True), style, marker=".", label=name)
        ax.set(title=kind, xlabel="seconds of the fit", ylabel="loss")
        ax.legend(fontsize="small")
    figure.savefig(file, dpi=110)


def main():
    arguments = parse_arguments(__doc__, rows=10_000, figure="")
    X = mnist(arguments.data, 1000 if arguments.quick else arguments.rows)
    versions = {} if torch is None else {"torch": torch.__version__}
    print_header(f"Loss against seconds, {len(X)} x 784, {K}", **versions)
    every = {}
    for kind in ("sparse", "denoising"):
        every[kind] = curves(kind, X, arguments.quick)
        print_seconds(kind, every[kind])
    if arguments.figure:
        draw(arguments.figure, every)


if __name__ == "__main__":
    main()
