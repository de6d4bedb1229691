"""A file of 20 GB: fit, transform and score_samples in little resident memory.

The file is a sparse one of float32, a thousand of its rows numbers and the rest zero;
to the estimator it is 20 GB, read page by page. Each task runs in a process of its
own, which imports skae, maps the file, and prints the peak of its resident size, as
the kernel has it (VmHWM), pages of the map included: so it is the whole process that
is counted, Python and libraries too ("at rest" is all of it before
the task). Linux only.

transform and score_samples are those of a fit to a few rows. Codes are few, so that
what is returned is small.

    --gigabytes, --features, --components, --iterations   another size
    --folder   where the file lies, by default where temporary files do
"""

import json
import time

import numpy as np
from _common import Table, not_converged, parse_arguments, print_header
from _resident import MB, in_new_process, mapped, peak, sparse_file

from skae import SparseAutoencoder

TASKS = ("fit", "early stopping", "weights of zero", "transform", "score_samples")


def child(name, n_features, n_components, iterations, task):
    """Do one task in this process; print what it took as JSON."""
    X = mapped(name, n_features)
    model = SparseAutoencoder(n_components, max_iter=iterations, tol=0, random_state=0)
    options = {}
    with not_converged():
        if task == "early stopping":
            model.set_params(early_stopping=True)
        elif task == "weights of zero":
            options["sample_weight"] = np.ones(len(X), np.float32)
            options["sample_weight"][::3] = 0
        elif task != "fit":
            model.fit(np.array(X[: 100 * max(1, len(X) // 1000)][::50]))
        before, began = peak(), time.perf_counter()
        if task in ("transform", "score_samples"):
            result = getattr(model, task)(X)
        else:
            model.fit(X, **options)
            result = model.components_
    report = {
        "seconds": time.perf_counter() - began,
        "before": before,
        "peak": peak(),
        "result": result.nbytes,
    }
    print(json.dumps(report))


def main():
    arguments = parse_arguments(
        __doc__,
        gigabytes=20.0,
        features=1000,
        components=8,
        iterations=2,
        folder="",
        child="",
    )
    if arguments.child:
        return child(*json.loads(arguments.child))
    if arguments.quick:
        arguments.gigabytes, arguments.iterations = 0.3, 1
    n_rows = int(arguments.gigabytes * 1e9) // (4 * arguments.features)
    print_header(
        f"A memory map of {arguments.gigabytes:g} GB: {n_rows} x "
        f"{arguments.features} float32, {arguments.components} components"
    )
    table = Table("task", "seconds", "at rest MB", "result MB", "peak MB")
    with sparse_file(n_rows, arguments.features, arguments.folder or None) as name:
        for task in TASKS:
            report = in_new_process(
                __file__,
                name,
                arguments.features,
                arguments.components,
                arguments.iterations,
                task,
            )
            at_peak = report["peak"] / MB
            table.row(
                task,
                report["seconds"],
                report["before"] / MB,
                report["result"] / MB,
                at_peak,
            )


if __name__ == "__main__":
    main()
