"""Tools to interpret units, and measures of codes and dictionaries."""

from skae.inspection._dictionaries import matched_units, stability
from skae.inspection._measures import (
    explained_variance,
    hoyer_sparsity,
    monosemanticity,
    sparse_probing,
)
from skae.inspection._units import activation_frequency, dead_units, top_samples

__all__ = [
    "activation_frequency",
    "dead_units",
    "explained_variance",
    "hoyer_sparsity",
    "matched_units",
    "monosemanticity",
    "sparse_probing",
    "stability",
    "top_samples",
]
