"""One evaluation of the denoising and the contractive objective over the plain one.

The denoising objective makes its noise afresh in every block of rows, at every
evaluation; the contractive one adds the squared norm of the code's Jacobian, which
needs the squares of the activation's slopes and no matrix product. An evaluation
(loss and gradient, 10,000 x 784 with 196 logistic units, linear output, weight
decay, all threads) is timed beside a plain one.

Only one engine is open at a time. In each repetition the plain objective and each
other one are timed in turns, and a ratio is the median of the repetitions' ratios.
Beside the ratio of the times on the clock stands that of the processor's times,
which other programs on the machine disturb less.
"""

import time
from functools import partial
from statistics import median

import numpy as np
from _common import (
    DTYPES,
    Table,
    cases,
    in_turns,
    median_ratio,
    parse_arguments,
    print_header,
)

from skae.core.activations import ACTIVATIONS
from skae.core.autoencoder import AutoencoderObjective
from skae.core.corruptions import Gaussian, Masking, Noise, SaltAndPepper
from skae.core.penalties import Contraction
from skae.engines.threads import ThreadEngine

EVALUATIONS = 3  # timed together, after one that warms up


def objectives(X, n_components):
    """By name: the plain objective and its relatives."""
    low, high = X.min(axis=0), X.max(axis=0)
    masking = Noise(Masking(0.3), 0)
    variants = {
        "plain": {},
        "masking": {"noise": masking},
        "masking, emphasis": {"noise": masking, "emphasis": (1.0, 0.5)},
        "gaussian": {"noise": Noise(Gaussian(0.5), 0)},
        "salt_and_pepper": {"noise": Noise(SaltAndPepper(0.3, low, high), 0)},
        "contraction": {"terms": [Contraction(0.1, ACTIVATIONS["logistic"])]},
    }
    return {
        name: AutoencoderObjective(
            X.shape[1], n_components, alpha=1e-3, dtype=X.dtype, **terms
        )
        for name, terms in variants.items()
    }


def time_evaluations(objective, X, theta):
    """Milliseconds of an evaluation, on the clock and of the processor."""
    with ThreadEngine(objective, X) as engine:
        engine(theta)
        clock, processor = time.perf_counter(), time.process_time()
        for _ in range(EVALUATIONS):
            engine(theta)
        clock = time.perf_counter() - clock
        processor = time.process_time() - processor
    return 1e3 * clock / EVALUATIONS, 1e3 * processor / EVALUATIONS


def main():
    arguments = parse_arguments(__doc__, repeats=11)
    repeats = 3 if arguments.quick else arguments.repeats
    print_header("Denoising and contractive evaluations over plain ones")
    case = cases(arguments)["784-196"]
    table = Table(case.name, "dtype", "ms", "over plain", "CPU ms", "over plain")
    for dtype in DTYPES:
        X = case.rows(dtype)
        chosen = objectives(X, case.n_components)
        size = chosen["plain"].layout.size
        theta = np.random.default_rng(0).uniform(-0.08, 0.08, size).astype(X.dtype)
        times = in_turns(
            {
                name: partial(time_evaluations, objective, X, theta)
                for name, objective in chosen.items()
            },
            repeats,
        )
        plain = list(zip(*times["plain"], strict=True))
        for name in chosen:
            clock, processor = zip(*times[name], strict=True)
            ratio = median_ratio(clock, plain[0])
            table.row(
                name,
                dtype,
                median(clock),
                ratio,
                median(processor),
                median_ratio(processor, plain[1]),
            )


if __name__ == "__main__":
    main()
