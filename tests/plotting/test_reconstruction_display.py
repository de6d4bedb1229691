"""ReconstructionDisplay: what is reconstructed, in whose units, and in what range."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler

from skae import ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from skae.plotting import ReconstructionDisplay

X = load_digits().data[:200]
QUICK = {"tol": 0.1, "random_state": 0}


def label_texts(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


@pytest.mark.parametrize(
    ("estimator", "reconstruct"),
    [
        (SparseAutoencoder(6, **QUICK), lambda e: e.predict(X[:7])),
        (ContractiveAutoencoder(6, **QUICK), lambda e: e.predict(X[:7])),
        (PCA(6), lambda e: e.transform(X[:7]) @ e.components_ + e.mean_),
        (LinearRegression(), lambda e: X[:7] @ e.coef_.T + e.intercept_),
    ],
    ids=lambda value: type(value).__name__,
)
def test_original_reconstruction_and_residual(plt, estimator, reconstruct):
    display = ReconstructionDisplay.from_estimator(estimator.fit(X, X), X, n_images=7)
    expected = reconstruct(estimator)
    np.testing.assert_array_equal(display.images["original"], X[:7])
    np.testing.assert_allclose(display.images["reconstruction"], expected, atol=1e-9)
    np.testing.assert_allclose(display.residuals, X[:7] - expected, atol=1e-9)
    assert display.ax_.get_title() == type(estimator).__name__
    assert label_texts(display)[:2] == ["original", "reconstruction"]
    assert label_texts(display)[2].startswith("residual\n±")
    assert display.figure_.axes == [display.ax_]


def test_corrupted_rows_are_what_is_reconstructed(plt):
    denoising = DenoisingAutoencoder(6, **QUICK).fit(X)
    display = ReconstructionDisplay.from_estimator(denoising, X, random_state=3)
    noisy = denoising.corrupt(X[:10], random_state=3)
    assert list(display.images_) == ["original", "corrupted", "reconstruction"]
    np.testing.assert_array_equal(display.images["corrupted"], noisy)
    clean = denoising.predict(noisy)
    np.testing.assert_allclose(display.images["reconstruction"], clean)
    np.testing.assert_allclose(display.residuals, X[:10] - clean, atol=1e-12)
    assert len(label_texts(display)) == 4


def test_pipeline_comes_back_to_the_units_of_its_input(plt):
    scaler = StandardScaler().fit(X)
    autoencoder = SparseAutoencoder(6, **QUICK).fit(scaler.transform(X))
    expected = scaler.mean_ + scaler.scale_ * autoencoder.predict(
        (X[:10] - scaler.mean_) / scaler.scale_
    )
    pipeline = make_pipeline(scaler, autoencoder)
    display = ReconstructionDisplay.from_estimator(pipeline, X)
    np.testing.assert_allclose(display.images["reconstruction"], expected)
    assert display.ax_.get_title() == "SparseAutoencoder"


@pytest.mark.parametrize("search", [False, True])
def test_noise_in_a_pipeline_is_of_the_last_steps_units(plt, search):
    # Masking to 0 after standardisation is masking to the column's mean.
    masking = DenoisingAutoencoder(6, corruption="masking", **QUICK)
    estimator = make_pipeline(StandardScaler(), make_pipeline(masking))
    if search:
        estimator = GridSearchCV(estimator, {"standardscaler__copy": [True]}, cv=2)
    estimator.fit(X)
    display = ReconstructionDisplay.from_estimator(estimator, X, random_state=0)
    noisy = display.images["corrupted"]
    means = np.broadcast_to(X.mean(axis=0), noisy.shape)
    masked = ~np.isclose(noisy, X[:10])
    assert 0.05 < masked.mean() < 0.35  # of 0.3, less the constant pixels
    np.testing.assert_allclose(noisy[masked], means[masked], atol=1e-9)
    best = estimator.best_estimator_ if search else estimator
    expected = best[0].inverse_transform(best[1].predict(best[0].transform(noisy)))
    np.testing.assert_allclose(display.images["reconstruction"], expected)


def test_ranges(plt):
    rows = np.array([[0.0, 2.0, 5.0, 1.0]])
    display = ReconstructionDisplay(
        {"a": rows, "b": 3 * rows}, residuals=rows - 3, title="title"
    ).plot()
    assert {image.get_clim() for image in display.images_.values()} == {(0, 5)}
    low, high = display.residual_image_.get_clim()
    assert low == -high and 2.9 < high <= 3
    assert display.ax_.get_title() == "title"
    # Rows stand below each other and do not overlap.
    spans = [
        sorted(image.get_extent()[2:])
        for image in [*display.images_.values(), display.residual_image_]
    ]
    assert spans == [[0, 2], [3, 5], [6, 8]]
    assert sorted(display.ax_.get_ylim()) == [0, 8]
    assert display.ax_.yaxis_inverted()


def test_one_outlier_does_not_hide_the_other_residuals(plt):
    rows = np.full((10, 64), 0.1)
    rows[0, 0] = 100
    display = ReconstructionDisplay({"a": rows}, residuals=rows).plot()
    assert display.residual_image_.get_clim() == (-0.1, 0.1)
    # A single residual is not an outlier among zeros.
    alone = np.zeros((10, 64))
    alone[0, 0] = 2
    display = ReconstructionDisplay({"a": rows}, residuals=alone).plot()
    assert display.residual_image_.get_clim() == (-2, 2)


def test_exact_reconstruction_has_residuals_of_no_colour(plt):
    rows = np.arange(8.0).reshape(2, 4)
    display = ReconstructionDisplay({"a": rows}, residuals=0 * rows).plot()
    low, high = display.residual_image_.get_clim()
    assert low == -high < 0


def test_without_residuals(plt):
    display = ReconstructionDisplay({"a": np.eye(4), "b": np.eye(4)}).plot()
    assert display.residual_image_ is None
    assert label_texts(display) == ["a", "b"]


def test_colour(plt):
    rows = np.linspace(10, 20, 24).reshape(2, 12)
    display = ReconstructionDisplay({"a": rows}, residuals=rows - 15).plot()
    shown = display.images_["a"].get_array()
    np.testing.assert_allclose(
        shown[:, :2, :3], (rows[0].reshape(2, 2, 3) - 10) / 10, atol=1e-12
    )
    assert display.residual_image_.get_array().shape == (2, 5, 4)


def test_axes_given(plt):
    figure, axes = plt.subplots(2, 1)
    pca = PCA(6).fit(X)
    display = ReconstructionDisplay.from_estimator(pca, X, ax=axes[1])
    assert display.ax_ is axes[1] and display.figure_ is figure
    assert len(plt.get_fignums()) == 1
    assert display.plot(axes[0]) is display
    assert display.ax_ is axes[0]


def test_table_of_pandas(plt):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X).rename(columns=str)
    pipeline = make_pipeline(MinMaxScaler(), SparseAutoencoder(6, **QUICK))
    pipeline.set_output(transform="pandas").fit(table)
    display = ReconstructionDisplay.from_estimator(pipeline, table)
    np.testing.assert_array_equal(display.images["original"], X[:10])
    assert isinstance(display.residuals, np.ndarray)


@pytest.mark.parametrize("container", [np.uint8, list, csr_matrix], ids=repr)
def test_other_containers(plt, container):
    svd = TruncatedSVD(6, random_state=0).fit(X)
    rows = X.tolist() if container is list else container(X)
    display = ReconstructionDisplay.from_estimator(svd, rows)
    np.testing.assert_array_equal(display.images["original"], X[:10])
    expected = X[:10] - X[:10] @ svd.components_.T @ svd.components_
    np.testing.assert_allclose(display.residuals, expected, atol=1e-9)


def test_errors(plt):
    draw = ReconstructionDisplay.from_estimator
    with pytest.raises(ValueError, match="BernoulliRBM has neither"):
        draw(BernoulliRBM(4, n_iter=1).fit(X / 16), X / 16)
    with pytest.raises(ValueError, match=r"KMeans has shape \(10,\), but X .* 64\)"):
        draw(KMeans(2, n_init=1).fit(X), X)
    one_way = make_pipeline(Normalizer(), SparseAutoencoder(4, **QUICK)).fit(X)
    with pytest.raises(ValueError, match="before SparseAutoencoder has no inverse"):
        draw(one_way, X)
    with pytest.raises(ValueError, match=r"n_images must be .*, got 0"):
        draw(PCA(2).fit(X), X, n_images=0)
    with pytest.raises(NotFittedError):
        draw(SparseAutoencoder(4), X)
