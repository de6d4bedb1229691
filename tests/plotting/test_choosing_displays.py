"""PathDisplay and ComparisonDisplay draw what paths and comparisons hold."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from skae import AutoencoderCV, SparseAutoencoder, autoencoder_path, compare
from skae.plotting import ComparisonDisplay, PathDisplay

pytestmark = [
    pytest.mark.filterwarnings("ignore:Training stopped"),
    pytest.mark.usefixtures("plt"),
]

DIGITS = load_digits()
X, Y = DIGITS.data[:100] / 16, DIGITS.target[:100]
SPARSE = SparseAutoencoder(6, max_iter=5, random_state=0)
RANGE = [("scale", 0.1), ("scale", 10), ("scale", 1)]


def test_search():
    search = AutoencoderCV(SPARSE, param_range=RANGE, cv=3, one_standard_error=False)
    display = PathDisplay.from_search(search.fit(X))
    upper, lower = display.axes_
    means = search.score_path_.mean(axis=0)
    assert upper.lines[0].get_xdata().tolist() == [0.1, 1, 10]
    assert np.allclose(upper.lines[0].get_ydata(), means[[0, 2, 1]])
    assert np.allclose(
        lower.lines[0].get_ydata(), search.near_zero_path_.mean(axis=0)[[0, 2, 1]]
    )
    folds = np.array([line.get_ydata() for line in upper.lines[1:4]])
    assert np.allclose(folds, search.score_path_[:, [0, 2, 1]])
    (chosen,) = (line for line in upper.lines if line.get_label() == "chosen")
    assert chosen.get_xdata()[0] == search.best_value_[1]
    assert [t.get_text() for t in lower.get_xticklabels()] == ["0.1", "10", "1"]
    assert upper.get_ylabel() == "variance explained, held out"
    assert lower.get_xlabel() == "sparsity_weight, multiples of its scale"


def test_search_with_a_model_downstream():
    search = AutoencoderCV(
        SPARSE, param_range=[0.1, 1], cv=2, downstream=RidgeClassifier()
    )
    display = PathDisplay.from_search(search.fit(X, Y))
    assert "downstream" in display.axes_[0].get_ylabel()
    assert display.axes_[1].get_xlabel() == "sparsity_weight"


def test_path():
    path = autoencoder_path(SPARSE, X, param_range=RANGE)
    display = PathDisplay.from_path(path)
    assert np.allclose(display.axes_[0].lines[0].get_ydata(), path.scores[[0, 2, 1]])
    assert display.axes_[0].get_legend() is None


def test_path_in_given_axes(plt):
    figure, axes = plt.subplots(2)
    path = autoencoder_path(SPARSE, X, param_range=RANGE)
    assert PathDisplay.from_path(path, axes=axes).figure_ is figure


def test_search_must_be_fitted():
    with pytest.raises(ValueError, match="fitted AutoencoderCV"):
        PathDisplay.from_search(AutoencoderCV())
    with pytest.raises(ValueError, match=r"got AutoencoderCV; .* use from_search"):
        PathDisplay.from_path(AutoencoderCV())


def test_comparison():
    table = compare(
        *({"sparse": SPARSE}, X, Y),
        **{"n_components": [4, 8], "cv": 2, "downstream": RidgeClassifier()},
    )
    display = ComparisonDisplay(table).plot(n_tiles=5)
    scores, explained, *tiles = display.axes_
    lines = {line.get_label(): line for line in scores.lines}
    assert set(lines) == {"features as they are", "PCA", "sparse"}
    by_size = [table.fold_scores["sparse", k].mean() for k in (4, 8)]
    assert np.allclose(lines["sparse"].get_ydata(), by_size)
    assert len(scores.collections) == 2  # bands
    assert [line.get_label() for line in explained.lines] == ["PCA", "sparse"]
    assert [ax.get_title() for ax in tiles] == ["PCA, 8", "sparse, 8"]
    assert scores.get_ylabel() == "accuracy"


def test_comparison_of_estimators_without_targets():
    display = ComparisonDisplay.from_estimators(
        SPARSE, X, cv=2, n_components=[4], n_shown=1
    )
    assert len(display.axes_) == 3
    assert display.axes_[0].get_ylabel() == "variance explained"
    assert "SparseAutoencoder" in str(display.comparison_)
