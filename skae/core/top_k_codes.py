"""Codes of a batch by their non-zeros, and the products that training takes of them.

Sparse products are those of a matrix of SciPy's, which the core never imports: whoever
makes the codes hands over the class.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from skae.core.protocols import CodeProducts

# Nanoseconds on one core of a server of today. By dense matrices: of an entry of the
# matrix of codes, of each multiplication of the four products. By non-zeros: of a row,
# of a code, of each multiplication of a code by a number of an atom, of all the rest.
_ENTRY, _DENSE = 5.0, 0.06
_ROW, _CODE, _SPARSE, _REST = 4000.0, 10.0, 0.8, 2e5
# Whose atoms and gradients stay in cache.
UNITS_AT_A_TIME = 256


class Codes:
    """Codes of a batch by their non-zeros.

    Parameters
    ----------
    support : ndarray of int
        Flat indices into (rows, n_components), ascending.
    values : ndarray
        The codes there.
    shape : tuple of int
        (rows, n_components).
    matrix : type
        Of SciPy's ``csr_array``, or like it.
    """

    def __init__(
        self,
        support: np.ndarray,
        values: np.ndarray,
        shape: tuple[int, int],
        matrix: Callable[..., Any],
    ) -> None:
        rows, units = shape
        self.support, self.values, self.shape = support, values, shape
        self.matrix = matrix
        ends = np.searchsorted(support, np.arange(rows + 1) * units)
        self.indptr = ends.astype(np.int32)
        in_row = np.repeat(np.arange(rows) * units, np.diff(ends))
        self.columns = (support - in_row).astype(np.int32)

    def sparse(self, values: np.ndarray) -> Any:
        """A sparse matrix with such values at the places of the codes."""
        return self.matrix((values, self.columns, self.indptr), shape=self.shape)

    @property
    def counts(self) -> np.ndarray:
        """Non-zeros of each row."""
        return np.diff(self.indptr)


def products_of(
    codes: Codes, prefixes: tuple[int, ...], n_features: int
) -> CodeProducts:
    """What takes the products of codes in less time, by what their numbers tell.

    They alone decide, so that the same rows always give the same bits.
    """
    rows, units = codes.shape
    n_codes = len(codes.values)
    dense = rows * units * (_ENTRY + _DENSE * n_features)
    sparse = _REST + _ROW * rows + n_codes * (_CODE + _SPARSE * n_features)
    return (DenseProducts if dense < sparse else SparseProducts)(codes, prefixes)


class SparseProducts:
    """``CodeProducts`` that take non-zeros alone.

    Parameters
    ----------
    codes : Codes
    prefixes : tuple of int
        p_1 < … < p_G, the last of which is the number of units.
    """

    def __init__(self, codes: Codes, prefixes: tuple[int, ...]) -> None:
        self._codes, self._n_groups = codes, len(prefixes)
        # Units belong to the first prefix that contains them.
        groups = np.searchsorted(prefixes, codes.columns, side="right")
        self._groups = groups.astype(np.intp)

    def residuals(self, D: np.ndarray, A: np.ndarray) -> np.ndarray:
        """See ``CodeProducts``."""
        codes, n_groups = self._codes, self._n_groups
        left = np.arange(n_groups, 0, -1, dtype=D.dtype)
        # A unit of group h is in so many of the reconstructions of R_g.
        often = np.minimum(left, left[:, np.newaxis])
        H = codes.values[:, np.newaxis] * often[self._groups]
        R = np.empty((len(A), n_groups, D.shape[1]), D.dtype)
        subtracted = left[:, np.newaxis] * A[:, np.newaxis]
        delta = np.empty((len(H), n_groups), D.dtype)
        columns = codes.columns.astype(np.intp)
        # Row by row, with its few atoms gathered in a cache.
        buffer = np.empty((int(codes.counts.max(initial=0)), D.shape[1]), D.dtype)
        for i, (start, stop) in enumerate(pairwise(codes.indptr.tolist())):
            atoms, row = buffer[: stop - start], R[i]
            # mode="clip" writes to out directly; the indices are always valid.
            D.take(columns[start:stop], 0, atoms, "clip")
            np.dot(H[start:stop].T, atoms, row)
            np.subtract(row, subtracted[i], row)
            np.dot(atoms, row.T, delta[start:stop])
        chosen = self._groups[:, np.newaxis]
        self._delta = np.take_along_axis(delta, chosen, axis=1)[:, 0]
        return R

    def backward(
        self,
        R: np.ndarray,
        s: np.ndarray,
        D: np.ndarray,
        A: np.ndarray,
        slope_D: np.ndarray,
        slope_W: np.ndarray,
    ) -> np.ndarray:
        """See ``CodeProducts``."""
        codes = self._codes
        rows, units = codes.shape
        delta = self._delta * np.repeat(s, codes.counts)
        along = np.bincount(codes.columns, delta * codes.values, units).astype(D.dtype)
        # The codes' order by units, from numbers in their order by rows.
        by_unit = codes.sparse(np.arange(len(delta), dtype=np.int32)).T.tocsr()
        order, where, indptr = by_unit.data, by_unit.indices, by_unit.indptr
        places = where
        if self._n_groups > 1:
            places = where * self._n_groups + self._groups[order]
        by_unit = codes.values[order], places, indptr
        shape = units, rows * self._n_groups
        slope_D[:] = codes.matrix(by_unit, shape=shape) @ R.reshape(-1, R.shape[2])
        take_parallel_part(slope_D, D, along)
        by_unit = delta[order], where, indptr
        slope_W[:] = codes.matrix(by_unit, shape=(units, rows)) @ A
        return np.bincount(codes.columns, delta, units)


class DenseProducts:
    """The same by dense matrices, which are faster where there is little to leave out.

    Parameters
    ----------
    codes : Codes
    prefixes : tuple of int
    """

    def __init__(self, codes: Codes, prefixes: tuple[int, ...]) -> None:
        self._spans = [slice(*span) for span in pairwise((0, *prefixes))]
        self._H = np.zeros(codes.shape, codes.values.dtype)
        self._H.ravel()[codes.support] = codes.values
        self._kept = np.zeros(codes.shape, bool)
        self._kept.ravel()[codes.support] = True

    def residuals(self, D: np.ndarray, A: np.ndarray) -> np.ndarray:
        """See ``CodeProducts``."""
        R = np.empty((len(A), len(self._spans), D.shape[1]), D.dtype)
        before = -A
        for g, units in enumerate(self._spans):
            before = R[:, g] = self._H[:, units] @ D[units] + before
        for g in range(len(self._spans) - 2, -1, -1):
            R[:, g] += R[:, g + 1]
        return R

    def backward(
        self,
        R: np.ndarray,
        s: np.ndarray,
        D: np.ndarray,
        A: np.ndarray,
        slope_D: np.ndarray,
        slope_W: np.ndarray,
    ) -> np.ndarray:
        """See ``CodeProducts``."""
        delta = np.empty_like(self._H)
        for g, units in enumerate(self._spans):
            np.matmul(self._H[:, units].T, R[:, g], out=slope_D[units])
            np.multiply(R[:, g] @ D[units].T, self._kept[:, units], out=delta[:, units])
        np.matmul(delta.T, A, out=slope_W)
        take_parallel_part(slope_D, D, np.vecdot(slope_D, D))
        slope_b: np.ndarray = delta.sum(axis=0)
        return slope_b


def take_parallel_part(slope: np.ndarray, D: np.ndarray, along: np.ndarray) -> None:
    """Leave of each row of the slope what is orthogonal to the atom, in place.

    ``along`` holds their products.
    """
    for start in range(0, len(D), UNITS_AT_A_TIME):
        few = slice(start, start + UNITS_AT_A_TIME)
        slope[few] -= along[few, np.newaxis] * D[few]
