"""Layers that map rows, dense or sparse, to activations: what a fitted network is."""

from collections.abc import Iterable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skae.core.activations import OUTPUTS

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from skae.core import protocols

    Layer = tuple[np.ndarray, np.ndarray, protocols.Output]  # W, b and f


class Layers:
    """Layers of a network, one after the other; maps blocks of rows.

    Parameters
    ----------
    coefs, intercepts : list of ndarray
        Weights, (units, inputs), and biases of each layer.
    activations : list of str
        Name in ``OUTPUTS`` of each layer's activation.
    dtype : dtype
        float32 or float64, of rows and outputs.
    """

    def __init__(
        self,
        coefs: Sequence[np.ndarray],
        intercepts: Sequence[np.ndarray],
        activations: Sequence[str],
        dtype: "DTypeLike",
    ):
        self.layers: list[Layer] = [
            (W.astype(dtype, copy=False), b.astype(dtype, copy=False), OUTPUTS[name])
            for W, b, name in zip(coefs, intercepts, activations, strict=True)
        ]
        self.dtype = np.dtype(dtype)

    @property
    def n_outputs(self) -> int:
        """Units of the last layer."""
        return len(self.layers[-1][1])

    @property
    def numbers_per_row(self) -> int:
        """Numbers that a row keeps in cache, which sets the size of the blocks."""
        return max(sum(W.shape) for W, _, _ in self.layers)

    @property
    def multiplications_per_row(self) -> float:
        """Of the matrix products."""
        return sum(W.size for W, _, _ in self.layers)

    def followed_by(self, layers: "Iterable[Layer]") -> Self:
        """These, and above them a list of entries of some ``layers``."""
        both = copy(self)
        both.layers = [*self.layers, *layers]
        return both

    def __call__(self, X: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Activations of the last layer for the rows X, written to ``out`` if given.

        Without layers that is X itself.
        """
        return _pass_through(self.layers, X, out)


def _pass_through(
    layers: "Sequence[Layer]", H: np.ndarray, out: np.ndarray | None
) -> np.ndarray:
    for index, (W, b, activation) in enumerate(layers, 1):
        H = np.matmul(H, W.T, out=out if index == len(layers) else None)
        H += b
        activation.apply(H)
    return H


class SparseLayers(Layers):
    """``Layers`` for blocks of sparse rows: the first weights multiply non-zeros.

    Parameters
    ----------
    layers : Layers
        At least one.
    entries_per_row : float
        Non-zeros of a row, on average.
    """

    def __init__(self, layers: Layers, entries_per_row: float):
        self.layers, self.dtype = layers.layers, layers.dtype
        # A product of SciPy's would copy it, block by block.
        self._by_feature = np.ascontiguousarray(self.layers[0][0].T)
        self._entries_per_row = entries_per_row

    @property
    def numbers_per_row(self) -> int:
        """Numbers that a row keeps in cache, which sets the size of the blocks."""
        return max(len(b) for _, b, _ in self.layers)

    @property
    def multiplications_per_row(self) -> float:
        """Of the products."""
        units, inputs = self.layers[0][0].shape
        fewer = (inputs - self._entries_per_row) * units
        return super().multiplications_per_row - fewer

    def __call__(self, X: Any, out: np.ndarray | None = None) -> np.ndarray:
        """As ``Layers``; X is anything that has a product with an array."""
        (_, b, activation), *above = self.layers
        H: np.ndarray = X @ self._by_feature
        H += b
        activation.apply(H)
        if above:
            return _pass_through(above, H, out)
        if out is None:
            return H
        out[:] = H
        return out
