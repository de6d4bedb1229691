r"""
=============================
Units that look at few pixels
=============================

With weight decay every hidden unit of an autoencoder looks at every pixel, if only a
little, and what it stands for is hard to read. A penalty on the absolute values of
the weights leaves most of them at zero, exactly. ``l1_ratio`` shares ``alpha`` out
between the two, as in scikit-learn's ``ElasticNet``:

.. math::

    \alpha \left( r\, (\|W\|_1 + \|D\|_1)
        + \tfrac{1 - r}{2} (\|W\|^2 + \|D\|^2) \right).

Here are 36 units for the 8 x 8 digits, for ever larger :math:`\alpha` with
:math:`r = 1`, beside the weight decay that is the default.
"""

import sys
from time import perf_counter

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import SparseAutoencoder
from skae.plotting import ComponentsDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=500, stratify=y, random_state=0
)

# %%
# A path of penalties
# -------------------
#
# A code is judged by what a linear classifier reads from it, and by how much of the
# variance of digits that it has not seen comes back.

decays = {"weight decay": {"alpha": 1.6e-4}}
for alpha in (2e-4, 4e-4, 8e-4, 1.5e-3, 2.5e-3):
    decays[f"α = {alpha:g}"] = {"alpha": alpha, "l1_ratio": 1.0}

autoencoders, zeros, accuracies, explained = {}, [], [], []
print(f"{'':<14}{'zeros':>8}{'accuracy':>10}{'explained':>11}{'seconds':>9}")
for name, decay in decays.items():
    start = perf_counter()
    autoencoder = SparseAutoencoder(
        36, sparsity_target=0.05, random_state=0, max_iter=2000, **decay
    )
    codes = autoencoder.fit_transform(X_train)
    time = perf_counter() - start
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    classifier.fit(codes, y_train)
    autoencoders[name] = autoencoder
    zeros.append(autoencoder.sparsity_of_weights_["encoder"])
    accuracies.append(classifier.score(autoencoder.transform(X_test), y_test))
    explained.append(autoencoder.score(X_test))
    print(
        f"{name:<14}{zeros[-1]:>8.2f}{accuracies[-1]:>10.3f}"
        f"{explained[-1]:>11.3f}{time:>9.1f}"
    )

# %%
# What the units look at
# ----------------------
#
# Zero is mid-grey. With weight decay each unit has some weight everywhere; with the
# L1 penalty it looks at a few pixels, often a single one, and the rest of the tile is
# blank. With a strong penalty some units look at none: they are not worth their price.

shown = ["weight decay", "α = 0.0004", "α = 0.0015"]
figure, axes = plt.subplots(1, 4, figsize=(14, 3.8), layout="constrained")
for ax, name in zip(axes, shown, strict=False):
    autoencoder = autoencoders[name]
    share = autoencoder.sparsity_of_weights_["encoder"]
    display = ComponentsDisplay(
        autoencoder.components_, title=f"{name}: {share:.0%} zeros"
    )
    display.plot(ax)

axes[3].plot(zeros, accuracies, "o-", label="accuracy on the codes")
axes[3].plot(zeros, explained, "s--", label="variance explained")
axes[3].set(xlabel="fraction of zeros in the encoder", ylim=(None, 1))
axes[3].legend(loc="lower left")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
