"""Fits on an NVIDIA GPU: equal to the processor's, and how long they take.

    python examples/benchmarks/bench_gpu.py [--rows 60000] [--units 196 1000] [--cpu]

Needs CuPy and a GPU (``pip install "skae[gpu]"``), and says so where there is none.
With PyTorch for CUDA installed, it is measured too: eager and compiled, with its own
L-BFGS and its fused Adam. It takes a few minutes.

    python examples/benchmarks/bench_gpu.py --large

fits rows that take three fifths of the GPU's memory instead.

First, small fits are compared: in float64 with those of NumPy, to a relative 1e-8, and
in float32 by their loss, to 1e-3. Then evaluations and fits are timed on random rows of
the size of MNIST, in float32. "Products" are the five matrix products of an evaluation
alone, which nothing that computes loss and gradient can do without. ``--cpu`` shows
that the script runs, on a stand-in for a GPU; its times say nothing.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # before SciPy is imported

import numpy as np
import sklearn
from sklearn.datasets import load_digits

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
)
from skae.core.penalties import KullbackLeibler
from skae.engines.threads import ThreadEngine
from skae.rows.source import source

RHO, BETA, ALPHA = 0.1, 3.0, 1e-3
WITHOUT = (
    "No GPU was found: {why}. This script needs an NVIDIA GPU and CuPy; install it with"
    ' pip install "skae[gpu]", or pass --cpu to see that the script runs.'
)


class Gpu:
    """CuPy, on the current device."""

    def __init__(self):
        try:
            import cupy
        except ImportError as error:
            raise SystemExit(WITHOUT.format(why=error)) from None
        try:
            n_devices = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise SystemExit(WITHOUT.format(why=error)) from None
        if not n_devices:
            raise SystemExit(WITHOUT.format(why="CUDA counts none"))
        self.asarray, self.get, self._cupy = cupy.asarray, cupy.asnumpy, cupy
        self.torch_device = "cuda"
        name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
        self.name = f"{name}, CuPy {cupy.__version__}"

    def synchronize(self):
        self._cupy.cuda.Device().synchronize()

    def free_bytes(self):
        return self._cupy.cuda.Device().mem_info[0]

    def random(self, *shape):
        return self._cupy.random.default_rng(0).random(shape, dtype=np.float32)

    def most_bytes(self, run):
        """Peak of what the pool takes while something runs, beside what it had."""
        pool = self._cupy.get_default_memory_pool()
        pool.free_all_blocks()
        before = pool.total_bytes()
        run()
        return pool.total_bytes() - before


class StandIn:
    """The test suite's array of a device, on the processor."""

    torch_device, name = "cpu", "stand-in on the processor: times say nothing"

    def __init__(self):
        sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
        from device_array import on_test_device

        self.asarray = on_test_device

    def get(self, array):
        return array.get()

    def synchronize(self):
        pass

    def free_bytes(self):
        return 2**26

    def random(self, *shape):
        return self.asarray(np.random.default_rng(0).random(shape, dtype=np.float32))

    def most_bytes(self, run):
        run()
        return 0


# -- equal to the processor's ----------------------------------------------------------


