"""An evaluation on dask against the same on this machine, and data beyond memory.

First: loss and gradient of 4 blocks of 10,000 x 784 (float32), 196 hidden units, on a
cluster of two processes with a thread each, against the threads of this process.
The workers' own logs of what they sent to each other and to the client say what an
evaluation moves: θ to each worker, a sum of its size from each, and nothing of X.

Then: 3 GB of rows, made where they are used, fitted by eight workers that may hold
500 MB each, of which some 200 MB are what they have imported. What does not fit they
spill to disk, and read back in every evaluation. No worker should die, and the loss
should be that of this machine's threads, which make one chunk after the other.

--parts names what to run: evaluations, memory, or both.
"""

import logging
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from statistics import median

import dask
import dask.array as da
import numpy as np
from _common import (
    Table,
    median_ratio,
    not_converged,
    parse_arguments,
    print_header,
    time_in_turns,
)
from dask import delayed
from distributed import Client, LocalCluster

from skae import SparseAutoencoder
from skae.core.autoencoder import AutoencoderObjective
from skae.core.penalties import KullbackLeibler
from skae.engines.dask import DaskEngine
from skae.engines.threads import ThreadEngine
from skae.rows.dask import Blocks, prepare_block

D, K, N_BLOCKS, N_WORKERS = 784, 196, 4, 2
PENALTIES = {"none": [], "KL": [KullbackLeibler(0.05, 3.0, (0.0, 1.0))]}
MB = 2**20


@contextmanager
def cluster(memory_limit=0, n_workers=N_WORKERS):
    """A client of workers with a thread each."""
    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            memory_limit=memory_limit,
            dashboard_address=":0",
            silence_logs=logging.ERROR,
        ) as workers,
        Client(workers) as client,
    ):
        yield client


def rows_of(seed, rows, d):
    """Rows near a plane of 20 dimensions."""
    rng = np.random.default_rng(seed)
    axes = np.random.default_rng(0).standard_normal((20, d), np.float32)
    return rng.standard_normal((rows, 20), np.float32) @ axes / np.float32(5)


def lazy_rows(n_blocks, rows, d):
    """The same as a dask array, made when it is needed."""
    make = delayed(rows_of)
    blocks = [
        da.from_delayed(make(seed, rows, d), (rows, d), np.float32)
        for seed in range(n_blocks)
    ]
    return da.concatenate(blocks)


def sent(dask_worker):
    """Bytes of results that a worker has handed out, by the name of the task."""
    total = Counter()
    for entry in dask_worker.transfer_outgoing_log:
        for key, size in entry["keys"].items():
            total[str(key).strip("('").rsplit("-", 6)[0].split("-")[0]] += size
    return total


def evaluations(rows, repeats, calls):
    """Time of an evaluation here and there, and what the latter moves."""
    table = Table("penalty", "dask ms", "threads ms", "ratio")
    moved = []
    with cluster() as client:
        X = lazy_rows(N_BLOCKS, rows, D)
        chunks = [
            delayed(prepare_block)(part, None, None, np.float32, None)
            for part in X.to_delayed().ravel()
        ]
        blocks, local = Blocks.compute(chunks, False), X.compute()
        for name, terms in PENALTIES.items():
            objective = AutoencoderObjective(
                D, K, alpha=1e-4, terms=terms, dtype=np.float32
            )
            size = objective.layout.size
            theta = np.random.default_rng(0).uniform(-0.08, 0.08, size)
            theta = theta.astype(np.float32)
            with DaskEngine(objective, blocks) as there:
                with ThreadEngine(objective, local) as here:
                    tasks = {
                        "dask": lambda there=there, theta=theta: there(theta),
                        "threads": lambda here=here, theta=theta: here(theta),
                    }
                    times = time_in_turns(tasks, repeats)
                before = sum(client.run(sent).values(), Counter())
                for _ in range(calls):
                    there(theta)
                traffic = sum(client.run(sent).values(), Counter())
                traffic.subtract(before)
            ms = {task: 1e3 * median(times[task]) for task in times}
            table.row(
                name,
                ms["dask"],
                ms["threads"],
                median_ratio(times["dask"], times["threads"]),
            )
            parameters = theta.nbytes * calls
            sums = (traffic["_block_sums"] + traffic["_add_sums"]) / parameters
            codes = ("_code_sums", "_first", "_add_arrays")
            rows_moved = traffic["prepare_block"] / parameters
            cells = (
                name,
                theta.nbytes / MB,
                traffic["_same"] / parameters,
                sums,
                sum(traffic[task] for task in codes) / parameters,
                rows_moved,
            )
            moved.append(cells)
    print()
    table = Table("penalty", "θ in MB", "θ handed on", "sums", "codes", "X")
    for cells in moved:
        table.row(*cells)
    print(
        "\nSent by the workers in an evaluation, in units of θ: to each other, and the "
        f"last sum to the\nclient, with {N_WORKERS} workers. θ itself goes once from "
        "the client to the scheduler,\nand from there to each worker."
    )


