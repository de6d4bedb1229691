"""The TopK autoencoder: loss and gradient of a batch whose codes are few non-zeros.

In the notation of the user guide, with n units and rows x of d features,

    h = ReLU(top-k(W (x − c) + b)),        x̂ = Dᵀ h + c,        ‖D_j‖ = 1.

The codes that are kept, the *support*, are given by flat indices into the (rows, n)
matrix of pre-activations; all that follows takes them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae.core.layers import Layers
from skae.core.layout import Layout
from skae.core.top_k_codes import (
    UNITS_AT_A_TIME,
    Codes,
    products_of,
    take_parallel_part,
)
from skae.core.top_k_selection import Selection


@dataclass
class Evaluated:
    """A batch at θ."""

    loss: float
    gradient: np.ndarray  # (size,), overwritten by the next evaluation
    terms: dict[str, float]
    fired: np.ndarray  # bool, (n_components,): units with a code that is not zero
    least: float | None  # the smallest code kept; None where there is none


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
        self._P = np.empty((0, n), self.dtype)

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
        products = products_of(codes, (self.n_components,), self.n_features)
        guess = products.residuals(at.D, np.zeros_like(A))[:, 0]
        s = 1.0 if weights is None else weights[:, np.newaxis]
        squares = float(np.vdot(guess * s, guess))
        factor = float(np.vdot(guess * s, A)) / squares if squares else 1.0
        at.W[:] = at.D * (factor if factor > 0 else 1.0)
        return theta

    def normalise(self, theta: np.ndarray) -> np.ndarray:
        """Give each atom the length one, in place; returns θ."""
        D = self.layout.views(theta).D
        for start in range(0, len(D), UNITS_AT_A_TIME):
            atoms = D[start : start + UNITS_AT_A_TIME]
            lengths = np.sqrt(np.vecdot(atoms, atoms))
            lengths[lengths == 0] = 1
            atoms *= (1 / lengths)[:, np.newaxis]
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
        if len(self._P) < len(A):  # pages are touched once only
            self._P = np.empty((len(A), self.n_components), self.dtype)
        P = np.matmul(A, at.W.T, out=self._P[: len(A)])
        P += at.b
        selection = selection or self.selection
        support = selection.of_batch(P, weights, float(at.threshold[0]))
        codes = Codes(support, P.ravel()[support], P.shape, self.matrix)
        s = np.ones(len(A)) if weights is None else weights
        s = s.astype(self.dtype)

        errors, E = self._decode(at, slope, codes, A, s, weight_sum)
        auxiliary = 0.0
        if len(dead) and self.auxiliary_weight:
            auxiliary = self._revive(at, slope, P[:, dead], dead, A, E, s)
        # The encoder sees x − c.
        slope.c -= slope.b @ at.W
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
        self, at: Any, slope: Any, codes: Codes, A: np.ndarray, s: np.ndarray, S: float
    ) -> tuple[float, np.ndarray]:
        """Loss of the reconstructions and its gradient, and x̂ − x of all units."""
        products = products_of(codes, self.prefixes, self.n_features)
        R = products.residuals(at.D, A)
        # Each of R holds the errors of one prefix and of all after it.
        errors = R
        if len(self.prefixes) > 1:
            errors = R.copy()
            errors[:, :-1] -= R[:, 1:]
        squares = np.vecdot(errors, errors).sum(axis=1)
        loss = float(np.vdot(s, squares)) / (len(self.prefixes) * S)
        s = s * np.asarray(2 / (len(self.prefixes) * S), self.dtype)
        back = R * s[:, np.newaxis, np.newaxis]
        slope.b[:] = products.backward(back, s, at.D, A, slope.D, slope.W)
        slope.c[:] = back[:, 0].sum(axis=0)
        return loss, R[:, -1]

    def _revive(
        self,
        at: Any,
        slope: Any,
        U: np.ndarray,
        dead: np.ndarray,
        A: np.ndarray,
        E: np.ndarray,
        s: np.ndarray,
    ) -> float:
        """Loss of what dead units, of pre-activations U, make of −E; adds its slope."""
        # Negative all the same: the mean of what is to be explained.
        mean = s @ E / s.sum()
        variance = float(s @ np.square(E - mean).sum(axis=1))
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
        weighted = R * s[:, np.newaxis]
        value = factor * float(np.vdot(weighted, R))
        weighted *= 2 * factor
        across = U.T @ weighted
        take_parallel_part(across, D, np.vecdot(across, D))
        slope.D[dead] += across
        delta = weighted @ D.T
        delta[U == 0] = 0
        slope.W[dead] += delta.T @ A
        slope.b[dead] += delta.sum(axis=0)
        return value


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
