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

__all__ = [
    "ContractiveAutoencoder",
    "DenoisingAutoencoder",
    "SparseAutoencoder",
    "SparseCoding",
    "StackedAutoencoder",
    "StackedAutoencoderClassifier",
    "StackedAutoencoderRegressor",
    "TopKAutoencoder",
    "__version__",
]
