"""Maps rows to sparse codes: CSR matrices, and sums over them.

``TopKAutoencoder`` uses it. A dense matrix of codes exists for one block at a time
only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from skae.core.top_k import SparseEncoder
from skae.core.top_k_codes import Codes
from skae.engines.row_map import RowEngine
from skae.engines.threads import MULTIPLICATIONS_WORTH_THREADS
from skae.rows.data import LocalRows

Computed = TypeVar("Computed")


def each_block(
    compute: Callable[[np.ndarray], Computed], encoder: SparseEncoder, rows: LocalRows
) -> Iterator[Computed]:
    """Yield ``compute(X)`` of every block X of rows, made dense if need be, in order.

    Blocks run in threads, and each has ``encoder.n_rows`` rows but the last.
    """
    n_samples, length = len(rows), encoder.n_rows
    release = rows.release()

    def of_block(block: slice) -> Computed:
        part = rows[block]
        X = part if isinstance(part, np.ndarray) else part.toarray()
        computed = compute(X)
        release(part)
        return computed

    blocks = [slice(start, start + length) for start in range(0, n_samples, length)]
    work = len(blocks) * length * encoder.multiplications_per_row
    with RowEngine(1 if work < MULTIPLICATIONS_WORTH_THREADS else None) as engine:
        yield from engine.map(of_block, blocks)


def sparse_codes(
    encoder: SparseEncoder, rows: LocalRows
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of all rows as (data, indices, indptr) of a CSR matrix."""
    values, columns, counts = [], [], [np.zeros(1, np.int64)]
    for codes in each_block(encoder.codes, encoder, rows):
        values.append(codes.values)
        columns.append(codes.columns)
        counts.append(codes.counts)
    indptr = np.cumsum(np.concatenate(counts))
    if indptr[-1] <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    return np.concatenate(values), np.concatenate(columns), indptr


def filled(
    compute: Callable[[np.ndarray], np.ndarray],
    encoder: SparseEncoder,
    rows: LocalRows,
    out: np.ndarray,
) -> np.ndarray:
    """``compute(X)``, an array, of every block X of rows, written to ``out``."""
    start = 0
    for part in each_block(compute, encoder, rows):
        out[start : start + len(part)] = part
        start += len(part)
    return out


def firing(
    encoder: SparseEncoder,
    rows: LocalRows,
    weights: np.ndarray | None,
    n_components: int,
) -> np.ndarray:
    """How often each unit has a code that is not zero, as a fraction of the rows.

    Rows of weight zero, which may hold anything, do not count.
    """
    s = np.ones(len(rows)) if weights is None else weights.astype(np.float64)
    counts, start = np.zeros(n_components), 0
    with np.errstate(over="ignore", invalid="ignore"):
        for codes in each_block(encoder.codes, encoder, rows):
            counts += _fired(codes, s[start : start + codes.shape[0]], n_components)
            start += codes.shape[0]
    return counts / s.sum()


def _fired(codes: Codes, s: np.ndarray, n_components: int) -> np.ndarray:
    there: Any = np.repeat(s, codes.counts)
    return np.bincount(codes.columns, there, n_components)
