"""Autoencoders that feel like scikit-learn."""

from skae._version import __version__
from skae.estimators.coding import SparseCoding
from skae.estimators.contractive import ContractiveAutoencoder
from skae.estimators.denoising import DenoisingAutoencoder
from skae.estimators.sparse import SparseAutoencoder
from skae.estimators.stacked import StackedAutoencoder
from skae.estimators.stacked_classifier import StackedAutoencoderClassifier
from skae.estimators.stacked_regressor import StackedAutoencoderRegressor
from skae.estimators.top_k import TopKAutoencoder
from skae.impute import AutoencoderImputer, HeldOutEntriesScorer
from skae.model_selection._compare import compare
from skae.model_selection._path import autoencoder_path
from skae.model_selection._search import AutoencoderCV
from skae.outliers.detector import ReconstructionOutlierDetector

__all__ = [
    "AutoencoderCV",
    "AutoencoderImputer",
    "ContractiveAutoencoder",
    "DenoisingAutoencoder",
    "HeldOutEntriesScorer",
    "ReconstructionOutlierDetector",
    "SparseAutoencoder",
    "SparseCoding",
    "StackedAutoencoder",
    "StackedAutoencoderClassifier",
    "StackedAutoencoderRegressor",
    "TopKAutoencoder",
    "__version__",
    "autoencoder_path",
    "compare",
]
