"""Does an evaluation's time grow as its matrix products do, and its memory not at all?

Linear growth is a slope of one of log time against log size, in n, in n_features and
in n_components.

One loss and gradient (logistic codes, linear outputs, weight decay) in one thread,
float32: the time that the processor spends in it, which another process beside does
not add to, as the median of repetitions in which all sizes take turns. A penalty on the
mean code is left out: with one, codes are kept between two passes in a fifth of X's
bytes, at most 1 GB, and the rest are computed twice, a choice of memory over time.
More than 100,000 rows are read from a memory map, which has been read before.

Slopes are least-squares fits over the sizes marked with *; the slope over all sizes
stands beside them. What is not marked is left out because an evaluation is there not
yet what it is made of later on. A block of 1000 rows pays what every block pays for
its calls and for adding up gradients, whatever its rows. A code costs its activation
beside its products with the features, and a feature its
part of the loss beside its products with the codes: time is a + b · size, a being
under a tenth from 400 on. So the last column gives how far all sizes, small ones too,
are from such a straight line at most.

Resident memory is the peak (VmHWM) of a process of its own that maps so many rows and
evaluates twice, above what it held before.

    --rows   most rows of the first table
"""

import json
import time
from contextlib import ExitStack
from statistics import median

import numpy as np
from _common import (
    Table,
    blas_threads,
    in_turns,
    parse_arguments,
    print_header,
)
from _resident import MB, in_new_process, mapped, peak, sparse_file

from skae.core.autoencoder import AutoencoderObjective
from skae.engines.threads import ThreadEngine

SECONDS_A_REPETITION = 0.05
ROWS_IN_MEMORY = 100_000
# Sizes, and from which on the slope is fitted.
ROWS = [1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000], 10_000
FEATURES = [50, 100, 200, 400, 800, 1600, 3200], 400
COMPONENTS = [25, 50, 100, 200, 400, 800, 1600, 3200], 400


def evaluation(X, n_components, stack):
    """The engine's loss and gradient on X, as a function of nothing."""
    d = X.shape[1]
    objective = AutoencoderObjective(d, n_components, alpha=1e-4, dtype=X.dtype)
    theta = np.random.default_rng(0).uniform(-0.08, 0.08, objective.layout.size)
    theta = theta.astype(X.dtype)
    engine = stack.enter_context(ThreadEngine(objective, X, n_threads=1))
    return lambda: engine(theta)


def rows(n, d, stack):
    """So many rows; of a file, if they are many."""
    if n <= ROWS_IN_MEMORY:
        return np.random.default_rng(0).random((n, d), np.float32)
    return mapped(stack.enter_context(sparse_file(n, d)), d)


def cpu_seconds(task):
    """Seconds of the processor that a call takes: of several, if it is short."""
    calls, spent = 0, 0.0
    began = time.process_time()
    while spent < SECONDS_A_REPETITION:
        task()
        calls, spent = calls + 1, time.process_time() - began
    return spent / calls


def slope(sizes, times):
    """Of log time against log size."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def off_a_line(sizes, times):
    """Greatest relative distance of the times from a line, fitted for small ones."""
    line = np.polyfit(sizes, times, 1, w=1 / times)
    return float(np.abs(np.polyval(line, sizes) / times - 1).max())


def scale(what, shapes, fitted_from, repeats):
    """Print times of the shapes (n, d, k) by size, and their slope."""
    table = Table(what, "ms", "over size", "slope", "all sizes", "off a line")
    with ExitStack() as stack:
        tasks = {}
        for size, (n, d, k) in shapes.items():
            tasks[size] = evaluation(rows(n, d, stack), k, stack)
            tasks[size]()
        timed = {n: (lambda task=task: cpu_seconds(task)) for n, task in tasks.items()}
        times = in_turns(timed, repeats)
    sizes = np.array(list(shapes))
    ms = np.array([1e3 * median(times[size]) for size in shapes])
    for size, value in zip(sizes, ms, strict=True):
        mark = " *" if size >= fitted_from else ""
        table.row(f"{size}{mark}", value, 1e3 * value / size, "", "", "")
    chosen = sizes >= fitted_from
    found = slope(sizes[chosen], ms[chosen])
    table.row("", "", "", found, slope(sizes, ms), off_a_line(sizes, ms))
    print()


def child(name, d, k):
    """Evaluate twice on a map, and print what that added to the memory."""
    with ExitStack() as stack:
        few = np.random.default_rng(0).random((5000, d), np.float32)
        evaluation(few, k, stack)()
        before = peak()
        evaluate = evaluation(mapped(name, d), k, stack)
        evaluate(), evaluate()
    print(json.dumps(peak() - before))


def memory(sizes, d, k):
    """Print what an evaluation adds to the resident memory, by number of rows."""
    table = Table(f"rows x {d}, {k}", "map MB", "added MB", "grows MB")
    first = None
    for n in sizes:
        with sparse_file(n, d) as name:
            added = in_new_process(__file__, name, d, k) / MB
        first = added if first is None else first
        table.row(f"{n}", n * d * 4 / MB, added, added - first)


def main():
    arguments = parse_arguments(__doc__, rows=ROWS[0][-1], child="")
    if arguments.child:
        return child(*json.loads(arguments.child))
    quick = arguments.quick
    if quick:
        arguments.rows = 30_000
    print_header("Time and memory of an evaluation against size")
    repeats = 3 if quick else 9
    n = 2000 if quick else 10_000

    def sizes(table):
        return table[0][:5] if quick else table[0]

    with blas_threads(1):
        some = [size for size in ROWS[0] if size <= arguments.rows]
        shapes = {size: (size, 100, 50) for size in some}
        scale("rows x 100, 50", shapes, ROWS[1], repeats)
        shapes = {size: (n, size, 50) for size in sizes(FEATURES)}
        scale(f"{n} x features, 50", shapes, FEATURES[1], repeats)
        shapes = {size: (n, 400, size) for size in sizes(COMPONENTS)}
        scale(f"{n} x 400, components", shapes, COMPONENTS[1], repeats)
    most = 1_000_000 if quick else 10_000_000
    memory([most // 10 * tenths for tenths in (1, 3, 10)], 100, 5)


if __name__ == "__main__":
    main()
