"""Scores through the layers of an autoencoder against predictions of the estimator."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skae import (
    ContractiveAutoencoder,
    ReconstructionOutlierDetector,
    SparseAutoencoder,
    StackedAutoencoder,
)
from skae.outliers import _layers

RNG = np.random.RandomState(3)
X = RNG.standard_normal((60, 3)) @ RNG.standard_normal((3, 6)) * [1, 9, 0.1, 3, 2, 5]
X += [1e3, 0, 0, 5, -2, 0]
FEW = {"max_iter": 3, "random_state": 0}
SPARSE = SparseAutoencoder(4, **FEW)
BY_LAYERS = [
    SPARSE,
    SparseAutoencoder(4, activation="tanh", tied_weights=True, **FEW),
    StackedAutoencoder((5, 3, 2), **FEW),
    make_pipeline(StandardScaler(), SPARSE),
    make_pipeline(StandardScaler(with_mean=False), ContractiveAutoencoder(4, **FEW)),
    make_pipeline(StandardScaler(with_std=False), StackedAutoencoder((4, 2), **FEW)),
]
OTHERS = [
    SparseAutoencoder(4, output_activation="logistic", **FEW),
    make_pipeline(MinMaxScaler(), SPARSE),
    make_pipeline(StandardScaler(), StandardScaler(), SPARSE),
]
pytestmark = pytest.mark.filterwarnings("ignore:.*stopped")


def in_units_of_x(estimator, rows):
    """Reconstructions, by nothing but public methods."""
    if hasattr(estimator, "predict") and not hasattr(estimator, "steps"):
        return estimator.predict(rows)
    return estimator.inverse_transform(estimator.transform(rows))


@pytest.mark.parametrize("estimator", BY_LAYERS + OTHERS, ids=str)
@pytest.mark.parametrize("error", ["huber", "squared", "absolute"])
def test_formula(estimator, error, monkeypatch):
    used = []
    original = _layers.LayerScores.write_scores
    monkeypatch.setattr(
        _layers.LayerScores,
        "write_scores",
        lambda *given: used.append(1) or original(*given),
    )
    monkeypatch.setattr("skae.outliers._rows._CACHED_NUMBERS", 50)
    found = ReconstructionOutlierDetector(estimator, error=error, distance_weight=2)
    within = (X - X.min(axis=0)) / np.ptp(X, axis=0)
    train = within if estimator is OTHERS[0] else X
    found.fit(train)
    rows = train + RNG.standard_normal(X.shape)
    errors = (rows - in_units_of_x(found.estimator_, rows)) / found.error_scale_
    far = (rows - found.center_) / found.scale_
    rho = {
        "huber": lambda z: np.where(abs(z) < 1.5, z**2, 3 * abs(z) - 2.25),
        "squared": np.square,
        "absolute": np.abs,
    }[error]
    expected = rho(errors) + 2 * rho(far)
    parts = found.feature_scores(rows)
    np.testing.assert_allclose(parts, expected, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(-found.score_samples(rows), parts.sum(axis=1), 1e-12)
    assert bool(used) == (estimator in BY_LAYERS)


def test_float32_rows_are_scored_in_float64():
    found = ReconstructionOutlierDetector(BY_LAYERS[3]).fit(X)
    rows = X.astype(np.float32)
    expected = found.score_samples(rows.astype(np.float64))
    np.testing.assert_array_equal(found.score_samples(rows), expected)


def test_many_weights_are_not_copied(monkeypatch):
    found = ReconstructionOutlierDetector(SPARSE).fit(X)
    expected = found.score_samples(X)
    monkeypatch.setattr(_layers, "_MOST_WEIGHTS", 10)
    monkeypatch.setattr(_layers, "LayerScores", None)  # may not be called
    np.testing.assert_allclose(found.score_samples(X), expected)


def test_single_precision_scores_do_not_depend_on_the_other_rows():
    rng = np.random.default_rng(0)
    columns = 10.0 ** rng.integers(0, 4, 40)
    rows = (rng.standard_normal((60, 40)) + columns).astype(np.float32)
    found = ReconstructionOutlierDetector(SPARSE).fit(rows)
    alone = [found.score_samples(rows[i : i + 1])[0] for i in range(5)]
    np.testing.assert_allclose(alone, found.score_samples(rows)[:5], rtol=1e-9)
