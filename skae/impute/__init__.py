"""Missing entries: filled in by autoencoders, or hidden to score them by.

Parts of rows are told from other parts by estimators that learn from incomplete rows,
as all autoencoders here do.
"""

from skae.impute._held_out import HeldOutEntriesScorer
from skae.impute._imputer import AutoencoderImputer

__all__ = ["AutoencoderImputer", "HeldOutEntriesScorer"]
