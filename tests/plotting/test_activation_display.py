"""ActivationDisplay: histograms of codes that are known, and the target's place."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from skae.plotting import ActivationDisplay

X = load_digits().data[:200] / 16
QUICK = {"tol": 0.1, "random_state": 0}


@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        (SparseAutoencoder(9, sparsity_target=0.1, **QUICK), 0.1),
        (SparseAutoencoder(9, sparsity_target=0.1, activation="tanh", **QUICK), -0.8),
        (SparseAutoencoder(9, sparsity="l1", activation="relu", **QUICK), None),
        (DenoisingAutoencoder(9, **QUICK), None),
        (DenoisingAutoencoder(9, sparsity="kl", **QUICK), 0.5 - 0.3 * 9 / 64),
        (ContractiveAutoencoder(9, **QUICK), None),
        (PCA(9), None),
        (BernoulliRBM(9, n_iter=1, random_state=0), None),
    ],
    ids=repr,
)
def test_renders(plt, estimator, target):
    display = ActivationDisplay.from_estimator(estimator.fit(X), X)
    assert list(display.figure_.axes) == list(display.axes_)
    name = type(estimator).__name__
    titles = [ax.get_title() for ax in display.axes_]
    assert titles == [f"{name}: 9 units", "codes of 200 rows"]
    scale = getattr(estimator, "code_scale_", 1)  # means are those of the formulas
    np.testing.assert_allclose(display.codes, estimator.transform(X) * scale)
    assert display.mean_histogram_.get_data().values.sum() == 9
    assert display.code_histogram_.get_data().values.sum() == 9 * 200
    if target is None:
        assert display.target is display.target_line_ is None
        assert display.axes_[0].get_legend() is None
    else:
        np.testing.assert_allclose(display.target_line_.get_xdata(), target)
        (text,) = display.axes_[0].get_legend().get_texts()
        assert text.get_text() == f"target {target:g}"


def test_histograms_of_known_codes(plt):
    codes = [[0.0, 0.5], [0.0, 0.7], [0.3, 0.6], [0.1, 1.0]]
    display = ActivationDisplay(codes).plot(bins=2)
    values, edges, _ = display.code_histogram_.get_data()
    np.testing.assert_allclose(edges, [0, 0.5, 1])
    np.testing.assert_array_equal(values, [4, 4])
    values, edges, _ = display.mean_histogram_.get_data()
    np.testing.assert_allclose(edges[[0, -1]], [0.1, 0.7])
    assert values[0] == values[-1] == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dead_units_are_one_bar(plt, dtype):
    codes = np.full((50, 4), 0.05, dtype)
    codes[::2, ::2] = np.nextafter(dtype(0.05), dtype(1))
    display = ActivationDisplay(codes).plot()
    for histogram, total in [
        (display.mean_histogram_, 4),
        (display.code_histogram_, 200),
    ]:
        values = histogram.get_data().values
        assert np.flatnonzero(values).size == 1 and values.sum() == total


def test_training_data_give_mean_activation(plt):
    autoencoder = SparseAutoencoder(9, **QUICK).fit(X)
    display = ActivationDisplay.from_estimator(autoencoder, X)
    edges = display.mean_histogram_.get_data().edges
    means = autoencoder.mean_activation_
    np.testing.assert_allclose(edges[[0, -1]], [means.min(), means.max()])


def test_pipeline(plt):
    pipeline = make_pipeline(MinMaxScaler(), SparseAutoencoder(9, **QUICK)).fit(X)
    display = ActivationDisplay.from_estimator(pipeline, X)
    codes = pipeline.transform(X) * pipeline[-1].code_scale_
    np.testing.assert_allclose(display.codes, codes)
    assert display.target == pytest.approx(0.5 - 0.3 * 9 / 64)


def test_axes_given(plt):
    figure, axes = plt.subplots(2, 2)
    display = ActivationDisplay.from_estimator(PCA(4).fit(X), X, ax=axes[1])
    assert list(display.axes_) == list(axes[1]) and display.figure_ is figure
    assert len(plt.get_fignums()) == 1
    assert display.plot(axes[0]) is display
    assert display.axes_[0] is axes[0, 0]


def test_errors(plt):
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match=r"ax must be two Axes, .* got 1"):
        ActivationDisplay.from_estimator(PCA(4).fit(X), X, ax=ax)
    y = np.arange(200) % 2
    classifier = make_pipeline(PCA(2), LogisticRegression()).fit(X, y)
    with pytest.raises(ValueError, match="LogisticRegression has no transform"):
        ActivationDisplay.from_estimator(classifier, X)
    with pytest.raises(NotFittedError):
        ActivationDisplay.from_estimator(SparseAutoencoder(4), X)
