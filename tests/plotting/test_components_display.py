"""ComponentsDisplay: which rows are drawn, in what order, range and shape."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF, PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
)
from skae.plotting import ComponentsDisplay

X = load_digits().data[:200] / 16
QUICK = {"tol": 0.1, "random_state": 0}


def tile(display, row, column, shape=(8, 8)):
    """One tile of the canvas, at gaps of one pixel."""
    height, width = shape
    canvas = np.asarray(display.image_.get_array())
    top, left = row * (height + 1), column * (width + 1)
    return canvas[top : top + height, left : left + width]


@pytest.mark.parametrize(
    "estimator",
    [
        SparseAutoencoder(6, **QUICK),
        DenoisingAutoencoder(6, **QUICK),
        ContractiveAutoencoder(6, **QUICK),
        PCA(6),
        NMF(6, max_iter=500, tol=1e-2),
        BernoulliRBM(6, n_iter=2, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_renders(plt, estimator):
    display = ComponentsDisplay.from_estimator(estimator.fit(X))
    assert display.figure_.axes == [display.ax_]
    assert display.ax_.get_title() == f"{type(estimator).__name__}: components_"
    assert not len(display.ax_.get_xticks()) and not len(display.ax_.get_yticks())
    assert display.image_.get_array().shape == (2 * 9 - 1, 3 * 9 - 1)
    first = estimator.components_[0].reshape(8, 8)
    np.testing.assert_allclose(tile(display, 0, 0), first / np.abs(first).max())
    assert display.image_.get_clim() == (-1, 1)


def test_decoder_and_number_of_tiles(plt):
    autoencoder = SparseAutoencoder(9, **QUICK).fit(X)
    display = ComponentsDisplay.from_estimator(
        autoencoder, attribute="decoder_components_", n_tiles=4, contrast="common"
    )
    shown = autoencoder.decoder_components_[:4]
    np.testing.assert_array_equal(display.components, shown)
    np.testing.assert_array_equal(tile(display, 1, 1), shown[3].reshape(8, 8))
    limit = np.abs(shown).max()
    assert display.image_.get_clim() == (-limit, limit)
    assert display.ax_.get_title() == "SparseAutoencoder: decoder_components_\n4 of 9"
    everything = ComponentsDisplay.from_estimator(autoencoder, n_tiles=None)
    assert len(everything.components) == 9


def test_order_of_mean_activation(plt):
    autoencoder = SparseAutoencoder(9, sparsity=None, **QUICK).fit(X)
    display = ComponentsDisplay.from_estimator(
        autoencoder, order="mean_activation", n_tiles=3
    )
    # The codes of the training data, not the attribute: told apart clearly.
    means = autoencoder.transform(X).mean(axis=0) * autoencoder.code_scale_
    expected = sorted(range(9), key=lambda unit: means[unit], reverse=True)[:3]
    np.testing.assert_array_equal(display.components, autoencoder.components_[expected])
    assert display.ax_.get_title().endswith("3 of 9, most active first")


def test_colour(plt):
    rows = np.array([np.linspace(-2, 1, 12), np.zeros(12)])
    display = ComponentsDisplay(rows).plot()
    canvas = display.image_.get_array()
    assert canvas.shape == (2, 5, 4)
    np.testing.assert_allclose(
        canvas[:, :2, :3], 0.5 + rows[0].reshape(2, 2, 3) / 4, atol=1e-12
    )
    np.testing.assert_array_equal(canvas[:, 3:, :3], 0.5)


def test_tile_of_zeros_is_in_the_middle_of_the_range(plt):
    display = ComponentsDisplay([[0.0, 0.0], [3.0, -1.5]], image_shape=(1, 2)).plot()
    np.testing.assert_array_equal(tile(display, 0, 0, (1, 2)), [[0, 0]])
    np.testing.assert_array_equal(tile(display, 1, 0, (1, 2)), [[1, -0.5]])


def test_columns_make_the_canvas_nearly_square(plt):
    shape = ComponentsDisplay(np.ones((40, 64))).plot().image_.get_array().shape
    assert shape == (6 * 9 - 1, 7 * 9 - 1)
    flat = ComponentsDisplay(np.ones((4, 17))).plot()
    assert flat.image_.get_array().shape == (4 * 2 - 1, 17)
    asked = ComponentsDisplay(np.ones((4, 4))).plot(n_columns=4)
    assert asked.image_.get_array().shape == (2, 4 * 3 - 1)


@pytest.mark.filterwarnings("ignore:Training stopped")
def test_a_topographic_map_is_drawn_as_its_grid(plt):
    coder = SparseCoding(topography=(3, 8), max_iter=2, random_state=0).fit(X)
    display = ComponentsDisplay.from_estimator(coder)
    assert display.image_.get_array().shape == (3 * 9 - 1, 8 * 9 - 1)


def test_axes_given(plt):
    figure, axes = plt.subplots(1, 2)
    display = ComponentsDisplay.from_estimator(PCA(4).fit(X), ax=axes[1])
    assert display.ax_ is axes[1] and display.figure_ is figure
    assert len(plt.get_fignums()) == 1
    assert display.plot(axes[0]) is display
    assert display.ax_ is axes[0]


def test_pipeline_and_search_show_what_learnt(plt):
    pipeline = make_pipeline(MinMaxScaler(), SparseAutoencoder(4, **QUICK)).fit(X)
    shown = ComponentsDisplay.from_estimator(pipeline).components
    np.testing.assert_array_equal(shown, pipeline[-1].components_)
    search = GridSearchCV(pipeline, {"sparseautoencoder__n_components": [4]}, cv=2)
    shown = ComponentsDisplay.from_estimator(search.fit(X)).components
    np.testing.assert_array_equal(shown, search.best_estimator_[-1].components_)


def test_errors(plt):
    pca = PCA(4).fit(X)
    draw = ComponentsDisplay.from_estimator
    with pytest.raises(ValueError, match=r"order='mean_activation' needs .* PCA"):
        draw(pca, order="mean_activation")
    with pytest.raises(
        ValueError, match=r"attribute='components_' needs .* MinMaxScaler"
    ):
        draw(MinMaxScaler().fit(X))
    with pytest.raises(ValueError, match=r"order must be .*, got 'size'"):
        draw(pca, order="size")
    with pytest.raises(ValueError, match=r"contrast must be .*, got 'local'"):
        draw(pca, contrast="local")
    for n_tiles in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"n_tiles must be .*, got {n_tiles}"):
            draw(pca, n_tiles=n_tiles)
    with pytest.raises(ValueError, match=r"n_columns must be .*, got 0"):
        draw(pca, n_columns=0)
    with pytest.raises(ValueError, match="image_shape must be"):
        draw(pca, image_shape=(7, 9))
    with pytest.raises(NotFittedError):
        draw(PCA(4))
