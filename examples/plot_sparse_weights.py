r"""
===============================
Units that depend on few pixels
===============================

This example shows how ``l1_ratio`` sets weights to exactly zero, so that each unit
depends on few pixels and can be interpreted.

With weight decay alone, each hidden unit of an autoencoder depends at least a little on
every pixel, and it is hard to see what it stands for. A penalty on the absolute values
of the weights makes most of them exactly zero. ``l1_ratio`` divides ``alpha`` between
the two penalties, as in scikit-learn's ``ElasticNet``:

.. math::

    \alpha \left( r\, (\|W\|_1 + \|D\|_1)
        + \tfrac{1 - r}{2} (\|W\|^2 + \|D\|^2) \right).

The example fits 36 units to the 8 x 8 digits, with increasing :math:`\alpha` and
:math:`r = 1`, and compares them with the default weight decay.
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
# The codes are judged by the accuracy of a linear classifier, and by the fraction of
# variance that is explained. Both use digits that are not in the training set.

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
# On which pixels the units depend
# --------------------------------
#
# Mid-grey is zero. With weight decay, each unit has some weight on every pixel. With
# the L1 penalty, it depends on a few pixels, often on a single one, and the rest of the
# tile is grey. With a strong penalty, some units have no weights at all: they do not
# lower the error by as much as their penalty.

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
