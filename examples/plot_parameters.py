r"""
============================
What each parameter does
============================

One parameter at a time, on the 8 x 8 digits: 1,297 rows to train on, 500 to judge by.
The others stay at their defaults with 64 units, unless said otherwise, but for
``sparsity_target=0.05`` and ``alpha=1.6e-4``: units of which few are active at a time
show best what they stand for. On the left of each figure is what the parameter trades
off, on rows that training has not seen:

* the *variance explained* by the reconstruction, which is what ``score`` returns;
* the *accuracy* of a linear classifier on the standardised codes, which is what
  ``GridSearchCV`` maximises over a pipeline that ends in a classifier. With 500 rows
  to judge by, differences below 0.01 mean nothing.

On the right are 25 rows of ``decoder_components_``, what units add to a reconstruction,
at a low, a middling and a high value. Grey is zero.
"""

import sys
import warnings
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparseCoding,
)
from skae.plotting import ComponentsDisplay

started = perf_counter()
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=500, stratify=y, random_state=0
)

# A folder for the figures, if one is given.
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None


def accuracy(model):
    """Accuracy on the held-out rows of a linear classifier of the codes."""
    classifier = make_pipeline(StandardScaler(), RidgeClassifier())
    classifier.fit(model.transform(X_train), y_train)
    return classifier.score(model.transform(X_test), y_test)


def explained(model):
    """Fraction of the held-out rows' variance that is reconstructed."""
    return model.score(X_test)


def sweep(model, name, values):
    """The model fitted at each value of the parameter."""
    return [clone(model).set_params(**{name: value}).fit(X_train) for value in values]


def picture(name, values, fitted, curves, log=True, tiles="decoder_components_"):
    """Curves over the values, and tiles of the first, the middle and the last."""
    figure = plt.figure(figsize=(9.5, 3), layout="constrained")
    left, *others = figure.subplots(1, 4, width_ratios=[1.7, 1, 1, 1])
    for marker, (label, judge) in zip("os^", curves.items(), strict=False):
        heights = [judge(model) for model in fitted]
        left.plot(values, heights, marker=marker, label=label)
    if log:
        left.set_xscale("log")
    left.set_xlabel(name)
    left.grid(alpha=0.3)
    left.legend(fontsize=8)
    for ax, i in zip(others, [0, len(values) // 2, len(values) - 1], strict=True):
        ComponentsDisplay(getattr(fitted[i], tiles)[:25]).plot(ax)
        ax.set_title(f"{values[i]}", fontsize=9)
    return left


def save(ax, name):
    """Save the figure of the axes, where a folder is given."""
    if folder:
        ax.figure.savefig(folder / f"parameter_{name}.png", dpi=80)


both = {"accuracy": accuracy, "variance explained": explained}
sparse = SparseAutoencoder(
    64, sparsity_target=0.05, alpha=1.6e-4, tol=0.03, random_state=0
)

# %%
# Number of units: ``n_components``
# ---------------------------------
#
# More units reconstruct more, and with a sparsity penalty accuracy goes on rising where
# there are more units than pixels. The dotted lines are PCA: with few components it
# explains more variance, and up to 32 it is the better input for a linear classifier
# too.

values = [8, 16, 32, 64, 128, 256]
left = picture("n_components", values, sweep(sparse, "n_components", values), both)
linear = [PCA(k).fit(X_train) for k in values[:4]]
residuals = [X_test - p.inverse_transform(p.transform(X_test)) for p in linear]
variance = np.sum((X_test - X_test.mean(axis=0)) ** 2)
of_pca = {
    "o:C0": [accuracy(pca) for pca in linear],
    "s:C1": [1 - np.sum(residual**2) / variance for residual in residuals],
}
for style, heights in of_pca.items():
    left.plot(values[:4], heights, style, mfc="none")
save(left, "n_components")

# %%
# Mean code asked of a unit: ``sparsity_target``
# ----------------------------------------------
#
# The lower it is, the fewer rows a unit answers to; tiles at 0.01 begin to look like
# whole digits. The reconstruction pays for it. The third curve is the mean code that
# was reached: it follows the target, except where that is so low that the
# reconstruction resists.

values = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4]
reached = {"mean code": lambda model: model.mean_activation_.mean()}
fitted = sweep(sparse, "sparsity_target", values)
save(picture("sparsity_target", values, fitted, both | reached), "sparsity_target")

# %%
# How hard the target pulls: ``sparsity_weight``
# ----------------------------------------------
#
# With little weight units do as the reconstruction bids, with much all of them reach
# the target of 0.05. Beyond that, more weight changes little: it is the target that
# deserves the search. The default, "scale", is about 0.5 for these data.

values = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
fitted = sweep(sparse, "sparsity_weight", values)
save(picture("sparsity_weight", values, fitted, both | reached), "sparsity_weight")

# %%
# Weight decay: ``alpha``
# -----------------------
#
# Much decay makes weights smooth, then faint, and the reconstruction falls behind. What
# the codes are good for suffers later, and may gain at first. "scale" is 1.6e-5 for the
# encoder and 1e-4 for the decoder with these data.

values = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]
save(picture("alpha", values, sweep(sparse, "alpha", values), both), "alpha")

# %%
# Weights of exactly zero: ``l1_ratio``
# -------------------------------------
#
# The share of ``alpha``, here 1e-3, that goes to absolute values. Most weights of the
# encoder become zero with half of it, and units look at a few pixels each.