def compare(gpu):
    """Print differences from NumPy's fits; returns whether all are small enough."""
    X = load_digits().data / 16
    options = {"n_components": 25, "max_iter": 30, "random_state": 0}
    models = {
        "sparse": SparseAutoencoder(**options),
        "sparse, l1_ratio": SparseAutoencoder(**options, l1_ratio=0.5),
        "contractive": ContractiveAutoencoder(**options),
        "sparse, tied, log loss": SparseAutoencoder(
            **options, tied_weights=True, output_activation="logistic", loss="log_loss"
        ),
        "sparse, adam": SparseAutoencoder(**options | {"max_iter": 3}, solver="adam"),
    }
    print(f"{'':24} {'float64: codes':>15} {'loss':>9} {'float32: loss':>15}")
    equal = True
    for name, model in models.items():
        figures = []
        for dtype in (np.float64, np.float32):
            rows = X.astype(dtype)
            with sklearn.config_context(array_api_dispatch=True):
                there = sklearn.clone(model).fit(gpu.asarray(rows))
                codes = gpu.get(there.transform(gpu.asarray(rows)))
            here = sklearn.clone(model).fit(rows)
            scale = np.abs(here.transform(rows)).max()
            figures.append(np.abs(codes - here.transform(rows)).max() / scale)
            figures.append(abs(there.loss_ / here.loss_ - 1))
        of_codes, loss, _, loss_single = figures
        equal &= of_codes < 1e-8 and loss < 1e-8 and loss_single < 1e-3
        print(f"{name:24} {of_codes:15.1e} {loss:9.1e} {loss_single:15.1e}")
    with sklearn.config_context(array_api_dispatch=True):
        model = DenoisingAutoencoder(**options)
        there, again = (sklearn.clone(model).fit(gpu.asarray(X)) for _ in range(2))
        score = there.score(gpu.asarray(X)), sklearn.clone(model).fit(X).score(X)
    repeats = abs(there.loss_ / again.loss_ - 1)
    equal &= repeats < 1e-8 and abs(score[0] - score[1]) < 0.05
    print(
        f"denoising: score {score[0]:.3f}, on the processor, with other noise, "
        f"{score[1]:.3f}; twice the same fit, loss differs by {repeats:.0e}"
    )
    return equal


# -- times -----------------------------------------------------------------------------


def seconds(gpu, run, repetitions):
    """Median over some runs after one that warms up."""
    run()
    times = []
    for _ in range(repetitions):
        gpu.synchronize()
        start = time.perf_counter()
        run()
        gpu.synchronize()
        times.append(time.perf_counter() - start)
    return median(times)


def rows_like_pictures(n_rows, n_features=784):
    """Rows in [0, 1] of some thirty smooth factors, float32."""
    random = np.random.default_rng(0)
    factors = random.standard_normal((n_rows, 30), dtype=np.float32)
    atoms = random.standard_normal((30, n_features), dtype=np.float32)
    X = factors @ atoms - np.float32(4)
    return 1 / (1 + np.exp(-X))


def products(gpu, X, n_components):
    """A function that computes the five products of an evaluation."""
    d, n = X.shape[1], len(X)
    W, D = (gpu.asarray(np.full((n_components, d), 0.01, np.float32)) for _ in range(2))
    H, E = (gpu.asarray(np.full((n_components, n), 0.01, np.float32)) for _ in range(2))
    Z = gpu.asarray(np.full((n, d), 0.01, np.float32))
    small = gpu.asarray(np.full((n_components, d), 0.01, np.float32))

    def run():
        np.matmul(W, X.T, out=H)
        np.matmul(H.T, D, out=Z)
        np.matmul(D, Z.T, out=E)
        np.matmul(H, Z, out=small)
        np.matmul(E, X, out=small)

    return run


def evaluation(gpu, X, n_components):
    """A function that evaluates our objective, and what closes it."""
    rows = source(X)
    objective = rows.autoencoder(
        X.shape[1],
        n_components,
        alpha=ALPHA,
        terms=[KullbackLeibler(RHO, BETA, (0, 1))],
        dtype=np.float32,
    )
    theta = gpu.asarray(objective.start(np.random.RandomState(0)))
    engine = ThreadEngine(objective, rows)
    engine.__enter__()
    return lambda: engine(theta), lambda: engine.__exit__(None, None, None)


