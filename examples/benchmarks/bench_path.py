"""A path of 20 values beside 20 fits from scratch: CPU seconds, and losses.

``autoencoder_path`` chooses the range and the order. "share" is its CPU seconds, with
scores and codes of every value, by those of one fit of each value from random weights,
in one thread. "lowest", "median" and "highest" are of the 20 ratios of its loss by that
of the fit from scratch: below 1 the path has come further. ``--only NAME`` takes one
data set; with ``--every 4`` every fourth value alone is fitted from scratch, and the
seconds are four times as many; ``--cache FILE`` keeps what is measured, so that a run
may be cut short.
"""

import json
import time
import warnings
from pathlib import Path

import numpy as np
from _common import Table, blas_threads, mnist, parse_arguments, print_header
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import StandardScaler

from skae import ContractiveAutoencoder, SparseAutoencoder, autoencoder_path


def problems(arguments):
    """(name, rows, estimator, parameter) of each path."""
    few = 300 if arguments.quick else None
    digits = load_digits().data[:few] / 16
    cancer = StandardScaler().fit_transform(load_breast_cancer().data)[:few]
    images = mnist(arguments.data, few or 10_000)
    sparse = {"random_state": 0}
    yield "breast cancer 30-60", cancer, SparseAutoencoder(60, **sparse)
    yield "digits 64-128", digits, SparseAutoencoder(128, **sparse)
    yield "MNIST 784-196", images, SparseAutoencoder(196, **sparse)


def paths(arguments):
    """(name, rows, estimator, parameter): of MNIST one alone."""
    for name, X, estimator in problems(arguments):
        yield name, X, estimator, "sparsity_weight"
        if "MNIST" in name or arguments.quick:
            continue
        yield name, X, estimator, "alpha"
        yield name, X, estimator, "sparsity_target"
        contractive = ContractiveAutoencoder(estimator.n_components, random_state=0)
        yield name, X, contractive, "contraction_weight"


class Cache:
    """What has been measured, in a file."""

    def __init__(self, path):
        self._path = Path(path) if path else None
        self._known = {}
        if self._path is not None and self._path.exists():
            self._known = json.loads(self._path.read_text())

    def __call__(self, key, measure):
        """``measure()``, or what it was."""
        if key not in self._known:
            self._known[key] = measure()
            if self._path is not None:
                self._path.write_text(json.dumps(self._known))
        return self._known[key]


def cpu(task):
    """CPU seconds of ``task()``, and what it returns."""
    began = time.process_time()
    result = task()
    return time.process_time() - began, result


def measure_path(X, estimator, parameter, n):
    """Seconds of a path, its values and their losses."""
    seconds, path = cpu(
        lambda: autoencoder_path(estimator, X, param_name=parameter, param_range=n)
    )
    return seconds, path.param_range, path.losses.tolist()


def measure_cold(X, estimator, parameter, value):
    """Seconds and loss of a fit from random weights."""
    if isinstance(value, list):
        value = tuple(value)
    model = clone(estimator).set_params(**{parameter: value})
    seconds, model = cpu(lambda: model.fit(X))
    return seconds, float(model.loss_)


def main():
    arguments = parse_arguments(__doc__, only="", cache="", every=1)
    print_header("A path of 20 values beside 20 fits from scratch")
    n = 4 if arguments.quick else 20
    cache = Cache(arguments.cache)
    columns = "scratch s", "path s", "share", "lowest", "median", "highest"
    table = Table("data, parameter" + " " * 25, *columns)
    with warnings.catch_warnings(), blas_threads(1):
        warnings.simplefilter("ignore")
        for name, X, estimator, parameter in paths(arguments):
            if arguments.only not in name:
                continue
            key = f"{name}, {parameter}"
            job = X, estimator, parameter
            seconds, values, losses = cache(key, lambda job=job: measure_path(*job, n))
            step = arguments.every
            cold = [
                cache(f"{key} {i}", lambda j=job, v=values[i]: measure_cold(*j, v))
                for i in range(0, len(values), step)
            ]
            scratch = sum(took for took, _ in cold) * len(values) / len(cold)
            ratios = np.array(losses[::step]) / [loss for _, loss in cold]
            table.row(
                *(key, f"{scratch:.1f}", f"{seconds:.1f}", f"{seconds / scratch:.2f}"),
                *(f"{f(ratios):.3f}" for f in (np.min, np.median, np.max)),
            )


if __name__ == "__main__":
    main()
