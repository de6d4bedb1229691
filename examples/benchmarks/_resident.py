"""Resident memory of tasks on sparse files, each in a process of its own."""

import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

MB = 2**20
_ROWS_OF_NUMBERS = 1000


def peak():
    """Most memory that this process has held, in bytes; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@contextmanager
def sparse_file(n_rows, n_features, folder=None):
    """Name of a file of float32 rows, a thousand of them numbers and the rest zero.

    It takes little room on the disk, but whoever reads a page of it has that page in
    memory all the same.
    """
    rng = np.random.default_rng(0)
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for row in range(0, n_rows, max(1, n_rows // _ROWS_OF_NUMBERS)):
            file.seek(4 * row * n_features)
            file.write(rng.random(n_features, np.float32).tobytes())
        file.truncate(4 * n_rows * n_features)
        file.flush()
        yield file.name


def mapped(name, n_features, dtype=np.float32):
    """The rows of such a file, never to be written to."""
    X = np.memmap(name, dtype, "r")
    return X.reshape(-1, n_features)


def in_new_process(script, *arguments):
    """What ``script --child`` prints last, as JSON, when given these arguments."""
    command = [sys.executable, script, "--child", json.dumps(arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(finished.stderr)
    return json.loads(finished.stdout.splitlines()[-1])
