r"""
============================================
How sparse? A path, and what it is judged by
============================================

The sparse autoencoder holds the mean code of every unit near ``sparsity_target``. How
small should that be? :class:`~skae.AutoencoderCV` goes through some values in every
fold, each fit from the weights of the one before, and scores them on the rows held out:
what ``LassoCV`` does for the lasso's penalty.

It takes more than that to find the answer, because there are two scores. The variance
that is explained falls as codes become sparser, and knows nothing of what codes are
for. What a linear classifier makes of them is another matter.
"""

import sys

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.preprocessing import MinMaxScaler

from skae import AutoencoderCV, SparseAutoencoder
from skae.plotting import PathDisplay

# %%
# Two searches
# ------------
#
# Both go along the same values, in the same folds. The first one has no labels: it
# scores reconstructions, and takes the sparsest codes whose score is within a standard
# error of the best. The second one is given the labels and a classifier downstream.

X, y = load_digits(return_X_y=True)
X, y = MinMaxScaler().fit_transform(X[:600]), y[:600]

params = {
    "estimator": SparseAutoencoder(64, tol=0.05, random_state=0),
    "param_name": "sparsity_target",
    "param_range": [0.05, 0.08, 0.13, 0.2, 0.3, 0.5],
    "cv": KFold(3, shuffle=True, random_state=0),
}
searches = {
    "by reconstruction": AutoencoderCV(**params).fit(X),
    "by a classifier of the codes": AutoencoderCV(
        **params, downstream=LogisticRegression(max_iter=1000)
    ).fit(X, y),
}
for name, search in searches.items():
    print(f"{name}: sparsity_target {search.best_value_}")

# %%
# Their scores, above the share of codes near zero
# ------------------------------------------------
#
# Thin lines are the folds, the band is a standard error of their mean.
#
# On the left, reconstruction is the worse the sparser codes are. That is no discovery:
# a penalty costs reconstruction, and a curve of this shape says nothing of how sparse
# codes should be. On the right the classifier gains nothing any more from 0.2 on, and
# of equal values the one with the sparsest codes is chosen. The band is wide, too: six
# hundred digits hardly tell neighbours apart.

figure, axes = plt.subplots(
    2,
    2,
    figsize=(10, 5.6),
    sharex=True,
    height_ratios=[1.6, 1],
    layout="constrained",
)
for (name, search), (upper, lower) in zip(searches.items(), axes.T, strict=True):
    PathDisplay.from_search(search, axes=(upper, lower))
    upper.set_title(f"Chosen {name}")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
