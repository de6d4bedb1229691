"""Mutation testing: does some test notice a small change of the code?

    pip install -e ".[tests,mutation]"
    python .ci/mutation.py measure SESSION
    python .ci/mutation.py run SESSION --sample 300

SESSION is a folder, outside the checkout, for what is known so far. ``measure`` runs
the suite once to learn which test runs which line. ``run`` may be stopped, and goes on
where it was. Cosmic Ray makes the mutants; of all of them a sample is drawn with a
fixed seed, each as likely as any other. A mutant is put into a copy of the checkout,
and meets the tests that run its line: first those that name its module, and of each
test function one case, then more. A test that fails, or takes far too long, kills it.

``--budget`` is how many seconds of tests a mutant meets. Those that survive are run
again by a call with a larger one. To compare suites, ``--root`` is a checkout with the
same sources and other tests, ``--survivors-of`` another session: only what survived
there is run.
"""

import argparse
import difflib
import importlib
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from coverage import CoverageData

MUTATED = ("core", "engines", "rows", "solvers", "training")
# Bits, where there are floats, and identity, where there are numbers, only raise
# errors or mean the same.
LEFT_OUT = re.compile(
    "Shift|Bit|Eq_Is|Lt_Is|LtE_Is|Gt_Is|GtE_Is|_Is_[^I]|IsNot_[^I]|Exc"
)
SLOW = "dask"  # tests in such files meet mutants that no others meet
PRELOADED = ("scipy.optimize", "sklearn.utils.estimator_checks", "hypothesis")


class Measure:
    """A pytest plugin that keeps the seconds of every test."""

    def __init__(self):
        self.seconds = defaultdict(float)

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration


class Select:
    """A pytest plugin that runs some tests, in an order of ours."""

    def __init__(self, order, failure):
        self.order = {test: place for place, test in enumerate(order)}
        self.failure = failure

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.nodeid in self.order]
        items.sort(key=lambda item: self.order[item.nodeid])

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failure.write_text(f"{report.nodeid}\n{report.longreprtext[-2000:]}")

    def pytest_collectreport(self, report):
        self.pytest_runtest_logreport(report)


def mutants(root):
    """All mutants, as (file, operator, occurrence), with the line each is on."""
    found = {}
    for path in sorted((root / "skae").glob("*/*.py")):
        if path.parent.name not in MUTATED:
            continue
        nodes = list(ast_nodes(get_ast(path.read_text())))
        for name in plugins.operator_names():
            operator = plugins.get_operator(name)
            if operator.arguments() or LEFT_OUT.search(name):
                continue
            places = [p for node in nodes for p in operator().mutation_positions(node)]
            for occurrence, (start, _) in enumerate(places):
                file = path.relative_to(root).as_posix()
                found[file, name, occurrence] = start[0]
    return found


class Suite:
    """Which tests meet a mutant, and in what order."""

    def __init__(self, root, session):
        self.root = root
        self.seconds = json.loads((session / "seconds.json").read_text())
        self.data = CoverageData(str(session / "coverage"))
        self.data.read()
        measured = sorted(self.data.measured_files())
        self.measured = {f.partition("/skae/")[2]: f for f in measured}
        self.cases = defaultdict(list)  # test functions by file, their cases by time
        for test in sorted(self.seconds, key=self.seconds.get):
            self.cases[test.partition("::")[0]].append(test)

    def tests(self, file, line):
        """Tests that run a line; where importing runs it, those that run its file."""
        measured = self.measured.get(file.removeprefix("skae/"), "")
        lines = self.data.contexts_by_lineno(measured)
        while line > 1 and line not in lines:  # of a statement of several lines
            line -= 1
        contexts = lines.get(line, [""])
        if "" in contexts:
            contexts = {context for of_line in lines.values() for context in of_line}
        tests = {context.partition("|")[0] for context in contexts} - {""}
        for context in contexts:
            if context.endswith("|setup"):  # of a fixture that others may share
                tests |= set(self.cases[context.partition("::")[0]])
        quick = {t for t in tests if SLOW not in t.partition("::")[0]}
        return sorted(tests if SLOW in file or not quick else quick)

    def ordered(self, file, line, budget):
        """Tests for a mutant, and their seconds, most telling first."""
        module = file.removesuffix(".py").replace("/", ".")
        room = module.rpartition(".")[0]
        rounds, near, keys = defaultdict(int), {}, {}
        for test in sorted(self.tests(file, line), key=self.seconds.get):
            path, function = test.partition("::")[0], test.partition("[")[0]
            if path not in near:
                text = (self.root / path).read_text()
                near[path] = (module in text) + (room in text)
            case = rounds[function] = rounds[function] + 1
            late = self.seconds[test] > 1, case > 3
            keys[test] = (*late, -near[path], case.bit_length(), path, case)
        order, total = [], 0.0
        for test in sorted(keys, key=keys.get):
            if total + self.seconds[test] <= budget or not order:
                order.append(test)
                total += self.seconds[test]
        return order, total, len(order) == len(keys)


def suite_in(copy, options, plugin):
    """Run pytest in a copy of the checkout, in this process; its exit status."""
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    sys.path.insert(0, str(copy))
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", *options]
    return int(pytest.main(options, plugins=[plugin]))


