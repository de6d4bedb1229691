"""Autoencoders that feel like scikit-learn."""

from skae.estimators.sparse import SparseAutoencoder

__version__ = "0.1.0"

__all__ = ["SparseAutoencoder", "__version__"]
