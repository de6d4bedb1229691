"""Build the documentation into docs/_build/html.

    python docs/build.py              pages; the gallery's scripts are not run
    python docs/build.py --gallery    pages, and every script in examples/ with figures

Warnings are errors. Nothing is fetched. Options after ``--`` go to sphinx-build.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--gallery", action="store_true", help="run the scripts in examples/"
    )
    parser.add_argument("options", nargs="*", help="for sphinx-build")
    arguments = parser.parse_args()
    plot_gallery = f"sphinx_gallery_conf.plot_gallery={int(arguments.gallery)}"
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going"]
    command += ["-D", plot_gallery, *arguments.options]
    command += [str(DOCS), str(DOCS / "_build" / "html")]
    # No page of an earlier build stays behind.
    shutil.rmtree(DOCS / "_build" / "html", ignore_errors=True)
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    sys.exit(subprocess.run(command, env=environment).returncode)


if __name__ == "__main__":
    main()
