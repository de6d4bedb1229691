"""Early stopping: holds out rows, scores them, and ends training.

``hold_out`` splits the rows, ``HeldOutLoss`` and ``HeldOutPrediction`` compute the
score of parameters on the rows held out, and ``Watch`` keeps the best parameters and
ends training when the score no longer rises.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from skae.core.arrays import to_host
from skae.core.network import NetworkObjective
from skae.core.protocols import Engine, Objective
from skae.engines.choice import engine_for
from skae.engines.row_map import apply_layers
from skae.rows.data import Data
from skae.solvers import Iteration
from skae.training.problem import Settings


def hold_out(
    data: Data,
    fraction: float,
    random_state: np.random.RandomState,
    labels: np.ndarray | None = None,
) -> tuple[Data, Data]:
    """Part the rows into those to train on and those to judge by.

    Parameters
    ----------
    data : Data
        All rows.
    fraction : float in (0, 1)
        Of the rows to hold out.
    random_state : RandomState
        Chooses them.
    labels : ndarray of shape (n_samples,), optional
        Every label keeps its share on either side, as far as it divides.

    Returns
    -------
    training : Data
        All rows, those held out with weight zero.
    held_out : Data
        All rows, the others with weight zero: X is not copied.

    Raises
    ------
    ValueError
        If no row would be left on one side.
    """
    # Rows of weight zero are as good as absent: neither side counts them.
    rows = data.counted
    n_rows = len(rows)
    n_out = round(fraction * n_rows)
    if not 0 < n_out < n_rows:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} holds out "
            f"{n_out} of the rows, n_samples={n_rows}; use more rows, a "
            "validation_fraction that leaves some on either side, or "
            "early_stopping=False."
        )
    order = random_state.permutation(n_rows)
    if labels is not None:
        # A row's rank within its label, over the label's count: taking the lowest
        # fractions takes the same share of every label.
        labels = labels[rows]
        _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        by_label = order[np.argsort(codes[order], kind="stable")]
        rank = np.concatenate([(np.arange(c) + 0.5) / c for c in counts])
        order = by_label[np.argsort(rank, kind="stable")]
    out = np.sort(rows[order[:n_out]])
    if data.weights is None:
        training = np.ones(data.X.shape[0], data.X.dtype)
    else:
        training = data.weights.copy()
    held_out = np.zeros_like(training)
    held_out[out] = training[out]
    training[out] = 0
    return replace(data, weights=training), replace(data, weights=held_out)


class HeldOutLoss:
    """θ -> the fraction of the loss of the column means that is done away with.

    1 is perfect, 0 no better than the column means. Noise is drawn once: the scores
    are to be compared with each other.

    Parameters
    ----------
    objective : Objective
        Its data term, without penalties, is the loss.
    data : Data
        The rows held out.
    unit : float
        The loss of reconstructing every row by the column means.
    draw : int or None, default=0
        Of the noise or dropout; None is none.
    """

    def __init__(
        self,
        objective: Objective[Any],
        data: Data,
        unit: float,
        draw: int | None = 0,
    ) -> None:
        self._objective, self._data, self._unit = objective, data, unit
        self._draw = draw
        # A run makes its own: it serves one thread only.
        self._engine: Engine | None = None

    def __call__(self, theta: np.ndarray) -> float:
        if self._engine is None:
            # The loss is one pass, for which no codes are kept.
            self._engine = engine_for(self._objective, self._data, code_memory=0)
            self._engine.draw = self._draw
        with self._engine:
            return 1 - self._engine.data_loss(theta) / self._unit


class HeldOutPrediction:
    """θ -> how well a network predicts the targets of the rows held out.

    Parameters
    ----------
    objective : NetworkObjective
        The network.
    data : Data
        The rows held out; those of weight zero are left out.
    score : callable
        ``score(targets, outputs, sample_weight=weights)``, higher is better.
    """

    def __init__(
        self, objective: NetworkObjective, data: Data, score: Callable[..., float]
    ) -> None:
        self._objective, self._score = objective, score
        self._held_out = data.picked(data.counted)

    def __call__(self, theta: np.ndarray) -> float:
        rows, targets = self._held_out.X, self._held_out.targets
        assert targets is not None, "which its outputs are compared with"
        outputs = apply_layers(self._objective.outputs(theta), rows).given
        weights = self._held_out.weights
        given = to_host(targets.given)
        return self._score(given, to_host(outputs), sample_weight=weights)


class Watch:
    """Keeps the iterate that did best on held-out rows.

    Parameters
    ----------
    validate : callable
        ``validate(theta) -> score``, higher is better.
    settings : Settings
        Gives ``tol`` and ``n_iter_no_change``.
    """

    def __init__(
        self, validate: Callable[[np.ndarray], float], settings: Settings
    ) -> None:
        # A copy: runs from other starts may be under way in other threads.
        self._validate = copy(validate)
        self._patience = settings.n_iter_no_change
        # Together no less than tol.
        self._least_rise = settings.tol / self._patience
        self._stale = 0
        self.scores: list[float] = []
        self.stopped = False
        self.best: tuple[np.ndarray, Iteration] | None = None  # θ, and how it came

    def score(self, iteration: Iteration, theta: np.ndarray) -> float:
        """Score θ, and keep it if it is the best so far."""
        score = self._validate(theta)
        best = max(self.scores, default=-np.inf)
        self.scores.append(score)
        self._stale = 0 if score > best + self._least_rise else self._stale + 1
        if score > best:
            self.best = theta.copy(), iteration
        return score

    def forget(self) -> None:
        """Begin to count anew: other rows come, from which more may be learnt."""
        self._stale, self.stopped = 0, False

    def judge(self) -> None:
        """Raise StopIteration when the scores have not risen for long."""
        if self._stale >= self._patience:
            self.stopped = True
            raise StopIteration
