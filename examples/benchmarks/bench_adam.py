"""An epoch of Adam over the floor of its matrix products, and against torch.

Rows are uniform in [0, 1], float32, 784 features; hidden units are logistic, the
output is linear, the loss squared error with weight decay. The floor is the five
matrix products of a batch, as often as there are batches. What an epoch does
besides: it gathers the rows of each batch and centres them, draws noise, computes
activations, losses and weight decay, and updates the parameters. With few rows in a
batch, the passes over the parameters weigh more than the products.

torch, if it is installed, runs the same network on the same batch sizes with
autograd and ``torch.optim.Adam`` (fused or not, whichever is faster), decay as its
``weight_decay`` on the matrices alone. The first batch's loss is checked to be the
same. An epoch excludes what happens once a fit (checking X, column means, the mean
code).

All have as many threads as stand in the row: all, as a fit has, and one. The two are
worth comparing where other programs are busy: the products of a batch are small, and
threads that wait for each other at each of them may be slower than one.
"""

from functools import partial
from statistics import median

import numpy as np
from _common import (
    Table,
    all_threads,
    blas_threads,
    median_ratio,
    parse_arguments,
    print_header,
    time_in_turns,
)

from skae import DenoisingAutoencoder, SparseAutoencoder
from skae.rows.data import Data
from skae.rows.source import source
from skae.training.mini_batch import MiniBatches

try:
    import torch
except ImportError:
    torch = None

D, ALPHA, MASKED = 784, 1e-4, 0.3


class Row:
    """A network, its rows and its batches."""

    def __init__(self, n_rows, n_components, batch_size, tied):
        self.n_rows, self.n_components = n_rows, n_components
        self.batch_size, self.tied = batch_size, tied
        # The tied ones are denoising, for masking noise is drawn at every batch.
        self.noisy = tied
        kind = "tied, masking" if tied else "plain"
        self.name = f"{n_rows} x {D}, {n_components}, {kind}"

    @property
    def n_batches(self):
        return -(-self.n_rows // self.batch_size)

    def model(self):
        kind, own = SparseAutoencoder, {"sparsity": None}
        if self.noisy:
            kind, own = DenoisingAutoencoder, {"corruption_level": MASKED}
        return kind(
            self.n_components,
            solver="adam",
            batch_size=self.batch_size,
            tied_weights=self.tied,
            alpha=ALPHA,
            max_iter=1,
            **own,
        )


class Ours:
    """Epochs as ``fit`` runs them."""

    def __init__(self, row, X):
        random_state = np.random.RandomState(0)
        self._problem, *_ = row.model()._problem(Data(source(X)), random_state)
        self._batches = MiniBatches(self._problem, 0)
        start = self._problem.objective.start(random_state)
        self.theta = self._problem.coordinates.to_centred(start)
        self.start = self._problem.coordinates.decentred(self.theta)

    def __call__(self):
        result = self._batches.run(self.theta, None, lambda: None, lambda _: None)
        self.theta = result.x

    def parameters(self):
        """W, b, D, c of the start, in the units of the data."""
        p = self._problem.objective.parameters(self.start)
        return p.encoder, p.hidden, p.decoder[:-1], p.decoder[-1]

    def loss(self, X):
        """Loss of the rows at the start, without noise and decay."""
        W, b, D, c = self.parameters()
        H = 1 / (1 + np.exp(-(X @ W.T + b)))
        return 0.5 * ((H @ D + c - X) ** 2).sum() / len(X)


class Floor:
    """The five products of a batch, for every batch."""

    def __init__(self, row):
        rng, k, b = np.random.default_rng(0), row.n_components, row.batch_size
        self._n_batches = row.n_batches
        self._W = rng.random((k, D), dtype=np.float32)
        self._X, self._delta = rng.random((2, b, D), dtype=np.float32)
        self._H, self._G = np.empty((k, b), np.float32), np.empty_like(self._W)

    def __call__(self):
        W, X, delta, H, G = self._W, self._X, self._delta, self._H, self._G
        for _ in range(self._n_batches):
            np.matmul(W, X.T, out=H)
            np.matmul(H.T, W, out=delta)
            np.matmul(W, delta.T, out=H)
            np.matmul(H, delta, out=G)
            np.matmul(H, X, out=G)
            delta.fill(0.5)  # or it would grow without end


class Theirs:
    """The same in torch."""

    def __init__(self, row, X, parameters, fused):
        self._row, self._X = row, torch.from_numpy(X)
        W, b, D, c = (torch.tensor(p, requires_grad=True) for p in parameters)
        self._weights = (W, b, W if row.tied else D, c)
        matrices = [W] if row.tied else [W, D]
        # ‖W‖² + ‖D‖² is twice ‖W‖² where they are one.
        decay = ALPHA * (2 if row.tied else 1)
        groups = [
            {"params": matrices, "weight_decay": decay},
            {"params": [b, c], "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.Adam(groups, lr=1e-3, fused=fused)

    def loss(self, rows, noisy):
        W, b, D, c = self._weights
        inputs = rows * (torch.rand_like(rows) >= MASKED) if noisy else rows
        H = torch.sigmoid(torch.nn.functional.linear(inputs, W, b))
        residual = torch.addmm(c, H, D) - rows
        return 0.5 * residual.square().sum() / len(rows)

    def __call__(self):
        total = 0.0
        for index in torch.randperm(len(self._X)).split(self._row.batch_size):
            self._optimizer.zero_grad()
            loss = self.loss(self._X[index], self._row.noisy)
            loss.backward()
            self._optimizer.step()
            total += loss.item()
        return total


def measure(table, row, n_threads, repeats):
    """Time all in turns, and print a row."""
    if torch is not None:
        torch.set_num_threads(n_threads)
    X = np.random.default_rng(0).random((row.n_rows, D), dtype=np.float32)
    ours = Ours(row, X)
    tasks = {"ours": ours, "floor": Floor(row)}
    if torch is not None:
        for fused in (False, True):
            theirs = Theirs(row, X, ours.parameters(), fused)
            few = X[: row.batch_size]
            np.testing.assert_allclose(
                theirs.loss(torch.from_numpy(few), noisy=False).item(),
                ours.loss(few),
                rtol=1e-4,
            )
            tasks[f"torch {fused}"] = partial(theirs)
    times = time_in_turns(tasks, repeats)
    over_floor = median_ratio(times["ours"], times["floor"])
    cells = [row.batch_size, n_threads, median(times["ours"]), over_floor]
    if torch is None:
        table.row(row.name, *cells, "-", "-")
        return
    best = min(("torch False", "torch True"), key=lambda name: median(times[name]))
    ratio = median_ratio(times[best], times["ours"])
    cells += [median(times[best]), ratio]
    table.row(row.name, *cells)


def main():
    arguments = parse_arguments(__doc__, repeats=5, rows=0)
    versions = {} if torch is None else {"torch": torch.__version__}
    print_header("An epoch of Adam over its products, and against torch", **versions)
    table = Table(
        "rows x features, hidden",
        "batch",
        "threads",
        "s",
        "over floor",
        "torch s",
        "torch over",
    )
    few = arguments.rows or (2000 if arguments.quick else None)
    rows = [
        Row(few or 60_000, 500, 200, tied=False),
        Row(few or 20_000, 1000, 100, tied=True),
        Row(few or 20_000, 1000, 20, tied=True),
    ]
    repeats = 2 if arguments.quick else arguments.repeats
    for n_threads in sorted({1, all_threads()}, reverse=True):
        with blas_threads(n_threads):
            for row in rows:
                measure(table, row, n_threads, repeats)


if __name__ == "__main__":
    main()
