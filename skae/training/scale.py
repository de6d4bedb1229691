"""The scale of the data, and the penalties that are given as "scale".

The scale consists of column means, the spread of an entry, and the loss of predicting
the means. It determines the coordinates of the solver, and all weights "scale", so that
results do not depend on the units of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skae.core.network import NetworkObjective
from skae.core.protocols import Objective, TargetLoss
from skae.rows.data import Data
from skae.rows.moments import Moments
from skae.training.coordinates import Coordinates

# alpha="scale" for data of unit spread: a₂ for the squares of the encoder's and of the
# decoder's weights, a₁ for their absolute values.
_SQUARES = 3e-3, 1e-4
_ABSOLUTE = 0.005, 0.005
# Larger spreads count as this in weights of penalties.
_LARGEST = 1e8
# sparsity_weight="scale" is this fraction of the loss of the column means.
_SPARSITY = 0.2
# Of columns to a unit so many leave L1's weight as it is.
_COLUMNS = 20
# contraction_weight="scale" is this, in units in which loss and data are of order one.
_CONTRACTION = 0.1

Pair = tuple[float, float]


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
        unit = loss.at_mean(moments.mean, moments.variance, moments.observed)
        return cls(moments, unit, moments.spread)

    def coordinates(self, objective: Objective[Any]) -> Coordinates:
        """The solver's coordinates for an autoencoder of these data."""
        units = objective.units(self.moments.mean, self.spread)
        return Coordinates(objective, *units, self.unit)

    def alphas(
        self, times: float, l1_ratio: float, output: str, loss: str, tied_weights: bool
    ) -> tuple[Pair, Pair]:
        """alpha=("scale", times): what multiplies ½‖·‖² and ‖·‖₁, of W and of D.

        Of unit-free data that is (1 − l1_ratio) α and l1_ratio α, with
        α = 1/(l1_ratio/a₁ + (1 − l1_ratio)/a₂) for each of the two matrices. The
        harmonic mean lets neither part exceed what it would be alone. See
        ``unit_free`` for data with units.
        """
        a1, a2 = np.array(_ABSOLUTE), np.array(_SQUARES)
        alpha = times / (l1_ratio / a1 + (1 - l1_ratio) / a2)
        squares, absolute = unit_free(
            2, self.spread, self.spread, output, loss, tied_weights
        )
        share = _share_of_loss(self.moments)
        squares, absolute = share * squares, share * absolute
        return (
            _pair((1 - l1_ratio) * alpha * squares),
            _pair(l1_ratio * alpha * absolute),
        )

    def sparsity_target(self, n_components: int) -> float:
        """sparsity_target="auto": max(0.2, 0.5 − 0.3 k/d) for k units, d columns.

        Few units must each tell as much as they can, which a code does that is as often
        high as low; units that are many enough to share the work may be rarer.
        """
        return max(0.2, 0.5 - 0.3 * n_components / len(self.moments.mean))

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
            unit = objective.loss.at_mean(
                targets.mean, targets.variance, targets.observed
            )
        units = objective.units(
            self.moments.mean, self.spread, targets.mean, self.target_spread
        )
        return Coordinates(objective, *units, unit)

    @np.errstate(over="ignore")  # a loss that is not finite is refused
    def penalties(
        self, n_layers: int, output: str, loss: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """``unit_free`` of these data, times the share of the targets there are."""
        share = _share_of_loss(self.targets)
        squares, absolute = unit_free(
            n_layers, self.spread, self.target_spread, output, loss
        )
        return share * squares, share * absolute


def _share_of_loss(moments: Moments) -> float:
    """Mean weight of an entry that is reconstructed, a missing one's being zero.

    The loss is a sum over these entries, so it is smaller by this factor.
    """
    return 1.0 if moments.observed is None else float(moments.observed.mean())


def unit_free(
    n_layers: int,
    spread: float,
    target_spread: float,
    output: str,
    loss: str,
    tied_weights: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Factors that make α ½‖W_l‖² and α ‖W_l‖₁ the same in whatever units.

    The first layer's weights grow as 1/s with the spread s of X; the last one's, in
    front of linear outputs, as s_y with that of the targets, and a squared error as
    s_y². So α/2 for the squares of the weights of unit-free data is

        α (s_y² s², s_y², …, s_y², 1)/2

    for those of the data, and for absolute values α (s_y² s, s_y², …, s_y², s_y). Tied
    weights must do for both ends, and do not change with the units.
    """
    # Beyond this the square of a square would overflow.
    spread, target_spread = min(spread, _LARGEST), min(target_spread, _LARGEST)
    size = np.ones(n_layers)
    if not tied_weights:
        size[0] = 1 / spread
        if output == "identity":
            size[-1] *= target_spread
    unit = target_spread**2 if loss == "squared_error" else 1.0
    return unit / size**2, unit / size


def layer_penalties(
    alpha: float,
    of_scale: bool,
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
    alpha : float
        As of a stack, or where ``of_scale`` what multiplies "scale".
    of_scale : bool
        Which of the two.
    l1_ratio : float
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
    if of_scale:
        alpha *= unit_alpha
        squares, absolute = scale.penalties(len(reach), output, loss)
    else:
        squares = absolute = np.ones(len(reach))
    reached = alpha * np.asarray(reach, float)
    # Floats of Python's: NumPy's would promote float32 arrays.
    return (
        ((1 - l1_ratio) * reached * squares).tolist(),
        (l1_ratio * reached * absolute).tolist(),
    )


def _pair(values: np.ndarray) -> Pair:
    # Floats of Python's: NumPy's would promote float32 arrays.
    first, second = values.tolist()
    return first, second
