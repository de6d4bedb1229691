"""Autoencoders that feel like scikit-learn."""

from skae.estimators.coding import SparseCoding
from skae.estimators.contractive import ContractiveAutoencoder
from skae.estimators.denoising import DenoisingAutoencoder
from skae.estimators.sparse import SparseAutoencoder

__version__ = "0.1.0"

__all__ = [
    "ContractiveAutoencoder",
    "DenoisingAutoencoder",
    "SparseAutoencoder",
    "SparseCoding",
    "__version__",
]
