"""Terms of an autoencoder's loss: what they are handed, and what they may add to.

A term is a mean over rows, as the data's loss is, or a function of the *mean code* of
all rows. The objective knows no term by name: it hands each of them the forward pass
of a block of rows, and in turn the parts of the gradient as back-propagation comes to
them. A term overrides those methods where it has a derivative; see
``skae.core.protocols.Term`` for what each is to add and return.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Forward:
    """What the rows of a block have come to, on their way through an autoencoder.

    Attributes
    ----------
    parameters : AutoencoderParameters
        Where: W as ``encoder``, b as ``hidden``, D above c as ``decoder``.
    inputs : ndarray or SparseRows of shape (rows, n_features)
        What was encoded: the rows, corrupted and centred if they are to be.
    columns : ndarray of shape (n_components + 1, rows)
        Codes above a row of ones.
    weights : ndarray of shape (rows,) or None
        s.
    targets : ndarray or SparseRows of shape (rows, n_features)
        What x̂ is compared with. An ndarray if ``reconstruction`` is there.
    corrupted : ndarray of bool or None
        Which entries of ``inputs`` are, where the corruption knows.
    scratch : ndarray of shape (n_components, rows)
        Room to work, until the method returns.
    reconstruction : ndarray of shape (rows, n_features) or None
        x̂, if a term needs it.
    notes : dict
        What a term leaves for the methods that follow, by the term itself.
    totals : dict of str to float
        Σ s_i of every term of the loss, by name.
    """

    parameters: Any
    inputs: Any
    columns: np.ndarray
    weights: np.ndarray | None
    targets: Any
    corrupted: np.ndarray | None = None
    scratch: Any = None
    reconstruction: np.ndarray | None = None
    notes: dict[Any, Any] = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)

    @property
    def codes(self) -> np.ndarray:
        """H, (n_components, rows)."""
        return self.columns[:-1]

    @property
    def residual(self) -> np.ndarray:
        """x̂ − x, (rows, n_features), a new array; for a term that needs x̂."""
        assert self.reconstruction is not None, "needs_reconstruction says who needs it"
        return self.reconstruction - self.targets


class BaseTerm:
    """A term that adds nothing: a mean over rows overrides what it adds to."""

    name = "penalty"
    of_mean = False
    needs_reconstruction = False

    def add_to_reconstruction(self, forward: Forward, slope: np.ndarray) -> float:
        """Add ∂/∂x̂."""
        return 0.0

    def add_to_codes(self, forward: Forward, delta: np.ndarray) -> float:
        """Add ∂/∂H."""
        return 0.0

    def add_to_preactivations(self, forward: Forward, epsilon: np.ndarray) -> float:
        """Add ∂/∂Z."""
        return 0.0

    def add_to_parameters(self, forward: Forward, gradient: Any) -> float:
        """Add what the gradient has beside."""
        return 0.0


class MeanTerm(BaseTerm):
    """A function of the mean code of all rows, which an engine gathers first."""

    of_mean = True

    @property
    def target(self) -> float:
        """The mean code to aim at, where hidden units start."""
        raise NotImplementedError

    def value(self, mean: np.ndarray) -> float:
        """Of the mean code ``mean``, float64 of shape (n_components,)."""
        raise NotImplementedError

    def slope(self, mean: np.ndarray) -> np.ndarray:
        """Derivative of ``value`` by the mean code, (n_components,).

        It is that by each unit's code in any row, but for the weight of the row.
        """
        raise NotImplementedError
