"""The documentation keeps its word: its Python runs, and its examples explain."""

import ast
import doctest
from pathlib import Path

import pytest

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
