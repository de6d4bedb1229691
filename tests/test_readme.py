"""The README keeps its word: its Python runs, its commands are those CI runs."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:Training stopped")
@pytest.mark.filterwarnings("error:.*fits failed", "error:.*non-finite")
def test_python_runs_and_prints_the_table_that_is_shown(capsys, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("agg")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    variables = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), variables)
    rows = variables["table"].rows
    assert str(variables["table"]) in capsys.readouterr().out
    shown = re.findall(r"^\| \S.* \| (\d+) \| (0\.\d+) ± .* \|.*\|$", README, re.M)[:5]
    assert [int(size) for size, _ in shown] == [row["components"] for row in rows]
    # Other versions of NumPy and SciPy round differently, and end in other minima.
    for (_, score), row in zip(shown, rows, strict=True):
        assert abs(float(score) - row["score"]) < 0.015
    assert (tmp_path / "comparison.png").stat().st_size > 0


@pytest.fixture
def declared():
    """CI's reader of README.md and pyproject.toml."""
    path = ROOT / ".ci" / "declared.py"
    if not path.exists():
        pytest.skip("no .ci directory here")
    spec = importlib.util.spec_from_file_location("declared", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_commands_are_those_of_ci(declared):
    shown = re.findall(r"^```sh\n(.*)\n```$", README, re.MULTILINE)
    names = re.findall(r'^readme "(.*?)"', (ROOT / ".ci" / "run").read_text(), re.M)
    assert names == ["main job", "tests"]
    assert [declared.command(README, name) for name in names] == shown
    assert shown[0].endswith("examples/plot_grid_search_vs_pca.py")
    assert shown[1].endswith("pytest")


@pytest.mark.parametrize(
    "readme",
    [
        "",
        "<!-- ci: tests -->\n",
        "<!-- ci: tests -->\nText\n```sh\npytest\n```\n",
        "<!-- ci: tests -->\n```sh\n```\n",
        "<!-- ci: tests -->\n```sh\ncd x\npytest\n```\n",
        2 * "<!-- ci: tests -->\n```sh\npytest\n```\n",
    ],
    ids=["empty", "no block", "text between", "no command", "two lines", "twice"],
)
def test_broken_readme_is_refused(declared, readme):
    with pytest.raises(SystemExit, match="<!-- ci: tests -->"):
        declared.command(readme, "tests")


@pytest.mark.parametrize(
    ("requirement", "pin"),
    [
        ("numpy>=2.0", "numpy==2.0"),
        ("scikit-learn >= 1.6, <2", "scikit-learn==1.6"),
        (
            "pandas>=2.2.2; python_version < '3.13'",
            "pandas==2.2.2; python_version < '3.13'",
        ),
    ],
)
def test_oldest_version(declared, requirement, pin):
    assert declared.oldest(requirement) == pin


@pytest.mark.parametrize("requirement", ["numpy", "numpy<3", "numpy==2.0"])
def test_oldest_version_needs_a_lower_bound(declared, requirement):
    with pytest.raises(SystemExit, match="name>=version"):
        declared.oldest(requirement)
