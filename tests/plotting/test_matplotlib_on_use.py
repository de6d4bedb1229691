"""Matplotlib is imported to plot and not before, and an error says how to get it."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import SparseAutoencoder
from skae.plotting import (
    ActivationDisplay,
    ComponentsDisplay,
    LossCurveDisplay,
    PathDisplay,
    ReconstructionDisplay,
    TopActivationsDisplay,
)

X = load_digits().data[:50] / 16
ROWS = np.arange(12.0).reshape(3, 4)


def fitted():
    return SparseAutoencoder(3, tol=0.1, random_state=0).fit(X)


def test_import_leaves_matplotlib_alone():
    code = "import sys, skae, skae.plotting; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize(
    "draw",
    [
        lambda: ComponentsDisplay(ROWS).plot(),
        lambda: ComponentsDisplay.from_estimator(PCA(2).fit(X)),
        lambda: ReconstructionDisplay({"original": ROWS}).plot(),
        lambda: ReconstructionDisplay.from_estimator(PCA(2).fit(X), X),
        lambda: ActivationDisplay(ROWS).plot(),
        lambda: ActivationDisplay.from_estimator(PCA(2).fit(X), X),
        lambda: TopActivationsDisplay({0: [(0, 1.0)]}, names=["a"]).plot(),
        lambda: TopActivationsDisplay.from_estimator(fitted(), X, [0]),
        lambda: LossCurveDisplay({"loss": [2.0, 1.0]}).plot(),
        lambda: LossCurveDisplay.from_estimator(fitted()),
        lambda: PathDisplay([0.1, 1], [0.5, 0.6], [0, 0]).plot(),
    ],
)
def test_error_names_the_extra(monkeypatch, draw):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install matplotlib"):
        draw()