def status(dask_worker):
    """Megabytes that a worker holds, that it has spilled, and its process's id."""
    import os

    spilled = getattr(dask_worker.data, "spilled_total", None)
    spilled = spilled.disk / MB if spilled is not None else 0
    return dask_worker.monitor.proc.memory_info().rss / MB, spilled, os.getpid()


@contextmanager
def watched_engine(client):
    """Each evaluation's seconds, θ, data term, and what its workers held then."""
    seen, evaluate = [], DaskEngine.__call__

    def watched(engine, theta):
        start = time.perf_counter()
        loss, gradient, terms = evaluate(engine, theta)
        seconds = time.perf_counter() - start
        held = client.run(status)
        seen.append((seconds, engine.objective, theta.copy(), terms, held))
        return loss, gradient, terms

    DaskEngine.__call__ = watched
    try:
        yield seen
    finally:
        DaskEngine.__call__ = evaluate


def local_loss(objective, theta, n_blocks, rows, d):
    """Mean loss of all rows by this machine's threads, a chunk in memory at a time."""
    losses = []
    for seed in range(n_blocks):
        with ThreadEngine(objective, rows_of(seed, rows, d)) as evaluate:
            losses.append(evaluate.data_loss(theta))
    return float(np.mean(losses))


def beyond_memory(n_blocks, rows, n_workers, limit):
    """Fit what no worker can hold, nor all of them."""
    print(
        f"\n{n_blocks} chunks of {rows} x {D} float32, a network {D}-16-{D}, "
        f"{n_workers} workers of {limit / 1e6:.0f} MB"
    )
    scratch = tempfile.TemporaryDirectory()
    with (
        scratch,
        dask.config.set({"temporary-directory": scratch.name}),
        cluster(limit, n_workers) as client,
        watched_engine(client) as seen,
    ):
        before = {at: values[2] for at, values in client.run(status).items()}
        autoencoder = SparseAutoencoder(16, sparsity=None, max_iter=3, random_state=0)
        start = time.perf_counter()
        with not_converged():
            autoencoder.fit(lazy_rows(n_blocks, rows, D))
        whole = time.perf_counter() - start
        survived = before == {at: v[2] for at, v in client.run(status).items()}
    seconds, objectives, thetas, terms, held = zip(*seen, strict=True)
    loss = local_loss(objectives[-1], thetas[-1], n_blocks, rows, D)
    print(f"loss after each iteration: {np.round(autoencoder.loss_curve_, 4)}")
    print(
        "most MB: of a worker, between evaluations; loss off: data term of the last "
        "evaluation, relative\nto that of this machine's threads; no death: no worker "
        "was lost"
    )
    table = Table(
        "GB, workers",
        *("MB each", "spilled MB", "most MB", "fit s", "evaluation s"),
        *("loss off", "no death"),
    )
    table.row(
        f"{n_blocks * rows * D * 4 / 1e9:.2f} GB, {n_workers} workers",
        f"{limit / 1e6:.0f}",
        max(sum(disk for _, disk, _ in at.values()) for at in held),
        max(rss for at in held for rss, *_ in at.values()),
        whole,
        median(seconds),
        abs(terms[-1]["reconstruction"] / loss - 1),
        "yes" if survived else "NO",
    )


def main():
    arguments = parse_arguments(__doc__, parts="evaluations memory")
    print_header("Evaluations on dask", dask=dask.__version__)
    quick = arguments.quick
    if "evaluations" in arguments.parts:
        evaluations(1000 if quick else 10_000, 3 if quick else 9, 3 if quick else 10)
    if "memory" in arguments.parts:
        beyond_memory(80 if quick else 240, 4000, 2 if quick else 8, int(5e8))


if __name__ == "__main__":
    main()
