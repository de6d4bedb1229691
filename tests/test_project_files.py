"""Files beside the package repeat what pyproject.toml and the changelog say."""

import re
import tomllib
from pathlib import Path

import pytest

import skae

ROOT = Path(__file__).resolve().parent.parent


def load(*parts):
    yaml = pytest.importorskip("yaml")
    path = ROOT.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no {path.name} here")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_conda_recipe_needs_what_the_package_needs():
    recipe = load(".ci", "conda", "recipe.yaml")
    assert skae.__version__ in recipe["context"]["version"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {f"python {project['requires-python']}"}
    for line in project["dependencies"]:
        requirement, _, marker = line.partition(";")
        if ">=" not in marker:  # later Pythons need later versions of their own
            wanted.add(requirement.strip().replace(">=", " >="))
    assert set(recipe["requirements"]["run"]) == wanted


def test_what_is_cited_is_the_last_release():
    citation = load("CITATION.cff")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, date = re.search(r"^## \[(\d\S*)\] - (\S+)$", changelog, re.M).groups()
    assert (citation["version"], str(citation["date-released"])) == (version, date)
    assert citation["license"] == "BSD-3-Clause"


def test_workflows_run_what_there_is():
    """A path or a subcommand that is gone would fail on GitHub only."""
    for name in ("ci.yml", "release.yml"):
        jobs = load(".github", "workflows", name)["jobs"]
        steps = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
        assert any(steps)
        for path in re.findall(r"\S+\.py\b", " ".join(steps)):
            assert (ROOT / path).is_file(), path
