"""Mean and variance of the codes over all rows, for ``code_scale_``.

They are computed block by block, and combined with those of earlier pieces in
``partial_fit``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np

from skae.core.arrays import ones, to_host
from skae.core.layers import Layers
from skae.engines.row_map import RowEngine
from skae.engines.threads import MULTIPLICATIONS_WORTH_THREADS
from skae.rows.data import LocalRows, Rows
from skae.rows.moments import total_weight
from skae.rows.protocols import Weights

# A unit with less than this of the typical spread counts as dead: a row that wakes it
# would otherwise have a code of some thousands.
_DEAD = 1e-3
# As many earlier rows count beside those of a new piece.
_ROWS_REMEMBERED = 1000


@dataclass(frozen=True)
class CodeMoments:
    """Column means and variances of codes.

    Parameters
    ----------
    total : float
        How much they weigh, beside those of other rows.
    mean, variance : ndarray of shape (n_components,)
        In float64.
    """

    total: float
    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, weights: np.ndarray | None) -> Self:
        """Of a block of codes, (rows, n_components), all of which weigh something."""
        deviations = codes.astype(np.float64)
        total = total_weight(len(codes), weights)
        if weights is None:
            weights = ones(len(codes), np.float64, codes)
        shares = weights.astype(np.float64) / total
        mean = shares @ deviations
        deviations -= mean
        np.square(deviations, out=deviations)
        return cls(total, to_host(mean), to_host(shares @ deviations))

    @classmethod
    def combined(cls, parts: Sequence[CodeMoments]) -> Self:
        """Of all rows, of those of parts of them.

        The squared distances between the parts' means come on top of the variances
        within the parts: no difference of large squares is taken.
        """
        totals = np.array([part.total for part in parts])
        shares = totals / totals.sum()
        means = np.array([part.mean for part in parts])
        mean = shares @ means
        between = shares @ (means - mean) ** 2
        within = shares @ np.array([part.variance for part in parts])
        return cls(float(totals.sum()), mean, within + between)

    def after(self, earlier: CodeMoments | None) -> CodeMoments:
        """Of rows of a new piece, and of up to a thousand before it."""
        if earlier is None:
            return self
        most = min(earlier.total, _ROWS_REMEMBERED)
        return self.combined([replace(earlier, total=most), self])

    def scale(self, dtype: np.dtype) -> np.ndarray:
        """Standard deviation of each unit, 1 for one that is dead, (n_components,)."""
        spread = np.sqrt(self.variance)
        rounding = 10 * np.finfo(dtype).eps * np.abs(self.mean)
        typical = np.sqrt(np.mean(self.variance))
        dead = spread <= np.maximum(rounding, _DEAD * typical)
        return np.where(dead, 1, spread).astype(dtype)


def code_moments(layers: Layers, rows: Rows, weights: Weights = None) -> CodeMoments:
    """Of the outputs of ``Layers`` for rows that count, wherever they lie."""
    return CodeMoments.combined(rows.reduced(partial(_of_local, layers), weights))


def _of_local(
    layers: Layers, rows: LocalRows, weights: np.ndarray | None
) -> CodeMoments:
    """Block by block, in threads where that is worth it."""
    encode, release = rows.layers(layers), rows.release()
    n_samples = len(rows)

    def of_block(b: slice) -> CodeMoments | None:
        X = read = rows[b]
        s = None if weights is None else weights[b]
        if s is not None and not s.all():
            there = s > 0  # rows that do not count may hold anything
            if not there.any():
                return None
            X, s = X[there], s[there]
        moments = CodeMoments.of(encode(X), s)
        release(read)
        return moments

    length = rows.rows_of_block(n_samples, encode.numbers_per_row)
    blocks = [slice(start, start + length) for start in range(0, n_samples, length)]
    multiplications = n_samples * encode.multiplications_per_row
    few = multiplications < MULTIPLICATIONS_WORTH_THREADS
    alone = few or not rows.in_threads
    with RowEngine(1 if alone else None) as engine:
        parts = [part for part in engine.map(of_block, blocks) if part is not None]
    return CodeMoments.combined(parts)