values = [0.0, 0.25, 0.5, 0.75, 1.0]
zeros = {"zeros in encoder": lambda model: model.sparsity_of_weights_["encoder"]}
fitted = sweep(clone(sparse).set_params(alpha=1e-3), "l1_ratio", values)
left = picture("l1_ratio", values, fitted, both | zeros, log=False, tiles="components_")
save(left, "l1_ratio")

# %%
# Noise: ``corruption_level``
# ---------------------------
#
# The fraction of pixels that masking sets to zero while a denoising autoencoder is
# trained. The more, the worse clean rows are reconstructed; the third curve is for rows
# with 30 % of the pixels masked, and is highest after training on 30 to 50 %. Without
# noise in training nothing has been learnt about missing pixels.

values = [0.0, 0.1, 0.3, 0.5, 0.7]
denoising = DenoisingAutoencoder(64, alpha=1.6e-4, tol=0.05, random_state=0)
fitted = sweep(denoising, "corruption_level", values)
noisy = fitted[2].corrupt(X_test, random_state=0)


def denoised(model):
    """Fraction of the clean rows' variance explained, given noisy ones."""
    return 1 - np.sum((model.predict(noisy) - X_test) ** 2) / variance


curves = both | {"from masked rows": denoised}
left = picture("corruption_level", values, fitted, curves, log=False)
save(left, "corruption_level")

# %%
# Stillness: ``contraction_weight``
# ---------------------------------
#
# The more weight, the less the code of a row changes with the row: the norm of its
# Jacobian is shown as a fraction of that with hardly any weight. For a while that costs
# next to nothing, since what goes first are the directions in which no digit varies.

values = [1e-4, 1e-3, 1e-2, 0.1, 1.0]
contractive = ContractiveAutoencoder(64, alpha=1.6e-4, tol=0.05, random_state=0)
fitted = sweep(contractive, "contraction_weight", values)
norms = [model.jacobian_norm(X_test).mean() for model in fitted]
relative = dict(zip(map(id, fitted), np.divide(norms, norms[0]), strict=True))
curves = both | {"Jacobian, relative": lambda model: relative[id(model)]}
left = picture("contraction_weight", values, fitted, curves)
save(left, "contraction_weight")

# %%
# Units: ``activation``
# ---------------------
#
# A plain autoencoder here, without sparsity. Identity units span the space of PCA, in
# no particular order: all 64 of them would explain everything, so there are only 25.
# The others bend the codes. Logistic and tanh units bound them, which the
# Kullback-Leibler penalty needs; rectified ones are often exactly zero, and go with
# ``sparsity="l1"``.

values = ["identity", "logistic", "tanh", "relu"]
plain = SparseAutoencoder(25, sparsity=None, alpha=1.6e-4, tol=0.03, random_state=0)
fitted = sweep(plain, "activation", values)
save(picture("activation", values, fitted, both, log=False), "activation")

# %%
# When to stop: ``tol``
# ---------------------
#
# Training ends when the loss would fall by no more than ``tol``, relatively. It does
# not depend on the scale of the data.

values = [1.0, 0.3, 0.1, 0.03, 0.01, 3e-3]
fitted = sweep(sparse, "tol", values)
left = picture("tol", values, fitted, both)
for value, model in zip(values, fitted, strict=True):
    left.annotate(
        f"{model.n_iter_} iter.",
        (value, explained(model)),
        (0, -12),
        textcoords="offset points",
        fontsize=7,
        ha="center",
    )
left.margins(0.12)
save(left, "tol")

# %%
# Step of Adam: ``learning_rate_init``
# ------------------------------------
#
# The loss over the first 30 epochs with ``solver="adam"``, and for comparison over
# L-BFGS's iterations, each of which goes through all rows about once as well. A step
# that is too short leaves the loss high, one that is too long throws it up at first.
# These few rows make seven batches an epoch, and ten times the default does best; with
# many rows an epoch has more steps, and shorter ones do. L-BFGS has no step to choose.

figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # thirty epochs are not enough, which is the point
    for rate in [3e-4, 3e-3, 3e-2, 3e-1]:
        adam = clone(sparse).set_params(solver="adam", learning_rate_init=rate)
        adam.set_params(max_iter=30, n_iter_no_change=30).fit(X_train)
        ax.plot(adam.loss_curve_, label=f"adam, {rate:g}")
    lbfgs = clone(sparse).set_params(max_iter=30, tol=0).fit(X_train)
ax.plot(lbfgs.loss_curve_, "k--", label="lbfgs")
ax.set(xlabel="epoch, or iteration of L-BFGS", ylabel="J", yscale="log")
ax.grid(alpha=0.3)
ax.legend(fontsize=8)
save(ax, "learning_rate_init")

# %%
# Sparse coding: ``sparsity_weight`` of ``SparseCoding``
# ------------------------------------------------------
#
# Here the atoms are shown. More weight leaves fewer codes that differ from zero, and
# explains less. With little, many atoms may share a row, and none need be readable. A
# code counts as near 0 below 1 % of the largest.

values = [0.01, 0.03, 0.1, 0.3]
coding = SparseCoding(64, random_state=0)
fitted = sweep(coding, "sparsity_weight", values)
rows = X_test[:200]


def silent(model):
    codes = np.abs(model.transform(rows))
    return np.mean(codes < 0.01 * codes.max())


curves = {"codes near 0": silent, "variance explained": lambda m: m.score(rows)}
left = picture("sparsity_weight", values, fitted, curves, tiles="components_")
save(left, "sparsity_weight_of_coding")

print(f"all of this took {perf_counter() - started:.0f} s")
plt.show()