def run_forked(copy, tests, failure, limit):
    """Run tests in a child: None if all pass, or what failed."""
    failure.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        os.setsid()
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        files = sorted({test.partition("::")[0] for test in tests})
        os._exit(suite_in(copy, ["-x", *files], Select(tests, failure)))
    done, end = 0, time.monotonic() + limit
    while not done and time.monotonic() < end:
        time.sleep(0.02)
        done, status = os.waitpid(child, os.WNOHANG)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it may have left running, too
    if not done:
        os.waitpid(child, 0)
        return f"took more than {limit:.0f} s"
    if status and not failure.exists():
        if os.waitstatus_to_exitcode(status) == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise RuntimeError(f"{copy} has none of {tests}; measure the suite again")
        return f"ended with status {status}"
    return failure.read_text() if status else None


def copied(root, session, share=1):
    """The copy of the checkout that is for one of several processes."""
    copy = session / f"copy-{share}"
    ignored = shutil.ignore_patterns(".git", "__pycache__", "_build", ".hypothesis")
    # Also one that is there: who was stopped may have left a mutant in it.
    shutil.copytree(root, copy, ignore=ignored, dirs_exist_ok=True)
    for compiled in copy.glob("skae/**/__pycache__"):
        shutil.rmtree(compiled)
    return copy


def measure(root, session):
    """Run the suite once; keep seconds, and which test runs which line."""
    session.mkdir(parents=True, exist_ok=True)
    copy, timed = copied(root, session), Measure()
    os.environ["COVERAGE_FILE"] = str(session / "coverage")
    covered = ["--cov=skae", "--cov-context=test", "--cov-report="]
    status = suite_in(copy, covered, timed)
    (session / "seconds.json").write_text(json.dumps(timed.seconds))
    return status


@contextmanager
def replaced(path, text, original):
    """Other text in a file, and nothing compiled before."""
    compiled = Path(cache_from_source(str(path)))
    try:
        path.write_text(text)
        compiled.unlink(missing_ok=True)
        yield
    finally:
        path.write_text(original)
        compiled.unlink(missing_ok=True)


def results(session):
    """The last result of each mutant."""
    path = session / "results.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {tuple(r["mutant"]): r for r in map(json.loads, lines)}


def run(root, session, sample, seed, budget, survivors_of, without, share):
    """Run the mutants of the sample that are not killed yet, or a share of them."""
    number, shares = map(int, share.split("/"))
    copy, failure = copied(root, session, number), session / f"failure-{number}.txt"
    suite, known = Suite(root, session), results(session)
    places = mutants(root)
    chosen = random.Random(seed).sample(sorted(places), min(sample, len(places)))
    if survivors_of is not None:
        others = results(survivors_of)
        chosen = [m for m in others if not others[m]["killed_by"]]
    chosen = [m for m in chosen if not without or without not in m[0]]
    print(f"{len(chosen)} of {len(places)} mutants", flush=True)
    for module in PRELOADED:  # once, not in every child
        importlib.import_module(module)
    for file, operator, occurrence in chosen[number - 1 :: shares]:
        mutant = file, operator, occurrence
        before = known.get(mutant)
        if before and (before["killed_by"] or before["budget"] >= budget):
            continue
        tests, seconds, every = suite.ordered(file, places[mutant], budget)
        original = (root / file).read_text()
        changed = mutate_code(original, plugins.get_operator(operator)(), occurrence)
        began, killer = time.monotonic(), None
        with replaced(copy / file, changed, original):
            for part in tests[:30], tests[30:]:  # few files to import at first
                if part and not killer:
                    killer = run_forked(copy, part, failure, 60 + 5 * seconds)
        lines = [text.splitlines(keepends=True) for text in (original, changed)]
        result = {
            "mutant": mutant,
            "killed_by": killer,
            "tests": len(tests),
            "all_tests": every,
            "budget": budget,
            "seconds": round(time.monotonic() - began, 1),
            "diff": "".join(difflib.unified_diff(*lines, file, file, n=2)),
        }
        with (session / "results.jsonl").open("a") as out:
            out.write(json.dumps(result) + "\n")
        by = killer.splitlines()[0] if killer else f"survives {len(tests)} tests"
        print(*mutant, result["seconds"], "s:", by, flush=True)


def report(session):
    """Print how many were killed, and what survived."""
    known = results(session)
    survivors = [r for r in known.values() if not r["killed_by"]]
    for r in survivors:
        print(f"## {' '.join(map(str, r['mutant']))}: {r['tests']} tests", end="")
        print("" if r["all_tests"] else ", not all that run it", r["diff"], sep="\n")
    print(f"{len(known)} mutants: {len(known) - len(survivors)} killed, ", end="")
    print(f"{len(survivors)} survived")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["measure", "run", "report"])
    parser.add_argument("session", type=lambda name: Path(name).resolve())
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("--root", type=lambda name: Path(name).resolve(), default=here)
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=60, help="seconds of tests")
    parser.add_argument("--survivors-of", type=Path)
    parser.add_argument("--without", help="leave out files with this in their name")
    parser.add_argument("--share", default="1/1", help="2/3: the second of three")
    given = parser.parse_args()
    if given.command == "measure":
        return measure(given.root, given.session)
    if given.command == "run":
        drawn = given.sample, given.seed, given.budget, given.survivors_of
        run(given.root, given.session, *drawn, given.without, given.share)
    return report(given.session)


if __name__ == "__main__":
    sys.exit(main())
