"""Time of an L-BFGS iteration on 1 to 1,000 workers: a calculation, not a measurement.

An evaluation on dask is

    scheduling + sending θ + the slowest worker's blocks + adding up + the solver.

Each part is a line of ``parts`` below, and every number that it rests on is a constant
with its reason. Two questions are answered: how an iteration shortens when the same
data are spread over more workers, and how long it takes when every worker brings data
of its own. Compare before trusting: run bench_dask.py on your cluster and change
the constants.
"""

import math

D, K = 784, 196  # features and hidden units
BYTES = 4  # of a float32
ROWS_IN_ALL = 10_000_000  # the same data on more workers: 31 GB
ROWS_A_WORKER = 100_000  # each worker with its own: 314 MB

# Products of one core, multiply-adds counted as two: what OpenBLAS does in float32 on
# a server core of 2020 to 2025, of which an evaluation reaches nine tenths.
FLOPS = 60e9
# One way, of a network card of 10 Gbit/s, through Python's serialisation.
BANDWIDTH = 0.8e9
LATENCY = 1e-3  # of a message between two processes, the event loops included
# Of dask's scheduler, for each task: 200 us to 1 ms in its own documentation.
SECONDS_A_TASK = 3e-4
ROUND_TRIP = 10e-3  # of submitting a graph and hearing of its end
FAN_IN = 8  # sums added in one go, as in skae.engines.dask
ADDED_HERE = 2**20  # bytes of sums that the client fetches and adds itself
SENT_BY_SCHEDULER = 4  # workers up to which it sends θ to each
EVALUATIONS = 1.1  # in an iteration: the line search's first step is mostly accepted
HISTORY = 10  # pairs of vectors of L-BFGS
MEMORY_BANDWIDTH = 10e9  # of the client, for the solver's passes over vectors
SLOWEST = 1.1  # the slowest worker's time over the mean

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)


def parts(workers, rows, d=D, k=K):
    """Seconds of each part of an evaluation, a block and a core a worker."""
    theta = (2 * d * k + d + k) * BYTES
    flops = 2 * 5 * d * k * rows / workers
    compute = flops / (0.9 * FLOPS) * (SLOWEST if workers > 1 else 1)
    # Few workers get θ from the scheduler, one after the other. Otherwise one does, and
    # those that have it hand it on: each round doubles them.
    hop = LATENCY + theta / BANDWIDTH
    if workers <= SENT_BY_SCHEDULER:
        broadcast = hop + LATENCY + workers * theta / BANDWIDTH
    else:
        broadcast = hop * (2 + math.ceil(math.log2(workers)))
    # On workers, a task fetches the sums that it has not, one after the other; the
    # client has the last ones come to it by way of the scheduler.
    sums, adding = workers, 0.0
    while sums > 1 and sums * theta > ADDED_HERE:
        adding += LATENCY + (min(sums, FAN_IN) - 1) * theta / BANDWIDTH
        sums = math.ceil(sums / FAN_IN)
    adding += 2 * (LATENCY + sums * theta / BANDWIDTH)
    tasks = workers * (1 + 1 / (FAN_IN - 1))
    scheduling = ROUND_TRIP + tasks * SECONDS_A_TASK
    return {
        "compute": compute,
        "broadcast": broadcast,
        "tree": adding,
        "scheduling": scheduling,
    }


def solver(d=D, k=K):
    """Seconds of the two-loop recursion at the client, in an iteration."""
    theta = (2 * d * k + d + k) * BYTES
    return 4 * HISTORY * theta / MEMORY_BANDWIDTH


def iteration(workers, rows):
    """Seconds of an iteration, and of its parts."""
    of = {name: EVALUATIONS * s for name, s in parts(workers, rows).items()}
    of["solver"] = solver()
    return sum(of.values()), of


def table(title, rows_of):
    """Print a line for each number of workers."""
    names = list(iteration(1, rows_of(1))[1])
    print(f"\n{title}\n")
    head = ["workers", "s", "speed-up", *(f"{n} ms" for n in names), "dominates"]
    print("  ".join(name.rjust(13) for name in head))
    alone = iteration(1, rows_of(1))[0] / rows_of(1)  # a row, on one worker
    for workers in WORKERS:
        rows = rows_of(workers)
        total, of = iteration(workers, rows)
        cells = [
            str(workers),
            f"{total:.3g}",
            f"{alone * rows / total:.3g}",
            *(f"{1e3 * of[name]:.3g}" for name in names),
            max(of, key=of.get),
        ]
        print("  ".join(cell.rjust(13) for cell in cells))


def main():
    print(__doc__)
    print(f"{D} features, {K} hidden units; θ is {(2 * D * K + D + K) * BYTES:,} bytes")
    table(f"The same {ROWS_IN_ALL:,} rows on more workers", lambda workers: ROWS_IN_ALL)
    table(
        f"{ROWS_A_WORKER:,} rows on every worker",
        lambda workers: ROWS_A_WORKER * workers,
    )


if __name__ == "__main__":
    main()
