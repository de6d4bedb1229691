"""How strongly the weights of each layer of a stack are penalised, in what units."""

from dataclasses import dataclass

import numpy as np

from skae.rows.moments import Moments
from skae.training.coordinates import Coordinates


@dataclass(frozen=True)
class NetworkScale:
    """The scale of a network's data: what training and alpha="scale" are relative to.

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
    def of(cls, data, moments):
        """Of ``data``, whose rows have these moments."""
        dtype, targets = data.X.dtype, moments
        if data.targets is not None:
            targets = Moments.of(data.targets, data.weights)
        spreads = [
            1.0 if m.no_variation(dtype) else m.spread for m in (moments, targets)
        ]
        return cls(moments, targets, *spreads)

    def coordinates(self, objective):
        """The solver's coordinates for a network on these data."""
        targets, unit = self.targets, 1.0
        if not targets.no_variation(objective.dtype):
            unit = objective.loss.at_mean(targets.mean, targets.variance)
        units = objective.units(
            self.moments.mean, self.spread, targets.mean, self.target_spread
        )
        return Coordinates(objective, *units, unit)

    def penalties(self, n_layers, output, loss):
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


def layer_penalties(stack, reach, scale, output, loss):
    """What multiplies ½‖W_l‖² and ‖W_l‖₁ of each layer.

    Parameters
    ----------
    stack : BaseStack
        Gives ``alpha`` and ``l1_ratio``, and what "scale" is for data of unit spread.
    reach : sequence of bool
        Which layers are penalised, the output's last.
    scale : NetworkScale
        Of the data.
    output, loss : str
        Of ``NetworkObjective``.

    Returns
    -------
    alphas, l1 : list of float
    """
    l1_ratio = float(stack.l1_ratio)
    if stack.alpha == "scale":
        alpha = stack._unit_alpha
        squares, absolute = scale.penalties(len(reach), output, loss)
    else:
        alpha = float(stack.alpha)
        squares = absolute = np.ones(len(reach))
    reach = np.asarray(reach, float)
    # Floats of Python's: NumPy's would promote float32 arrays.
    return (
        ((1 - l1_ratio) * alpha * reach * squares).tolist(),
        (l1_ratio * alpha * reach * absolute).tolist(),
    )
