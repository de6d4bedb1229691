"""Displays with scikit-learn's conventions; Matplotlib is imported only to plot."""

from skae.plotting._activation import ActivationDisplay
from skae.plotting._comparison import ComparisonDisplay
from skae.plotting._components import ComponentsDisplay
from skae.plotting._loss_curve import LossCurveDisplay
from skae.plotting._outlier import OutlierDisplay
from skae.plotting._path import PathDisplay
from skae.plotting._reconstruction import ReconstructionDisplay
from skae.plotting._top_activations import TopActivationsDisplay

__all__ = [
    "ActivationDisplay",
    "ComparisonDisplay",
    "ComponentsDisplay",
    "LossCurveDisplay",
    "OutlierDisplay",
    "PathDisplay",
    "ReconstructionDisplay",
    "TopActivationsDisplay",
]
