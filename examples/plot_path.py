r"""
=========================================
Choosing the sparsity by cross-validation
=========================================

This example chooses ``sparsity_target``, the value near which the sparse autoencoder
keeps the mean code of every unit, with :class:`~skae.AutoencoderCV`. In every fold, it
fits a sequence of values, where each fit starts from the weights of the fit before it,
and scores every fit on the held-out rows. ``LassoCV`` chooses the penalty of the lasso
in the same way.

The result depends on the score. The variance explained decreases when codes become
sparser, whatever the codes are used for. The accuracy of a linear classifier on the
codes can stay the same or increase. The example compares the two scores.
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
# Both searches use the same values and the same folds. The first one has no labels. It
# scores the reconstructions, and chooses the sparsest codes whose score is at most one
# standard error below the best. The second one uses the labels: it scores a classifier
# that is fitted to the codes.

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
# Scores and the fraction of codes near zero
# ------------------------------------------
#
# The thin lines are the folds. The band is one standard error of their mean.
#
# Left: the sparser the codes are, the worse is the reconstruction. This is true for
# nearly every data set, because the penalty makes the reconstruction worse. The curve
# therefore does not tell how sparse the codes should be.
#
# Right: the accuracy of the classifier does not increase above 0.2. Of values with
# equal scores, the one with the sparsest codes is chosen. The band is wide: with 600
# digits, the differences between neighbouring values are smaller than the standard
# error.

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
