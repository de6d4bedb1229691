"""The documentation keeps its word: its Python runs, and its examples explain."""

import ast
import doctest
import re
import textwrap
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from sklearn.datasets import load_digits

from skae import SparseAutoencoder
from skae._sklearn import HAS_CALLBACKS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.rst"))
PAGES = [page for page in PAGES if not {"auto_examples", "generated"} & {*page.parts}]
OPTIONAL = ("onnxruntime", "skl2onnx", "skops")
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))


def name(path):
    return path.relative_to(ROOT).as_posix()


def test_there_are_pages_and_examples():
    if not (ROOT / "docs").is_dir():
        pytest.skip("no docs directory here")
    assert len(PAGES) > 10 and len(EXAMPLES) > 5


@pytest.mark.parametrize(
    "page", [p for p in PAGES if ">>> " in p.read_text()], ids=name
)
def test_python_of_a_page_runs(page):
    for package in OPTIONAL:
        if (
            f"import {package}" in page.read_text()
            or f"from {package}" in page.read_text()
        ):
            pytest.importorskip(package)
    results = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert results.failed == 0 and results.attempted > 0


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has no callbacks yet")
@pytest.mark.parametrize("prunes", [False, True])
def test_code_for_optuna_runs(prunes):
    """With a study that stands for Optuna's, which the tests do not install."""

    page = ROOT / "docs/user_guide/choosing.rst"
    if not page.exists():
        pytest.skip("no docs directory here")

    class TrialPruned(Exception):
        pass

    reports = []

    class Trial:
        suggest_float = staticmethod(lambda name, low, high, log: 1.0)
        report = staticmethod(lambda score, step: reports.append((score, step)))
        should_prune = staticmethod(lambda: prunes)

    class Study:
        def optimize(self, objective, n_trials):
            self.score = objective(Trial())

    text = page.read_text(encoding="utf-8")
    (code,) = re.findall(r"^   import optuna\n(.*?)^(?=\S)", text, re.M | re.DOTALL)
    X = load_digits().data[:50] / 16
    seeded = partial(SparseAutoencoder, random_state=0)
    # Scores of the rows that are fitted rise for certain.
    given = {"X": X, "X_held_out": X, "SparseAutoencoder": seeded}
    given["optuna"] = SimpleNamespace(
        TrialPruned=TrialPruned, create_study=lambda direction: Study()
    )
    with pytest.raises(TrialPruned) if prunes else nullcontext():
        exec(textwrap.dedent(code), given)
    assert [step for _, step in reports] == [20 * (i + 1) for i in range(len(reports))]
    if prunes:
        assert len(reports) == 1
    else:
        assert reports[0][0] < reports[-1][0] <= given["study"].score + 1e-3


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_example_teaches(path):
    """Each script has a title, an introduction, and text between its parts."""
    source = path.read_text(encoding="utf-8")
    rule, title, again, blank, *introduction = ast.get_docstring(
        ast.parse(source)
    ).split("\n")
    assert rule == again and set(rule) == {"="} and len(title) <= len(rule)
    assert blank == "" and len(" ".join(introduction).split()) > 40
    assert source.count("\n# %%\n") >= 2
