"""Does a fit at the default ``tol`` and ``max_iter`` end near the lowest known loss?

    python examples/benchmarks/bench_default_fit.py --out results.json \\
        --release ../release

The objectives of ``bench_time_to_loss.py``, with the default ``tol`` and ``max_iter``.
The lowest known loss is that of fits with ten times the iterations and ``tol=0``, from
as many random starts as ``--seeds`` says, or of any other fit here. "above" is the
loss of the default fit over it, less one; evaluations are those of J and its gradient
on all rows, samples counted by their size. With ``--out FILE`` results are added to
those of earlier runs.
"""

import argparse
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

from _common import Table, print_header
from _time_to_loss import PROBLEMS, rows_of
from bench_time_to_loss import fitted

warnings.filterwarnings("ignore")


def child(kind, problem, n_rows, seed, max_iter):
    """Evaluations, seconds, loss and iterations of one fit; printed."""
    task, found = PROBLEMS[problem], {}
    X = rows_of(task, int(n_rows))
    options = {"random_state": int(seed)}
    if kind != "longer":
        options["tol"] = default_of(task, "tol")
        max_iter = default_of(task, "max_iter")
    result = fitted(task, X, int(max_iter), found=found, **options)
    print(json.dumps([*result, found["model"].n_iter_]))


def default_of(task, name):
    """That of the estimator for such a problem."""
    import skae

    if task.hidden:
        kind = skae.StackedAutoencoder
    else:
        kind = skae.DenoisingAutoencoder if task.level else skae.SparseAutoencoder
    return kind().get_params()[name]


def run(arguments, kind, problem, seed=0, max_iter=0):
    """A fit in a process of its own, in one thread."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    root = Path(__file__).resolve().parents[2]
    if kind == "release":
        root = Path(arguments.release).resolve()
    environment["PYTHONPATH"] = str(root)
    command = [sys.executable, __file__, "--child", kind, problem]
    command += map(str, (arguments.rows, seed, max_iter))
    lines = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout
    return json.loads(lines.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("default_fit.json"))
    parser.add_argument("--release", default="", help="another checkout")
    parser.add_argument("--problems", default="|".join(PROBLEMS), help="with | between")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="only print --out")
    arguments = parser.parse_args()
    found = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for problem in [] if arguments.show else arguments.problems.split("|"):
        lines = found.setdefault(problem, {})
        lines["default"] = run(arguments, "default", problem)
        if arguments.release:
            lines["release"] = run(arguments, "release", problem)
        longer = 10 * lines["default"][3]
        for seed in range(arguments.seeds):
            lines[f"longer {seed}"] = run(arguments, "longer", problem, seed, longer)
            arguments.out.write_text(json.dumps(found, indent=1))
        print(problem, lines, flush=True)
    print_header(f"Default fits, {arguments.rows} rows at most")
    table = Table(
        "problem",
        *("iterations", "evaluations", "release", "CPU s", "release"),
        *("lowest", "above %", "release %"),
    )
    for problem, lines in found.items():
        best = min(line[2] for line in lines.values())
        ours, theirs = lines["default"], lines.get("release")
        table.row(
            problem,
            ours[3],
            f"{ours[0]:.0f}",
            f"{theirs[0]:.0f}" if theirs else "-",
            ours[1],
            theirs[1] if theirs else "-",
            f"{best:.5g}",
            f"{100 * (ours[2] / best - 1):.2f}",
            f"{100 * (theirs[2] / best - 1):.2f}" if theirs else "-",
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