class TorchAutoencoder:
    """The same objective by autograd."""

    def __init__(self, torch, X, n_components, device):
        self.torch = torch
        self.X = torch.as_tensor(X, device=device)
        d = X.shape[1]
        bound = (6 / (d + n_components + 1)) ** 0.5
        generator = torch.Generator(device="cpu").manual_seed(0)

        def weights():
            drawn = torch.rand((n_components, d), generator=generator)
            return ((2 * drawn - 1) * bound).to(device).requires_grad_()

        self.W, self.D = weights(), weights()
        self.b = torch.zeros(n_components, device=device, requires_grad=True)
        self.c = self.X.mean(0).clone().requires_grad_()
        self.parameters = [self.W, self.D, self.b, self.c]

    def loss(self, X=None):
        """J of these rows, by default of all."""
        X = self.X if X is None else X
        torch = self.torch
        H = torch.sigmoid(X @ self.W.T + self.b)
        residual = H @ self.D + self.c - X
        rho = H.mean(0)
        kl = RHO * torch.log(RHO / rho) + (1 - RHO) * torch.log((1 - RHO) / (1 - rho))
        decay = (self.W**2).sum() + (self.D**2).sum()
        error = 0.5 * (residual**2).sum() / len(X)
        return error + ALPHA / 2 * decay + BETA * kl.sum()


def torch_or_none(gpu):
    """PyTorch, if it is installed for the device."""
    try:
        import torch
    except ImportError:
        return None
    usable = gpu.torch_device == "cpu" or torch.cuda.is_available()
    return torch if usable else None


def time_evaluations(gpu, X, units, repetitions):
    torch = torch_or_none(gpu)
    print(f"\nMilliseconds of an evaluation, {len(X)} rows x 784, float32, KL penalty")
    print(f"{'units':>6} {'products':>9} {'skae':>8} {'ratio':>6}", end="")
    print("   torch: eager  ratio  compiled  ratio" if torch else "")
    there = gpu.asarray(X)
    for k in units:
        base = seconds(gpu, products(gpu, there, k), repetitions)
        run, close = evaluation(gpu, there, k)
        ours = seconds(gpu, run, repetitions)
        close()
        print(f"{k:6} {1e3 * base:9.2f} {1e3 * ours:8.2f} {ours / base:6.2f}", end="")
        for compiled in (False, True) if torch else ():
            model = TorchAutoencoder(torch, X, k, gpu.torch_device)
            loss = torch.compile(model.loss) if compiled else model.loss

            def step(loss=loss, model=model):
                torch.autograd.grad(loss(), model.parameters)

            try:
                theirs = seconds(gpu, step, repetitions)
            except Exception as error:  # a compiler that is not there
                print(f"   {type(error).__name__}", end="")
                continue
            print(f" {1e3 * theirs:13.2f} {theirs / base:6.2f}", end="")
        print(flush=True)


def fit(gpu, model, there):
    """Fit a copy; returns it and the seconds."""
    copy = sklearn.clone(model)
    gpu.synchronize()
    start = time.perf_counter()
    with sklearn.config_context(array_api_dispatch=True):
        copy.fit(there)
    gpu.synchronize()
    return copy, time.perf_counter() - start


