"""Samples of rows that represent all of them, the same ones every time."""

from __future__ import annotations

import numpy as np

_SEED = 1789


def here_and_there(n_rows: int, size: int) -> np.ndarray:
    """Indices of ``size`` of so many rows, in order: one of each stretch, by lot.

    So rows that are sorted are met in proportion, rows that recur at equal distances
    do not all fall together, and nothing is drawn that a fit's ``random_state`` draws.
    """
    if size >= n_rows:
        return np.arange(n_rows)
    edges = np.arange(size + 1) * n_rows // size
    lots = np.random.RandomState(_SEED).uniform(size=size)
    index: np.ndarray = edges[:-1] + (lots * np.diff(edges)).astype(np.intp)
    return index
