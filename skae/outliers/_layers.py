"""Scores of dense rows through the layers of a fitted autoencoder, in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae.core.activations import ACTIVATIONS
from skae.core.layers import Layers
from skae.engines.row_map import fill
from skae.outliers._errors import ERRORS, SUMS
from skae.outliers._rows import cached

Array = npt.NDArray[np.floating]
Layer = tuple[Array, Array, Any]  # W, b and f

# Scales are multiplied into copies of the weights, which takes some milliseconds for so
# many. With more, no copy is made, however many rows there are: the score of a row must
# not depend on the others.
_MOST_WEIGHTS = 2**21


class LayerScores:
    """Scores of blocks of rows, in float64.

    With z = (x − m)/t, the deviations from the median in units of their spread, the
    errors in units of theirs are z t/s − y. Here y is the output of ``layers`` for z:
    the layers of the autoencoder, into which m, t, s, the mean and the scale of a
    scaler, and the factors of logistic functions are multiplied. A row is read once,
    and all that is computed from it stays in cache.

    Parameters
    ----------
    layers : list of (W, b, f)
        Layers that map z to y.
    center, scale, error_scale : ndarray of shape (n_features,)
        m, t and s.
    error : str
        Name in ``ERRORS``.
    weight : float
        Weight of the distance from the median.
    """

    def __init__(
        self,
        layers: list[Layer],
        center: Array,
        scale: Array,
        error_scale: Array,
        error: str,
        weight: float,
    ):
        self._layers, self._error, self._weight = layers, error, weight
        self._center, self._per_scale = _Tiled(center), _Tiled(1 / scale)
        self._ratio, self._error_scale = _Tiled(scale / error_scale), error_scale
        self._biases = [_Tiled(b) for _, b, _ in layers]

    @property
    def numbers_per_row(self) -> int:
        """Numbers that a row keeps in cache."""
        return max(sum(W.shape) for W, _, _ in self._layers)

    @property
    def multiplications_per_row(self) -> float:
        """Of the matrix products."""
        return sum(W.size for W, _, _ in self._layers)

    def write_errors(self, X: Any, out: Array) -> None:
        """Reconstruction errors of the entries of X."""
        for part in self._parts(X):
            np.multiply(self._deviations(X[part])[1], self._error_scale, out=out[part])

    def write_contributions(self, X: Any, out: Array) -> None:
        """Contributions of the entries of X, an array of the same shape."""
        rho = ERRORS[self._error]
        for part in self._parts(X):
            z, error = self._deviations(X[part])
            out[part] = rho(error)
            if self._weight:
                distance = rho(z)
                distance *= self._weight
                out[part] += distance

    def write_scores(self, X: Any, out: Array) -> None:
        """Sums of the contributions over the features, of shape (n_samples,)."""
        total = SUMS[self._error]
        for part in self._parts(X):
            z, error = self._deviations(X[part])
            out[part] = total(error)
            if self._weight:
                out[part] += self._weight * total(z)

    def _parts(self, X: Any) -> list[slice]:
        widest = max(max(W.shape) for W, _, _ in self._layers)
        return cached((len(X), widest))

    def _deviations(self, X: Any) -> tuple[Array, Array]:
        """z, and the errors in units of their spread."""
        n_rows = len(X)
        z = np.subtract(X, self._center(n_rows), dtype=np.float64)
        z *= self._per_scale(n_rows)
        H: Array = z
        for (W, _, activation), bias in zip(self._layers, self._biases, strict=True):
            H = H @ W.T
            H += bias(n_rows)
            activation.apply(H)
        return z, np.subtract(z * self._ratio(n_rows), H, out=H)


class _Tiled:
    """Copies of a vector as rows of an array.

    Operations of two arrays of equal shape are up to three times as fast as those of an
    array and a vector, if there are few columns.
    """

    def __init__(self, vector: Array):
        self._vector = vector
        self._rows = vector[np.newaxis]

    def __call__(self, n_rows: int) -> Array:
        rows = self._rows  # another thread may replace it
        if len(rows) < n_rows:
            shape = n_rows, len(self._vector)
            rows = np.ascontiguousarray(np.broadcast_to(self._vector, shape))
            self._rows = rows
        return rows[:n_rows]


def through_layers(
    detector: Any, X: Any, method: str, shape: int | tuple[int, int]
) -> Array | None:
    """Scores, contributions or errors of all rows, by a method of ``LayerScores``.

    None if the estimator of the detector is no autoencoder or pipeline of a scaler and
    one, if X is not dense, or if entries of X are missing.
    """
    if not isinstance(X, np.ndarray):
        return None
    scales = detector.center_, detector.scale_, detector.error_scale_
    layers = _folded(detector.estimator_, *scales)
    if layers is None:
        return None
    of_score = detector.error, detector.distance_weight
    scores = LayerScores(layers, *scales, *of_score)
    with np.errstate(invalid="ignore"):
        found = fill(np.empty(shape), getattr(scores, method), X, scores)
        # With a missing entry, the score of the row is NaN.
        return None if np.isnan(found.sum()) else found


def _folded(
    estimator: Any, center: Array, scale: Array, error_scale: Array
) -> list[Layer] | None:
    """Layers from z to y, if they have not too many weights."""
    mean, spread, autoencoder = _scaled(estimator, len(center))
    layers = _layers(autoencoder)
    if layers is None or not layers[-1][2].is_linear:
        return None
    if sum(W.size for W, _, _ in layers) > _MOST_WEIGHTS:
        return None
    (W, b, f), *rest = layers
    # The median is at most one standard deviation from the mean, so that the sum loses
    # no digits, unlike b − W mean/spread.
    layers = [(W * (scale / spread), b + W @ ((center - mean) / spread), f), *rest]
    W, b, f = layers[-1]
    W = W * (spread / error_scale)[:, np.newaxis]
    layers[-1] = W, (b * spread + mean - center) / error_scale, f
    return _without_logistic(layers)


def _scaled(estimator: Any, n_features: int) -> tuple[Array, Array, Any]:
    """Mean and scale of a scaler, or 0 and 1, and the autoencoder after it."""
    mean, spread = np.zeros(n_features), np.ones(n_features)
    if type(estimator) is not Pipeline:
        return mean, spread, estimator
    steps = [step for _, step in estimator.steps]
    if len(steps) != 2 or type(steps[0]) is not StandardScaler:
        return mean, spread, None
    scaler, autoencoder = steps
    if scaler.with_mean:
        mean = scaler.mean_
    if scaler.scale_ is not None:
        spread = scaler.scale_
    return mean, spread, autoencoder


def _layers(autoencoder: Any) -> list[Layer] | None:
    """Encoder and decoder, in float64."""
    if type(autoencoder).__module__.partition(".")[0] != "skae":
        return None
    if not (hasattr(autoencoder, "_encoder") and hasattr(autoencoder, "_decoder")):
        return None
    halves = [autoencoder._encoder(np.float64), autoencoder._decoder(np.float64)]
    if not all(type(half) is Layers for half in halves):
        return None
    return [layer for half in halves for layer in half.layers]


def _without_logistic(layers: list[Layer]) -> list[Layer]:
    """The same layers with tanh in place of the logistic function of hidden layers.

    1/(1 + exp(−a)) is 1/2 + tanh(a/2)/2. The factors are multiplied into the weights.
    """
    layers = list(layers)
    for i in range(len(layers) - 1):
        W, b, f = layers[i]
        if f is ACTIVATIONS["logistic"]:
            layers[i] = W / 2, b / 2, ACTIVATIONS["tanh"]
            W, b, f = layers[i + 1]
            layers[i + 1] = W / 2, b + W.sum(axis=1) / 2, f
    return layers