def time_fits(gpu, X, k, max_iter):
    """Whole fits by L-BFGS and by Adam, beside PyTorch's."""
    torch = torch_or_none(gpu)
    options = {
        **{"alpha": ALPHA, "sparsity_target": RHO, "sparsity_weight": BETA},
        **{"tol": 0, "random_state": 0, "growing_samples": False},
    }
    there = gpu.asarray(X)
    print(f"\nFits of {len(X)} x {X.shape[1]}-{k}, float32")
    for solver, steps in (("lbfgs", max_iter), ("adam", max(1, max_iter // 20))):
        model = SparseAutoencoder(k, solver=solver, max_iter=steps, **options)
        fit(gpu, sklearn.clone(model).set_params(max_iter=2), there)  # warms up
        most = gpu.most_bytes(lambda m=model: fit(gpu, m, there))
        done, ours = fit(gpu, model, there)
        line = f"skae {solver}: {done.n_iter_} iterations or epochs"
        print(f"{line}, {ours:.2f} s, loss {done.loss_:.4f}", end="")
        print(f", {most / 1e9:.2f} GB beside X of {X.nbytes / 1e9:.2f} GB", flush=True)
        for compiled in (False, True) if torch else ():
            how = "compiled" if compiled else "eager"
            try:
                theirs, loss = fit_torch(torch, gpu, X, k, solver, steps, compiled)
            except Exception as error:  # a compiler that is not there
                print(f"torch {solver}, {how}: {type(error).__name__}")
                continue
            print(f"torch {solver}, {how}: {theirs:.2f} s, loss {loss:.4f}", flush=True)
            below = np.flatnonzero(gpu.get(done.loss_curve_) <= loss)
            if len(below):
                fewer = sklearn.clone(model).set_params(max_iter=int(below[0]) + 1)
                short, ours = fit(gpu, fewer, there)
                print(
                    f"  skae is at that loss after {short.n_iter_} iterations or epochs"
                    f" and {ours:.2f} s: {ours / theirs:.2f} of the time"
                )
    done, ours = fit(gpu, SparseAutoencoder(k, random_state=0), there)
    print(f"SparseAutoencoder({k}): {done.n_iter_} iterations, {ours:.2f} s", end="")
    with sklearn.config_context(array_api_dispatch=True):
        print(f", {done.score(there):.3f} of the variance explained")


def time_large(gpu, max_iter=5):
    """A fit of rows that take most of the memory."""
    n_rows = int(0.6 * gpu.free_bytes()) // (4 * 784)
    rows = gpu.random(n_rows, 784)
    options = {"tol": 0, "random_state": 0, "growing_samples": False}
    model = SparseAutoencoder(196, max_iter=max_iter, **options)
    most = gpu.most_bytes(lambda: fit(gpu, model, rows))
    done, ours = fit(gpu, model, rows)
    print(
        f"{n_rows} rows, {rows.nbytes / 1e9:.1f} GB: {done.n_iter_} iterations of "
        f"L-BFGS in {ours:.1f} s, {most / 1e9:.1f} GB beside X"
    )


def fit_torch(torch, gpu, X, k, solver, steps, compiled):
    """Seconds and the last loss of the same fit by PyTorch's own solver."""
    model = TorchAutoencoder(torch, X, k, gpu.torch_device)
    objective = torch.compile(model.loss) if compiled else model.loss
    objective(*([] if solver == "lbfgs" else [model.X[:200]])).backward()  # warms up
    for parameter in model.parameters:
        parameter.grad = None
    gpu.synchronize()
    start = time.perf_counter()
    if solver == "lbfgs":
        optimizer = torch.optim.LBFGS(
            model.parameters,
            max_iter=steps,
            history_size=10,
            line_search_fn="strong_wolfe",
            tolerance_grad=0,
            tolerance_change=0,
        )

        def closure():
            optimizer.zero_grad()
            loss = objective()
            loss.backward()
            return loss

        optimizer.step(closure)
    else:
        fused = gpu.torch_device == "cuda"
        optimizer = torch.optim.Adam(model.parameters, lr=3e-3, fused=fused)
        for _ in range(steps):
            order = torch.randperm(len(X), device=gpu.torch_device)
            for rows in order.split(200):
                optimizer.zero_grad()
                objective(model.X[rows]).backward()
                optimizer.step()
    loss = float(model.loss().detach())
    return time.perf_counter() - start, loss


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--units", type=int, nargs="+", default=[196, 1000])
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--large", action="store_true", help="time a large fit")
    parser.add_argument("--cpu", action="store_true", help="run on a stand-in")
    arguments = parser.parse_args()
    gpu = StandIn() if arguments.cpu else Gpu()
    torch = torch_or_none(gpu)
    versions = f"NumPy {np.__version__}, scikit-learn {sklearn.__version__}"
    print(f"{gpu.name}, {versions}" + (f", torch {torch.__version__}" if torch else ""))
    if arguments.large:
        time_large(gpu)
        return
    if not compare(gpu):
        raise SystemExit("Fits on the device are not those of the processor.")
    X = rows_like_pictures(arguments.rows)
    time_evaluations(gpu, X, arguments.units, arguments.repetitions)
    time_fits(gpu, X, arguments.units[0], arguments.iterations)


if __name__ == "__main__":
    main()
