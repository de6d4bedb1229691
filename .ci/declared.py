"""What README.md and pyproject.toml declare, in the form `.ci/run` uses it.

    python .ci/declared.py command NAME
        The command that follows `<!-- ci: NAME -->` in README.md.
    python .ci/declared.py requirements EXTRA
        The requirements of one extra, a line each.
    python .ci/declared.py oldest EXTRA
        The package's own requirements and those of one extra, each pinned to its
        lower bound.
    python .ci/declared.py wheel FILE
        Nothing, but an error unless the wheel holds the package and no more.

Nothing is repeated here, so nothing can drift. Standard library only.
"""

import re
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent

FENCE = r"[ \t]*\n```sh\n(.*?)^```[ \t]*$"
LOWER_BOUND = re.compile(
    r"(?P<name>[\w.-]+(?:\[[\w,.-]+\])?)\s*>=\s*(?P<version>[\w.]+)[^;]*(?P<marker>;.*)?"
)


def command(readme, name):
    """The one-line command in the fenced block under `<!-- ci: name -->`."""
    comment = f"<!-- ci: {name} -->"
    blocks = re.findall(re.escape(comment) + FENCE, readme, re.DOTALL | re.MULTILINE)
    if len(blocks) != 1 or readme.count(comment) != 1:
        raise SystemExit(
            f"README.md must contain {comment!r} exactly once, with a ```sh block "
            f"directly below; found {readme.count(comment)} comments and "
            f"{len(blocks)} such blocks"
        )
    lines = [line for line in blocks[0].splitlines() if line.strip()]
    if len(lines) != 1:
        raise SystemExit(
            f"the block below {comment!r} in README.md must hold one command on one "
            f"line, got {len(lines)} lines"
        )
    return lines[0].strip()


def oldest(requirement):
    """The requirement with its lower bound as the only version; marker kept."""
    match = LOWER_BOUND.fullmatch(requirement)
    if match is None:
        raise SystemExit(
            f"pyproject.toml requires {requirement!r}; write it as 'name>=version', "
            "so that its oldest version can be tested"
        )
    return f"{match['name']}=={match['version']}{match['marker'] or ''}"


def check_wheel(path):
    """Raise unless a wheel holds the files of skae/, its metadata and no more."""
    names = {name for name in ZipFile(path).namelist() if ".dist-info/" not in name}
    source = (ROOT / "skae").rglob("*")
    wanted = {
        str(file.relative_to(ROOT))
        for file in source
        if file.is_file() and file.suffix != ".pyc"
    }
    if names != wanted:
        raise SystemExit(f"{path} holds other files than skae/: {names ^ wanted}")


def main(action, name):
    if action == "wheel":
        check_wheel(name)
        return ["The wheel holds skae/ and nothing else."]
    if action == "command":
        return [command((ROOT / "README.md").read_text(encoding="utf-8"), name)]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extra = project["optional-dependencies"][name]
    if action == "requirements":
        return extra
    if action == "oldest":
        return [oldest(line) for line in project["dependencies"] + extra]
    raise SystemExit(f"unknown action {action!r}: {__doc__}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print("\n".join(main(*sys.argv[1:])))
