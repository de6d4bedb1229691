"""The scale of the data: what training and every weight "scale" are relative to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae.core.network import NetworkObjective
from skae.core.protocols import Objective, TargetLoss
from skae.rows.data import Data
from skae.rows.moments import Moments
from skae.training.coordinates import Coordinates

# sparsity_weight="scale" is this fraction of the loss of the column means.
_SPARSITY = 0.2
# Of columns to a unit so many leave L1's weight as it is.
_COLUMNS = 20
# contraction_weight="scale" is this, in units in which loss and data are of order one.
_CONTRACTION = 0.1


@dataclass(frozen=True)
class Scale:
    """The scale of an autoencoder's data.

    Parameters
    ----------
    moments : Moments
        Of the rows.
    unit : float
        Loss of reconstructing every row by the column means; 1 where nothing varies.
    spread : float
        Root mean square deviation of an entry; 1 where nothing varies.
    """

    moments: Moments
    unit: float
    spread: float

    @classmethod
    def of(cls, moments: Moments, loss: TargetLoss, dtype: np.dtype) -> Scale:
        """Of rows with these moments, for one of ``LOSSES``."""
        if moments.no_variation(dtype):
            return cls(moments, 1.0, 1.0)
        unit = loss.at_mean(moments.mean, moments.variance)
        return cls(moments, unit, moments.spread)

    def coordinates(self, objective: Objective[Any]) -> Coordinates:
        """The solver's coordinates for an autoencoder of these data."""
        units = objective.units(self.moments.mean, self.spread)
        return Coordinates(objective, *units, self.unit)

    def alpha(self, l1_ratio: float) -> float:
        """alpha="scale": 1/(l1_ratio/a₁ + (1 − l1_ratio)/a₂).

        a₂ is ``_decay``, for squares of the weights. a₁ is for absolute values: an
        encoder's grow as 1/s and a decoder's as s while the loss falls and grows as
        s², so a₁ = min(0.005 s, 0.02 s³) keeps the penalty of either small beside the
        loss. The constants were chosen by trial on digits in three units, for codes
        that classify about as well as with weight decay. The harmonic mean lets neither
        part exceed what it would be alone: l1_ratio α ≤ a₁ and (1 − l1_ratio) α ≤ a₂.
        """
        if not l1_ratio:
            return self._decay
        # Of the smallest data s³ and s⁴ would be zero, and divided by.
        least = sys.float_info.min
        absolute = max(least, min(0.005 * self.spread, 0.02 * self.spread**3))
        squares = max(least, self._decay)
        return 1 / (l1_ratio / absolute + (1 - l1_ratio) / squares)

    @property
    def _decay(self) -> float:
        """alpha="scale" for data of spread s: min(1e-3, 0.03 s⁴).

        An encoder's weights grow as 1/s and the loss falls as s², so a fixed alpha
        would drown data in small units; a decoder's grow as s, in step with the loss,
        hence the bound. The constants were chosen by trial for codes that a linear
        classifier reads well, on digits in [0, 1], not for the best reconstruction.
        """
        # spread**4 alone would overflow for the largest data.
        return min(1e-3, 0.03 * min(1, self.spread) ** 4)

    def sparsity_weight(self, n_components: int | None) -> float:
        """sparsity_weight="scale" of the mean code's penalty or of L1, for its units.

        L1 is a sum over units, and of the loss each has its part. At the start an atom
        pulls at its unit's code in proportion to the loss of *one* column, however many
        there are: with more than 20 columns a unit the penalty is held in step with
        that, or it would silence every code before any atom has grown.
        """
        if n_components is None:
            return _SPARSITY * self.unit
        n_features = len(self.moments.mean)
        return _SPARSITY * self.unit / max(n_components, n_features / _COLUMNS)

    @property
    def contraction_weight(self) -> float:
        """contraction_weight="scale"."""
        return _CONTRACTION * self.unit * self.spread**2


@dataclass(frozen=True)
class NetworkScale:
    """The scale of a network's data.

    Parameters
    ----------
    moments, targets : Moments
        Of the rows and of their targets, which may be the rows.
    spread, target_spread : float
        Root mean square deviation of an entry; 1 where nothing varies.
    """

    moments: Moments
    targets: Moments
    spread: float
    target_spread: float

    @classmethod
    def of(cls, data: Data) -> NetworkScale:
        """Of ``data``."""
        dtype, moments = data.X.dtype, data.moments
        targets = moments
        if data.targets is not None:
            targets = data.targets.moments(data.weights)
        spreads = [
            1.0 if m.no_variation(dtype) else m.spread for m in (moments, targets)
        ]
        return cls(moments, targets, *spreads)

    def coordinates(self, objective: NetworkObjective) -> Coordinates:
        """The solver's coordinates for a network on these data."""
        targets, unit = self.targets, 1.0
        if not targets.no_variation(objective.dtype):
            unit = objective.loss.at_mean(targets.mean, targets.variance)
        units = objective.units(
            self.moments.mean, self.spread, targets.mean, self.target_spread
        )
        return Coordinates(objective, *units, unit)

    @np.errstate(over="ignore")  # a loss that is not finite is refused
    def penalties(
        self, n_layers: int, output: str, loss: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Factors that make α ½‖W_l‖² and α ‖W_l‖₁ the same in whatever units.

        The first layer's weights grow as 1/s with the spread s of X; the last one's,
        in front of linear outputs, as s_y with that of the targets, and a squared error
        as s_y². So α/2 for the squares of the weights of unit-free data is

            α (s_y² s², s_y², …, s_y², 1)/2

        for those of the data, and for absolute values α (s_y² s, s_y², …, s_y², s_y).
        """
        size = np.ones(n_layers)
        size[0] = 1 / self.spread
        if output == "identity":
            size[-1] *= self.target_spread
        unit = self.target_spread**2 if loss == "squared_error" else 1.0
        return unit / size**2, unit / size


def layer_penalties(
    alpha: float | str,
    l1_ratio: float,
    reach: Sequence[bool],
    scale: NetworkScale,
    output: str,
    loss: str,
    unit_alpha: float,
) -> tuple[list[float], list[float]]:
    """What multiplies ½‖W_l‖² and ‖W_l‖₁ of each layer.

    Parameters
    ----------
    alpha, l1_ratio : float or "scale", float
        As of a stack.
    reach : sequence of bool
        Which layers are penalised, the output's last.
    scale : NetworkScale
        Of the data.
    output, loss : str
        Of ``NetworkObjective``.
    unit_alpha : float
        What "scale" is for data of unit spread.

    Returns
    -------
    alphas, l1 : list of float
    """
    l1_ratio = float(l1_ratio)
    if alpha == "scale":
        alpha = unit_alpha
        squares, absolute = scale.penalties(len(reach), output, loss)
    else:
        squares = absolute = np.ones(len(reach))
    reached = float(alpha) * np.asarray(reach, float)
    # Floats of Python's: NumPy's would promote float32 arrays.
    return (
        ((1 - l1_ratio) * reached * squares).tolist(),
        (l1_ratio * reached * absolute).tolist(),
    )
