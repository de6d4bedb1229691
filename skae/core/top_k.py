"""The TopK autoencoder: loss and gradient of a batch whose codes are few non-zeros.

In the notation of the user guide, with n units and rows x of d features,

    h = ReLU(top-k(W (x − c) + b)),        x̂ = Dᵀ h + c,        ‖D_j‖ = 1.

The codes that are kept, the *support*, are given by flat indices into the (rows, n)
matrix of pre-activations; all that follows takes them alone. Products of such codes are
those of a sparse matrix of SciPy's, which the core never imports: whoever makes the
objective hands over the class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from skae.core.layers import Layers
from skae.core.layout import Layout
from skae.core.top_k_selection import Selection

# A multiplication of one code by one atom against one of a dense product, in time.
_DEARER = 5
# Numbers of a matrix so small that a sparse one takes longer to make.
_SMALL = 2**15
# Which stay in cache.
_ATOMS_AT_A_TIME = 256


@dataclass
class Evaluated:
    """A batch at θ."""

    loss: float
    gradient: np.ndarray  # (size,), overwritten by the next evaluation
    terms: dict[str, float]
    fired: np.ndarray  # bool, (n_components,): units with a code that is not zero
    least: float | None  # the smallest code kept; None where there is none


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
        self.values, self.shape, self._matrix = values, shape, matrix
        ends = np.searchsorted(support, np.arange(rows + 1) * units)
        self.indptr = ends.astype(np.int32)
        in_row = np.repeat(np.arange(rows) * units, np.diff(ends))
        self.columns = (support - in_row).astype(np.int32)

    @property
    def is_dense(self) -> bool:
        """Whether products of dense matrices are faster."""
        size = self.shape[0] * self.shape[1]
        return size < max(_SMALL, _DEARER * len(self.values))

    def sparse(self, values: np.ndarray) -> Any:
        """A sparse matrix with such values at the places of the codes."""
        return self._matrix((values, self.columns, self.indptr), shape=self.shape)

    def with_values(self, values: np.ndarray) -> Any:
        """The same, dense where that is faster."""
        if not self.is_dense:
            return self.sparse(values)
        out = np.zeros(self.shape, values.dtype)
        out[self._rows, self.columns] = values
        return out

    def transposed(self, values: np.ndarray) -> Any:
        """The transpose of that, by rows: each row of a product is summed in cache."""
        transposed = self.with_values(values).T
        return transposed if self.is_dense else transposed.tocsr()

    def within(self, first: int, last: int) -> tuple[np.ndarray, Codes]:
        """Which codes are of the units first … last − 1, and these codes alone."""
        chosen = (self.columns >= first) & (self.columns < last)
        part = object.__new__(Codes)
        part.values, part._matrix = self.values[chosen], self._matrix
        part.shape = self.shape[0], last - first
        part.columns = self.columns[chosen] - np.int32(first)
        counted = np.concatenate([[0], np.cumsum(chosen)])
        part.indptr = counted[self.indptr].astype(np.int32)
        return chosen, part

    def dot(self, E: np.ndarray, D: np.ndarray) -> np.ndarray:
        """⟨E_i, D_j⟩ at the places (i, j) of the codes.

        Row by row, with the few atoms of the row gathered in a cache; where the codes
        are not few, all products at once are faster.
        """
        if self.is_dense:
            return (E @ D.T)[self._rows, self.columns]
        out = np.empty(len(self.values), E.dtype)
        most = int(self.counts.max(initial=0))
        atoms = np.empty((most, D.shape[1]), D.dtype)
        for i, (start, stop) in enumerate(pairwise(self.indptr.tolist())):
            columns = self.columns[start:stop]
            # mode="clip" writes to out directly; the indices are always valid.
            few = np.take(D, columns, axis=0, out=atoms[: stop - start], mode="clip")
            np.matmul(few, E[i], out=out[start:stop])
        return out

    @property
    def _rows(self) -> np.ndarray:
        return np.repeat(np.arange(self.shape[0]), self.counts)

    @property
    def counts(self) -> np.ndarray:
        """Non-zeros of each row."""
        return np.diff(self.indptr)


class TopKObjective:
    """Loss and gradient of a batch.

    With weights s_i of the rows that add up to about S, nested prefixes of p_1 < … <
    p_G = n units, and x̂ᵖ what the first p units reconstruct, c included, the loss is::

        (1/G) Σ_p Σ_i s_i ‖x̂ᵖ_i − x_i‖² / S
            + α v Σ_i s_i ‖ê_i − e_i‖² / Σ_i s_i ‖e_i − ē‖².

    The last term revives dead units [1]_: e = x − x̂ of all units counts as data, and ê
    = Dᵀ h_dead is what the ``n_auxiliary`` most active *dead* units of each row make
    of it. α is the weight, v the variance of the data, so that the loss is in squared
    units of x. The gradient is that at a fixed support; of D, only its part across
    each atom, which keeps the length of the atoms.

    Parameters
    ----------
    n_features, n_components : int
        d and n.
    selection : Selection
        Which codes are kept.
    prefixes : sequence of int
        p_1 < … < p_G = n [2]_; (n,) is the plain loss.
    dtype : dtype
        float32 or float64.
    matrix : type
        SciPy's ``csr_array``.
    auxiliary_weight : float
        α.
    dead_after : int
        A unit is dead when it was silent for more rows on end.
    unit : float
        v.

    References
    ----------
    .. [1] L. Gao et al., "Scaling and evaluating sparse autoencoders", 2024,
       arXiv:2406.04093, appendix A.2.
    .. [2] B. Bussmann, N. Nabeshima, A. Karvonen and N. Nanda, "Learning multi-level
       features with Matryoshka sparse autoencoders", ICML 2025, arXiv:2503.17547.
    """

    n_statistics = 0

    def __init__(
        self,
        n_features: int,
        n_components: int,
        *,
        selection: Selection,
        prefixes: Sequence[int],
        dtype: Any,
        matrix: Callable[..., Any],
        auxiliary_weight: float,
        dead_after: int,
        unit: float,
    ) -> None:
        self.n_features, self.n_components = n_features, n_components
        self.selection, self.prefixes = selection, tuple(prefixes)
        self.dtype, self.matrix = np.dtype(dtype), matrix
        self.auxiliary_weight, self.unit = auxiliary_weight, unit
        self.dead_after = dead_after
        self.n_auxiliary = -(-n_features // 2)
        n, d = n_components, n_features
        self.layout = Layout(W=(n, d), b=(n,), D=(n, d), c=(d,), threshold=(1,))
        self._gradient = np.zeros(self.layout.size, self.dtype)

    def start(
        self,
        random_state: np.random.RandomState,
        mean: np.ndarray,
        A: np.ndarray,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """θ: atoms in random directions, W in proportion to D.

        Parameters
        ----------
        random_state : RandomState
            Draws the directions.
        mean : ndarray of shape (n_features,)
            c.
        A : ndarray of shape (rows, n_features)
            Some rows less c. Of all W that are a multiple of D, theirs is
            reconstructed best.
        weights : ndarray of shape (rows,), optional
            Of these rows.

        Returns
        -------
        theta : ndarray of shape (size,)
        """
        theta = np.zeros(self.layout.size, self.dtype)
        at = self.layout.views(theta)
        atoms = random_state.standard_normal((self.n_components, self.n_features))
        atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
        at.D[:] = atoms
        at.c[:] = mean
        P = A @ at.D.T
        support = self.selection.of_batch(P, weights, 0.0)
        codes = Codes(support, P.ravel()[support], P.shape, self.matrix)
        guess = codes.with_values(codes.values) @ at.D
        s = 1.0 if weights is None else weights[:, np.newaxis]
        squares = float(np.vdot(guess * s, guess))
        factor = float(np.vdot(guess * s, A)) / squares if squares else 1.0
        at.W[:] = at.D * (factor if factor > 0 else 1.0)
        return theta

    def normalise(self, theta: np.ndarray) -> np.ndarray:
        """Give each atom the length one, in place; returns θ."""
        D = self.layout.views(theta).D
        lengths = np.sqrt(np.vecdot(D, D))
        lengths[lengths == 0] = 1
        D /= lengths[:, np.newaxis]
        return theta

    def evaluate(
        self,
        theta: np.ndarray,
        X: np.ndarray,
        weights: np.ndarray | None,
        weight_sum: float,
        dead: np.ndarray,
        selection: Selection | None = None,
    ) -> Evaluated:
        """Loss and gradient of a batch.

        Parameters
        ----------
        theta : ndarray of shape (size,)
            Its ``threshold`` only says where to look for the codes that are kept.
        X : ndarray of shape (rows, n_features)
        weights : ndarray of shape (rows,) or None
            s.
        weight_sum : float
            S.
        dead : ndarray of int
            Units that are to be revived.
        selection : Selection, optional
            In place of the objective's own.

        Returns
        -------
        Evaluated
        """
        at, slope = self.layout.views(theta), self.layout.views(self._gradient)
        A = X - at.c
        P = A @ at.W.T
        P += at.b
        selection = selection or self.selection
        support = selection.of_batch(P, weights, float(at.threshold[0]))
        codes = Codes(support, P.ravel()[support], P.shape, self.matrix)
        s = 1.0 if weights is None else weights[:, np.newaxis]

        errors, E = self._decode(at, slope, codes, A, s, weight_sum)
        auxiliary = 0.0
        if len(dead) and self.auxiliary_weight:
            auxiliary = self._revive(at, slope, P[:, dead], dead, A, E, s)
        # The encoder sees x − c.
        slope.c -= slope.b @ at.W
        _take_parallel_part(slope.D, at.D)
        fired = np.zeros(self.n_components, bool)
        fired[codes.columns[codes.values > 0]] = True
        return Evaluated(
            errors + auxiliary,
            self._gradient,
            {"errors": errors, "auxiliary": auxiliary},
            fired,
            float(codes.values.min()) if len(codes.values) else None,
        )

    def _decode(
        self, at: Any, slope: Any, codes: Codes, A: np.ndarray, s: Any, S: float
    ) -> tuple[float, np.ndarray]:
        """Loss of the reconstructions and its gradient, and x̂ − x of all units."""
        starts = (0, *self.prefixes[:-1])
        parts = [codes.within(*p) for p in zip(starts, self.prefixes, strict=True)]
        loss, E, slopes = 0.0, -A, []
        for (_, part), (first, last) in zip(
            parts, zip(starts, self.prefixes, strict=True), strict=True
        ):
            E = E + part.with_values(part.values) @ at.D[first:last]
            weighted = E * s
            loss += float(np.vdot(weighted, E))
            weighted *= 2 / (len(parts) * S)
            slopes.append(weighted)
        # A unit is part of every reconstruction from its own prefix on.
        for inner, outer in zip(slopes[-2::-1], slopes[:0:-1], strict=True):
            inner += outer
        delta = np.empty_like(codes.values)
        for (chosen, part), (first, last), back in zip(
            parts, zip(starts, self.prefixes, strict=True), slopes, strict=True
        ):
            slope.D[first:last] = part.transposed(part.values) @ back
            delta[chosen] = part.dot(back, at.D[first:last])
        slope.W[:] = codes.transposed(delta) @ A
        slope.b[:] = np.bincount(codes.columns, delta, self.n_components)
        slope.c[:] = slopes[0].sum(axis=0)
        return loss / (len(parts) * S), E

    def _revive(
        self,
        at: Any,
        slope: Any,
        U: np.ndarray,
        dead: np.ndarray,
        A: np.ndarray,
        E: np.ndarray,
        s: Any,
    ) -> float:
        """Loss of what dead units, of pre-activations U, make of −E; adds its slope."""
        weights = np.broadcast_to(s, (len(E), 1))[:, 0]
        # Negative all the same: the mean of what is to be explained.
        mean = weights @ E / weights.sum()
        variance = float(weights @ np.square(E - mean).sum(axis=1))
        if not variance:
            return 0.0
        n_units = U.shape[1]
        if n_units > self.n_auxiliary:
            place = n_units - self.n_auxiliary
            least = np.partition(U, place, axis=1)[:, place]
            U[least[:, np.newaxis] > U] = 0
        np.maximum(U, 0, out=U)
        D = at.D[dead]
        R = U @ D
        R += E
        factor = self.auxiliary_weight * self.unit / variance
        weighted = R * s
        value = factor * float(np.vdot(weighted, R))
        weighted *= 2 * factor
        slope.D[dead] += U.T @ weighted
        delta = weighted @ D.T
        delta[U == 0] = 0
        slope.W[dead] += delta.T @ A
        slope.b[dead] += delta.sum(axis=0)
        return value


def _take_parallel_part(slope: np.ndarray, D: np.ndarray) -> None:
    """Leave of each row of the slope what is orthogonal to the atom, in place."""
    for start in range(0, len(D), _ATOMS_AT_A_TIME):
        part, atoms = (a[start : start + _ATOMS_AT_A_TIME] for a in (slope, D))
        part -= np.vecdot(part, atoms)[:, np.newaxis] * atoms


class TopKLayers(Layers):
    """The layer of a TopK encoder, with what its activation takes.

    Parameters
    ----------
    center : ndarray of shape (n_features,)
        c, which is taken from rows before.
    selection : Selection
        Which codes are kept.
    threshold : float
        Of codes, for selections that have one.
    *layer : object
        Those of ``Layers``.
    """

    def __init__(
        self, center: np.ndarray, selection: Selection, threshold: float, *layer: Any
    ) -> None:
        super().__init__(*layer)
        self.center, self.selection, self.threshold = center, selection, threshold


class SparseEncoder:
    """From blocks of rows to codes, and on to errors: what a fitted TopK encoder is.

    A block has ``n_rows`` rows, and is padded where there are fewer: a matrix product
    may round a row otherwise among more or fewer of them, and a code near the threshold
    would come and go with its company.

    Parameters
    ----------
    W, b, D, c : ndarray
        The weights, (n_components, n_features), and biases.
    selection : Selection
        Which codes are kept.
    threshold : float
        Of codes, for selections that have one.
    dtype : dtype
        Of rows and codes.
    matrix : type
        SciPy's ``csr_array``, or what is like it.
    """

    n_rows = 128

    def __init__(
        self,
        W: np.ndarray,
        b: np.ndarray,
        D: np.ndarray,
        c: np.ndarray,
        selection: Selection,
        threshold: float,
        dtype: Any,
        matrix: Callable[..., Any],
    ) -> None:
        self.dtype = np.dtype(dtype)
        self._W, self._b, self._D, self._c = (
            array.astype(self.dtype, copy=False) for array in (W, b, D, c)
        )
        self._selection, self._threshold = selection, threshold
        self._matrix = matrix

    @property
    def multiplications_per_row(self) -> float:
        """Of the matrix product."""
        return float(self._W.size)

    def as_layers(self) -> tuple[TopKLayers, Layers]:
        """Encoder and decoder in the form of other networks."""
        rest = ["identity"], self.dtype
        kept = self._c, self._selection, self._threshold
        below = TopKLayers(*kept, [self._W], [self._b], *rest)
        return below, Layers([self._D.T], [self._c], *rest)

    def codes(self, X: np.ndarray) -> Codes:
        """Codes of up to ``n_rows`` rows."""
        A = np.zeros((self.n_rows, X.shape[1]), self.dtype)
        np.subtract(X, self._c, out=A[: len(X)])
        P = A @ self._W.T
        P += self._b
        P = P[: len(X)]
        support = self._selection.of_rows(P, self._threshold)
        return Codes(support, P.ravel()[support], P.shape, self._matrix)

    def decode(self, codes: Any) -> np.ndarray:
        """Reconstructions of codes, a sparse or dense matrix."""
        reconstructed: np.ndarray = codes @ self._D
        reconstructed += self._c
        return reconstructed

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        """Reconstructions of up to ``n_rows`` rows."""
        codes = self.codes(X)
        return self.decode(codes.sparse(codes.values))

    def squared_errors(self, X: np.ndarray) -> np.ndarray:
        """‖x̂ − x‖² of up to ``n_rows`` rows, in float64."""
        E = self.reconstruct(X).astype(np.float64)
        E -= X
        return np.vecdot(E, E)
