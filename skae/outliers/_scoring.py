"""Scores of rows, and contributions of their entries, for any estimator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from skae._warnings import warn
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


def warn_if_exact(detector: Any, X: Array, errors: Array, dtype: Any) -> None:
    """Warn if any rows are reconstructed exactly, as by a scaler: errors tell nothing.

    Parameters
    ----------
    detector : ReconstructionOutlierDetector
        Whose estimator is fitted.
    X, errors : ndarray of shape (n_rows, n_features)
        Training rows that vary, and their reconstruction errors.
    dtype : dtype
        Of the rows as they were given.
    """
    if not _exact(detector, X, errors, dtype):
        return
    # Rows of few dimensions are reconstructed exactly, too, by what has learnt these.
    # So try rows whose entries were put together from different rows.
    mixed = np.array([np.roll(column, j) for j, column in enumerate(X.T)]).T
    if not _exact(detector, mixed, entry_errors(detector, mixed, dtype), dtype):
        return
    rest = "only measure distances from the median"
    if not detector.distance_weight:
        rest = "are zero for every row"
    warn(
        f"estimator={detector.estimator!r} reconstructs every row almost exactly, so "
        f"reconstruction errors tell nothing about outliers, and scores {rest}. Use an "
        "estimator that compresses, such as SparseAutoencoder(), or PCA with fewer "
        "components than X has features."
    )


def _exact(detector: Any, X: Array, errors: Array, dtype: Any) -> bool:
    """Whether errors are rounding, compared with the entries and their spread."""
    size = np.abs(np.nan_to_num(X)).max(axis=0) + detector.scale_
    return bool(
        (np.nan_to_num(np.abs(errors)) <= 1e3 * np.finfo(dtype).eps * size).all()
    )


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
