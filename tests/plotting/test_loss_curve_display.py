"""LossCurveDisplay: curves, their parts, several estimators, stages of a stack."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from skae.plotting import LossCurveDisplay

X = load_digits().data[:200] / 16
QUICK = {"tol": 0.01, "random_state": 0}


class Stacked(BaseEstimator):
    """Stands for an estimator that is trained in stages."""

    def __init__(self, attribute="loss_curves_", curves=None):
        self.attribute = attribute
        self.curves = curves

    def fit(self, X=None, y=None):
        setattr(self, self.attribute, self.curves)
        return self


def legend_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


@pytest.mark.parametrize(
    ("estimator", "parts"),
    [
        (SparseAutoencoder(6, **QUICK), ["reconstruction", "decay", "sparsity"]),
        (SparseAutoencoder(6, alpha=0, sparsity=None, **QUICK), ["reconstruction"]),
        (DenoisingAutoencoder(6, **QUICK), ["reconstruction", "decay"]),
        (
            ContractiveAutoencoder(6, **QUICK),
            ["reconstruction", "decay", "contraction"],
        ),
    ],
    ids=repr,
)
def test_total_and_parts(plt, estimator, parts):
    display = LossCurveDisplay.from_estimator(estimator.fit(X))
    name = type(estimator).__name__
    assert list(display.lines_) == [name]
    iterations, losses = display.lines_[name].get_data()
    np.testing.assert_array_equal(iterations, range(1, estimator.n_iter_ + 1))
    np.testing.assert_array_equal(losses, estimator.loss_curve_)
    assert list(display.part_lines_) == parts
    for part, line in display.part_lines_.items():
        np.testing.assert_array_equal(
            line.get_ydata(), estimator.loss_curve_terms_[part]
        )
        assert line.get_color() == display.lines_[name].get_color()
    drawn = sum(line.get_ydata() for line in display.part_lines_.values())
    np.testing.assert_allclose(drawn, losses)
    assert legend_of(display) == [name, *parts]
    assert display.ax_.get_xlabel() == "iteration"
    assert display.ax_.get_ylabel() == "loss"
    assert display.ax_.get_yscale() == "log"
    assert display.figure_.axes == [display.ax_]


def test_several_estimators_share_axes_and_legend(plt):
    sparse = SparseAutoencoder(6, **QUICK).fit(X)
    contractive = ContractiveAutoencoder(6, **QUICK).fit(X)
    first = LossCurveDisplay.from_estimator(sparse)
    second = LossCurveDisplay.from_estimator(
        contractive, name="contractive", ax=first.ax_
    )
    assert second.figure_ is first.figure_
    assert len(plt.get_fignums()) == 1
    assert legend_of(second) == [
        "SparseAutoencoder",
        "contractive",
        "reconstruction",
        "decay",
        "sparsity",
        "contraction",
    ]
    lines = [first.lines_["SparseAutoencoder"], second.lines_["contractive"]]
    assert lines[0].get_color() != lines[1].get_color()
    styles = {line.get_linestyle() for line in second.part_lines_.values()}
    assert "-" not in styles


def test_without_parts(plt):
    autoencoder = SparseAutoencoder(6, **QUICK).fit(X)
    display = LossCurveDisplay.from_estimator(autoencoder, parts=False)
    assert display.part_lines_ == {}
    assert legend_of(display) == ["SparseAutoencoder"]


@pytest.mark.parametrize("attribute", ["loss_curves_", "loss_curve_"])
@pytest.mark.parametrize(
    ("curves", "stages"),
    [
        ({"layer 1": np.array([3.0, 2.0]), "all": [1.0]}, ["layer 1", "all"]),
        ([np.array([3.0, 2.0]), np.array([1.0])], ["stage 1", "stage 2"]),
    ],
    ids=["dict", "list"],
)
def test_stages(plt, attribute, curves, stages):
    stacked = Stacked(attribute, curves).fit()
    display = LossCurveDisplay.from_estimator(stacked, name="stack")
    assert legend_of(display) == [f"stack: {stage}" for stage in stages]
    first, last = display.lines_.values()
    assert first.get_ydata().tolist() == [3, 2]
    # A line through one point would be invisible.
    assert last.get_marker() == "o"


def test_other_trained_estimators(plt):
    mlp = MLPRegressor(hidden_layer_sizes=4, max_iter=500, tol=0.1, random_state=0).fit(
        X, X
    )
    display = LossCurveDisplay.from_estimator(mlp)
    assert display.lines_["MLPRegressor"].get_ydata().tolist() == mlp.loss_curve_
    pipeline = make_pipeline(MinMaxScaler(), SparseAutoencoder(6, **QUICK)).fit(X)
    assert list(LossCurveDisplay.from_estimator(pipeline).lines_) == [
        "SparseAutoencoder"
    ]


def test_training_that_had_nothing_to_do(plt):
    with pytest.warns(ConvergenceWarning, match="learnt nothing"):
        autoencoder = SparseAutoencoder(6, tol=1e6).fit(X)
    display = LossCurveDisplay.from_estimator(autoencoder)
    assert len(display.lines_["SparseAutoencoder"].get_ydata()) == 0
    assert legend_of(display) == ["SparseAutoencoder"]


def test_parts_of_other_names_are_drawn(plt):
    parts = {"reconstruction": [1.0, 0.5], "topography": [1.0, 1.0]}
    display = LossCurveDisplay({"loss": [2.0, 1.5]}, parts=parts).plot()
    assert legend_of(display) == ["loss", "reconstruction", "topography"]


@pytest.mark.parametrize("xscale", ["linear", "log"])
def test_axes_given(plt, xscale):
    figure, axes = plt.subplots(1, 2)
    axes[1].set_xscale(xscale)
    axes[1].bar([1, 2], [3, 4], label="bars")
    display = LossCurveDisplay({"loss": [2.0, 1.0]}).plot(axes[1])
    assert display.ax_ is axes[1] and display.figure_ is figure
    assert axes[1].get_xscale() == xscale
    assert sorted(legend_of(display)) == ["bars", "loss"]


def test_errors(plt):
    with pytest.raises(ValueError, match=r"needs .* loss_curve_ .* PCA does not"):
        LossCurveDisplay.from_estimator(PCA(2).fit(X))
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(SparseAutoencoder(4))
