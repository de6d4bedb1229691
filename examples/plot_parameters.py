r"""
========================
What each parameter does
========================

Each figure varies one parameter and shows its effect on the 8 x 8 digits, with 1,297
rows for training and 500 for testing. The other parameters have their defaults and
there are 64 units, except for ``sparsity_target=0.05`` and ``alpha=1.6e-4``, with which
the units are easiest to interpret.

The curves on the left are computed on the test rows:

* the *variance explained* by the reconstruction, as returned by ``score``;
* the *accuracy* of a linear classifier on the standardised codes, which is what a grid
  search over a pipeline with a classifier maximises. With 500 test rows, differences
  below 0.01 are not significant.

On the right are 25 rows of ``decoder_components_``, which is what units add to a
reconstruction, at a low, a medium and a high value. Grey is zero.
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
# More units explain more variance. With a sparsity penalty, the accuracy continues to
# rise when there are more units than pixels. The dotted lines are PCA: with few
# components it explains more variance, and up to 32 components it is also the better
# input for a linear classifier.

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
# Target for the mean code of a unit: ``sparsity_target``
# -------------------------------------------------------
#
# The lower the target, the fewer rows activate a unit; at 0.01, tiles begin to look
# like whole digits, and less variance is explained. The third curve is the mean code
# that was reached. It follows the target, except where the target is so low that the
# reconstruction would become too bad.

values = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4]
reached = {"mean code": lambda model: model.mean_activation_.mean()}
fitted = sweep(sparse, "sparsity_target", values)
save(picture("sparsity_target", values, fitted, both | reached), "sparsity_target")

# %%
# Weight of the sparsity penalty: ``sparsity_weight``
# ---------------------------------------------------
#
# With a small weight, the mean codes are determined by the reconstruction; with a large
# weight, all of them reach the target of 0.05. Beyond that, the weight has little
# effect, so it is better to search the target. The default, "scale", is about 0.5 for
# these data.

values = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
fitted = sweep(sparse, "sparsity_weight", values)
save(picture("sparsity_weight", values, fitted, both | reached), "sparsity_weight")

# %%
# Weight decay: ``alpha``
# -----------------------
#
# With increasing decay, weights become smooth, then small, and the reconstruction
# becomes worse. The accuracy decreases later, and may rise at first. For these data,
# "scale" is 1.6e-5 for the encoder and 1e-4 for the decoder.

values = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]
save(picture("alpha", values, sweep(sparse, "alpha", values), both), "alpha")

# %%
# Weights that are exactly zero: ``l1_ratio``
# -------------------------------------------
#
# ``l1_ratio`` is the share of ``alpha`` (here 1e-3) that applies to absolute values. At
# one half, most weights of the encoder are zero, and units depend on few pixels.

values = [0.0, 0.25, 0.5, 0.75, 1.0]
zeros = {"zeros in encoder": lambda model: model.sparsity_of_weights_["encoder"]}
fitted = sweep(clone(sparse).set_params(alpha=1e-3), "l1_ratio", values)
left = picture("l1_ratio", values, fitted, both | zeros, log=False, tiles="components_")
save(left, "l1_ratio")

# %%
# Noise: ``corruption_level``
# ---------------------------
#
# This is the fraction of pixels that masking sets to zero during the training of a
# denoising autoencoder. The larger it is, the worse clean rows are reconstructed. The
# third curve is for rows with 30 % of the pixels masked, and is highest after training
# with 30 to 50 %. Without noise in training, the autoencoder does not learn to fill in
# missing pixels.

values = [0.0, 0.1, 0.3, 0.5, 0.7]
denoising = DenoisingAutoencoder(
    64, corruption="masking", alpha=1.6e-4, tol=0.05, random_state=0
)
fitted = sweep(denoising, "corruption_level", values)
noisy = fitted[2].corrupt(X_test, random_state=0)


def denoised(model):
    """Fraction of the clean rows' variance explained, given noisy ones."""
    return 1 - np.sum((model.predict(noisy) - X_test) ** 2) / variance


curves = both | {"from masked rows": denoised}
left = picture("corruption_level", values, fitted, curves, log=False)
save(left, "corruption_level")

# %%
# Stability of the codes: ``contraction_weight``
# ----------------------------------------------
#
# The larger the weight, the less the code of a row changes with the row. The norm of
# the Jacobian is shown relative to its value with a very small weight. Up to a certain
# weight, it falls with almost no loss of explained variance, because the penalty first
# acts in the directions in which digits do not vary.

values = [1e-4, 1e-3, 1e-2, 0.1, 1.0]
contractive = ContractiveAutoencoder(64, alpha=1.6e-4, tol=0.05, random_state=0)
fitted = sweep(contractive, "contraction_weight", values)
norms = [model.jacobian_norm(X_test).mean() for model in fitted]
relative = dict(zip(map(id, fitted), np.divide(norms, norms[0]), strict=True))
curves = both | {"Jacobian, relative": lambda model: relative[id(model)]}
left = picture("contraction_weight", values, fitted, curves)
save(left, "contraction_weight")

# %%
# Activation function: ``activation``
# -----------------------------------
#
# These are plain autoencoders, without sparsity. Identity units span the space of PCA,
# in no particular order; 64 of them would explain all variance, so there are only 25.
# The other activations are nonlinear. Logistic and tanh units are bounded, which the
# Kullback-Leibler penalty needs. Rectified units are often exactly zero, and can be
# combined with ``sparsity="l1"``.

values = ["identity", "logistic", "tanh", "relu"]
plain = SparseAutoencoder(25, sparsity=None, alpha=1.6e-4, tol=0.03, random_state=0)
fitted = sweep(plain, "activation", values)
save(picture("activation", values, fitted, both, log=False), "activation")

# %%
# When training ends: ``tol``
# ---------------------------
#
# Training ends when the loss is expected to fall by no more than ``tol``, relative to
# its value. This does not depend on the scale of the data.

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
# Step length of Adam: ``learning_rate_init``
# -------------------------------------------
#
# The curves show the loss over the first 30 epochs with ``solver="adam"`` and, for
# comparison, over the iterations of L-BFGS, each of which also uses all rows about
# once. If the step is too short, the loss decreases slowly; if it is too long, the loss
# first increases. These few rows make only seven batches in an epoch, and ten times the
# default step is best. With many rows an epoch has more steps, and shorter steps are
# better. L-BFGS has no step length to choose.

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
# The tiles show the atoms. With a larger weight, fewer codes differ from zero and less
# variance is explained. With a small weight, many atoms may contribute to a row, and
# they need not be interpretable. A code counts as near 0 if it is less than 1 % of the
# largest.

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
