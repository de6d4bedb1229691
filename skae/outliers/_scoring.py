"""Scores of rows, and contributions of their entries, for any estimator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from skae.outliers._errors import ERRORS, for_missing
from skae.outliers._layers import through_layers
from skae.outliers._reconstruct import reconstruct
from skae.outliers._rows import blocks, cached, dense

Array = npt.NDArray[np.floating]


def entry_errors(detector: Any, X: Array, dtype: Any) -> Array:
    """Reconstruction errors of dense rows of float64.

    Estimators for which there is no faster way are given the rows in ``dtype``.
    """
    errors = through_layers(detector, X, "write_errors", X.shape)
    if errors is None:
        return X - reconstruct(detector.estimator_, X.astype(dtype))
    return errors


def row_scores(detector: Any, X: Any) -> Array:
    """Score of each row, in float64."""
    scores = through_layers(detector, X, "write_scores", X.shape[0])
    if scores is None:
        scores, ones = np.empty(X.shape[0]), np.ones(X.shape[1])
        for part, contributions in _contributions(detector, X):
            np.dot(contributions, ones, out=scores[part])
    return scores


def entry_scores(detector: Any, X: Any) -> Array:
    """Contribution of each entry to the score of its row, in float64."""
    found = through_layers(detector, X, "write_contributions", X.shape)
    if found is None:
        found = np.empty(X.shape)
        for part, contributions in _contributions(detector, X):
            found[part] = contributions
    return found


def row_distances(detector: Any, X: Any) -> Array:
    """The part of the score of each row that is its distance from the median."""
    far = np.empty(X.shape[0])
    for block in blocks(X):
        distance = _distance(detector, dense(X[block]))
        far[block] = for_missing(distance).sum(axis=1)
    return far


def _contributions(detector: Any, X: Any) -> Iterator[tuple[slice, Array]]:
    """Slices of rows, and the contributions of their entries."""
    rho = ERRORS[detector.error]
    per_error = 1 / detector.error_scale_
    for block in blocks(X):
        rows = dense(X[block])
        reconstruction = reconstruct(detector.estimator_, X[block])
        for part in cached(rows.shape):
            error = np.subtract(rows[part], reconstruction[part], dtype=np.float64)
            error *= per_error
            found = rho(error)
            if detector.distance_weight:
                found += _distance(detector, rows[part])
            start = block.start + part.start
            yield slice(start, start + len(found)), for_missing(found)


def _distance(detector: Any, rows: Any) -> Array:
    deviation = np.subtract(rows, detector.center_, dtype=np.float64)
    deviation *= 1 / detector.scale_
    distance: Array = ERRORS[detector.error](deviation)
    distance *= detector.distance_weight or 1.0
    return distance
