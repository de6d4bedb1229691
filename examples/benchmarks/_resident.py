"""Resident memory of tasks, each in a process of its own, and sparse files for them."""

import json
import resource
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

MB = 2**20
_ROWS_OF_NUMBERS = 1000


def resident():
    """Memory that this process holds, in bytes; elsewhere than on Linux, the most."""
    return _status("VmRSS") or peak()


def peak():
    """Most memory that this process has held, in bytes."""
    # Linux lets a new process inherit its parent's ru_maxrss, so only elsewhere.
    in_bytes = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * in_bytes
    )


def _status(field):
    """Bytes of a field of /proc/self/status, None where there is no such file."""
    path = Path("/proc/self/status")
    if not path.exists():
        return None
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines())
    return int(lines[field].split()[0]) * 1024


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
