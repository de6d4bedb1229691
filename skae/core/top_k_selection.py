"""Which codes of a TopK autoencoder are kept: of each row, or of a batch of rows.

A selection returns flat indices into the (rows, n_components) pre-activations P, in
ascending order, of entries above zero. Among equal entries those that come first are
kept, so that ties are settled the same way everywhere.
"""

from __future__ import annotations

from math import ceil
from typing import Protocol

import numpy as np

# Below the last batch's threshold so far the search for the next one begins.
_SLACK = 0.9
# Of each row, the largest entries of groups bound the search, if groups are not small.
_GROUPS_PER_CODE, _LEAST_GROUP = 2, 4


class Selection(Protocol):
    """Chooses codes."""

    @property
    def at_first(self) -> Selection:
        """What is best kept while the units are still raw."""

    def of_batch(
        self, P: np.ndarray, weights: np.ndarray | None, threshold: float
    ) -> np.ndarray:
        """Those of a batch in training; ``threshold`` is where they were before."""

    def of_rows(self, P: np.ndarray, threshold: float) -> np.ndarray:
        """Those of rows that know nothing of each other."""


class RowSelection:
    """The k largest of each row, as orthogonal matching pursuit keeps k.

    Parameters
    ----------
    k : int
        From 1 to n_components.
    """

    def __init__(self, k: int) -> None:
        self.k = k

    @property
    def at_first(self) -> Selection:
        """Itself."""
        return self

    def of_batch(
        self, P: np.ndarray, weights: np.ndarray | None, threshold: float
    ) -> np.ndarray:
        """Those of each row, whatever it weighs."""
        return self.of_rows(P, threshold)

    def of_rows(self, P: np.ndarray, threshold: float) -> np.ndarray:
        """Those of each row; it has no use for a threshold."""
        rows, units = P.shape
        # The k-th largest of the largest of groups is no larger than that of all.
        groups = _GROUPS_PER_CODE * self.k
        width = units // groups
        if width < _LEAST_GROUP:
            largest = P
        else:
            largest = P[:, : width * groups].reshape(rows, width, groups).max(axis=1)
        place = largest.shape[1] - self.k
        least = np.partition(largest, place, axis=1)[:, place, np.newaxis]
        candidates = places(P >= np.maximum(least, np.nextafter(P.dtype.type(0), 1)))
        ends = np.searchsorted(candidates, np.arange(rows + 1) * units)
        counts = np.diff(ends)
        if counts.max(initial=0) <= self.k:
            return candidates
        # Those of each row, side by side.
        there = np.arange(counts.max()) < counts[:, np.newaxis]
        table = np.full(there.shape, -np.inf, P.dtype)
        table[there] = values = P.ravel()[candidates]
        place = table.shape[1] - self.k
        least = np.partition(table, place, axis=1)[:, place]
        kept = values >= np.repeat(least, counts)
        excess = np.count_nonzero(table >= least[:, np.newaxis], axis=1) - self.k
        for row in np.flatnonzero((excess > 0) & (counts > self.k)):
            start = ends[row]
            ties = np.flatnonzero(values[start : ends[row + 1]] == least[row])
            kept[start + ties[len(ties) - excess[row] :]] = False
        return candidates[kept]


class BatchSelection:
    """The k m largest of m rows, so that rows have k on average.

    Of rows that know nothing of each other, all above a threshold [1]_.

    Parameters
    ----------
    k : float
        Above 0, and n_components at most.

    References
    ----------
    .. [1] B. Bussmann, P. Leask and N. Nanda, "BatchTopK sparse autoencoders", 2024,
       arXiv:2412.06410.
    """

    def __init__(self, k: float) -> None:
        self.k = k

    @property
    def at_first(self) -> Selection:
        """As many of each row: a few loud units would take all there is at first."""
        return RowSelection(ceil(self.k))

    def of_batch(
        self, P: np.ndarray, weights: np.ndarray | None, threshold: float
    ) -> np.ndarray:
        """As many as weigh k times what the rows weigh together."""
        flat = P.ravel()
        if weights is not None:
            return self._of_weighted(flat, weights, P.shape[1])
        n_kept = max(1, round(self.k * len(P)))
        candidates = places(flat > max(0.0, _SLACK * threshold))
        if threshold > 0 and len(candidates) < n_kept:
            candidates = places(flat > 0)
        if len(candidates) <= n_kept:
            return candidates
        values = flat[candidates]
        place = len(values) - n_kept
        least = np.partition(values, place)[place]
        kept = values > least
        ties = np.flatnonzero(values == least)
        kept[ties[: n_kept - np.count_nonzero(kept)]] = True
        return candidates[kept]

    def _of_weighted(
        self, flat: np.ndarray, weights: np.ndarray, units: int
    ) -> np.ndarray:
        candidates = np.flatnonzero(flat > 0)
        order = np.argsort(-flat[candidates], kind="stable")
        weighed = np.cumsum(weights[candidates[order] // units], dtype=np.float64)
        most = self.k * float(weights.sum(dtype=np.float64))
        # Sums of weights are rounded: equal rows must not differ by it.
        n_kept = int(np.searchsorted(weighed, most * (1 + 1e-9), side="right"))
        return np.sort(candidates[order[: max(1, n_kept)]])

    def of_rows(self, P: np.ndarray, threshold: float) -> np.ndarray:
        """All above the threshold."""
        return places(P > max(0.0, threshold))


def places(mask: np.ndarray) -> np.ndarray:
    """Flat indices of what is true, ascending: faster where little is."""
    flat = mask.ravel()
    head = len(flat) // 8 * 8
    # Eight at a time, most of which are all false.
    words = flat[:head].view(np.uint64)
    there = np.flatnonzero(words != 0)
    within = np.flatnonzero(words[there].view(bool))
    found = there[within >> 3] * 8 + (within & 7)
    tail = head + np.flatnonzero(flat[head:])
    return np.concatenate([found, tail]) if len(tail) else found


SELECTIONS = {"batch": BatchSelection, "row": RowSelection}
