"""Peak memory of a fit above X itself: 60,000 x 784 float32, 196 hidden units.

Every figure comes from a process of its own, which imports skae, reads X, notes its
resident size and fits. "above X" is the peak of the resident size minus that note,
so it holds everything that a fit brings, libraries' work space and pages of code
included. The fit runs 15 iterations, so that the solver's history of 10 is full.
The peak is the kernel's own (VmHWM) on Linux and ru_maxrss elsewhere.

A second process repeats the fit under tracemalloc and prints what NumPy holds in the
midst of it, by the line that allocated it.

    --rows, --components, --iterations   another size
"""

import json
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
from _common import (
    DTYPES,
    Table,
    mnist,
    not_converged,
    parse_arguments,
    print_header,
)
from _resident import MB, in_new_process, peak, resident

from skae import SparseAutoencoder
from skae.engines.threads import ThreadEngine


class Spy:
    """Looks into a fit: which X arrives at the engine, and who holds memory."""

    def __init__(self, look_at):
        self.X, self.held, self.calls = None, Counter(), 0
        self._look_at = look_at
        initialise, evaluate = ThreadEngine.__init__, ThreadEngine.__call__

        def spied_initialise(engine, objective, X, *args, **kwargs):
            self.X = X
            initialise(engine, objective, X, *args, **kwargs)

        def spied_evaluate(engine, theta):
            self.calls += 1
            if self.calls == self._look_at and tracemalloc.is_tracing():
                self._look()
            return evaluate(engine, theta)

        ThreadEngine.__init__ = spied_initialise
        ThreadEngine.__call__ = spied_evaluate

    def _look(self):
        # NumPy's own memory is tracked in a domain of its own.
        domain = np.lib.tracemalloc_domain
        snapshot = tracemalloc.take_snapshot()
        snapshot = snapshot.filter_traces([tracemalloc.DomainFilter(True, domain)])
        for statistic in snapshot.statistics("lineno"):
            frame = statistic.traceback[0]
            place = f"{Path(frame.filename).name}:{frame.lineno}"
            text = statistic.traceback.format()[-1].strip()
            self.held[f"{place}  {text}"] += statistic.size


def child(path, n_components, iterations, trace):
    """Fit in this process and print what it took as JSON."""
    X = np.load(path)
    model = SparseAutoencoder(n_components, max_iter=iterations, tol=0, random_state=0)
    spy = Spy(look_at=iterations)
    before = resident()
    if trace:
        tracemalloc.start()
    with not_converged():
        model.fit(X)
    report = {
        "above": peak() - before,
        "X": X.nbytes,
        "copied": not np.shares_memory(X, spy.X),
        "n_iter": int(model.n_iter_),
        "held": spy.held.most_common(8),
    }
    print(json.dumps(report))


def main():
    arguments = parse_arguments(
        __doc__, rows=60_000, components=196, iterations=15, child=""
    )
    if arguments.child:
        return child(*json.loads(arguments.child))
    if arguments.quick:
        arguments.rows, arguments.iterations = 6_000, 12
    print_header("Peak memory of a fit above X")
    table = Table(
        "rows x features, hidden",
        "dtype",
        "iterations",
        "X MB",
        "above X MB",
        "over X",
        "X copied",
    )
    held = {}
    with tempfile.TemporaryDirectory() as folder:
        for dtype in DTYPES:
            path = str(Path(folder) / f"{dtype}.npy")
            np.save(path, mnist(arguments.data, arguments.rows).astype(dtype))
            task = path, arguments.components, arguments.iterations
            report = in_new_process(__file__, *task, False)
            held[dtype] = in_new_process(__file__, *task, True)["held"]
            ratio = report["above"] / report["X"]
            table.row(
                f"MNIST {arguments.rows} x 784, {arguments.components}",
                dtype,
                report["n_iter"],
                report["X"] / MB,
                report["above"] / MB,
                ratio,
                "YES" if report["copied"] else "no",
            )
            Path(path).unlink()
    for dtype, lines in held.items():
        print(f"\nHeld by NumPy's arrays in the midst of a {dtype} fit, MB:")
        for line, size in lines:
            if size > MB / 10:
                print(f"{size / MB:8.1f}  {line}")


if __name__ == "__main__":
    main()
