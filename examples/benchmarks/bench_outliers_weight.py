"""Outliers: what ``distance_weight`` does to scores, and to the features they blame.

AUC with clean and contaminated training rows, on the sets on which the defaults were
chosen, and the shares of rows whose most blamed feature is the one with a planted
fault. Both as in ``bench_outliers.py``, which describes them. Means over ``--seeds``
draws of each set.
"""

import argparse

import numpy as np
from _common import blas_threads, print_header
from _outlier_data import CHOSEN_ON, clean, contaminated, planted
from sklearn.metrics import roc_auc_score

from skae import ReconstructionOutlierDetector

WEIGHTS = (0, 0.5, 1, 2, 3, 5, 10)
SIZES = (2, 3, 6)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="two small sets")
    arguments = parser.parse_args()
    arguments.sets = CHOSEN_ON
    if arguments.quick:
        arguments.seeds, arguments.sets = 1, ["wine", "glass6"]
    return arguments


def aucs(draw, name, seed):
    """For each weight."""
    train, test, is_out = draw(name, seed, 1000)
    detector = ReconstructionOutlierDetector(random_state=seed).fit(train)
    found = []
    for weight in WEIGHTS:
        detector.distance_weight = weight  # which only scoring uses
        found.append(roc_auc_score(is_out, -detector.score_samples(test)))
    return found


def shares(name, seed):
    """For each weight and size of a fault, or None."""
    detector, found = None, np.empty((len(WEIGHTS), len(SIZES)))
    for column, size in enumerate(SIZES):
        given = planted(name, seed, 400, size)
        if given is None:
            return None
        train, rows, where = given
        if detector is None:
            detector = ReconstructionOutlierDetector(random_state=seed).fit(train)
        for row, weight in enumerate(WEIGHTS):
            detector.distance_weight = weight
            blamed = detector.feature_scores(rows).argmax(axis=1)
            found[row, column] = (blamed == where).mean()
    return found


def main():
    arguments = parse_arguments()
    pairs = [(name, seed) for seed in range(arguments.seeds) for name in arguments.sets]
    columns = [np.mean([aucs(d, *p) for p in pairs], 0) for d in (clean, contaminated)]
    blamed = [found for p in pairs if (found := shares(*p)) is not None]
    print_header("Outliers: weight of the distance from the median")
    print(f"{arguments.seeds} draws of each of {len(arguments.sets)} sets\n")
    print(f"{'':<18}{'AUC':>18}{'planted feature is blamed':>30}")
    heads = "".join(f"{f'{size} std':>8}" for size in SIZES)
    print(f"{'distance_weight':<18}{'clean':>8}{'contaminated':>14}{heads:>26}")
    for row, weight in enumerate(WEIGHTS):
        rates = "".join(f"{rate:8.3f}" for rate in np.mean(blamed, axis=0)[row])
        auc = f"{columns[0][row]:8.3f}{columns[1][row]:14.3f}"
        print(f"{weight:<18}{auc}  {rates}")


if __name__ == "__main__":
    with blas_threads(1):  # small products all of them
        main()
