"""Missing entries: imputation, and a score for predictions of hidden entries.

Both predict entries of a row from its other entries. They use estimators that learn
from incomplete rows, such as the autoencoders of this package.
"""

from skae.impute._held_out import HeldOutEntriesScorer
from skae.impute._imputer import AutoencoderImputer

__all__ = ["AutoencoderImputer", "HeldOutEntriesScorer"]
