r"""
=========================================
Deep classifiers from few and many labels
=========================================

This example measures what pre-training, depth and fine-tuning contribute to the
accuracy of a stack of autoencoders, and compares it with other classifiers.

A stack learns its layers one after the other and without labels, each from the codes
:math:`h^l = f(W_l h^{l-1} + b_l)` of the layer below. A softmax layer is then trained
on the top codes. Finally, all weights are trained together on

.. math::

    J = -\frac{1}{n} \sum_i \log p_i[y_i]
        + \frac{\alpha}{2} \left(\sum_l \|W_l\|^2 + \|V\|^2\right).

The data are the 8 x 8 digits, either with labels for all 1300 training rows or for 50
of them. The stack is compared with scikit-learn's ``MLPClassifier`` and with a support
vector machine, which has no layers and uses only the rows with labels.
"""

import sys
import warnings
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from skae import SparseAutoencoder, StackedAutoencoderClassifier

X, y = load_digits(return_X_y=True)
X = X / 16
n_splits, n_train, n_units = 5, 1300, 100
depths = [1, 2, 3]
few = 50

# %%
# One split
# ---------
#
# ``fine_tune=False`` ends training after the layers and the output layer. A second
# ``fit`` with ``warm_start=True`` continues from there, so pre-training has to be
# computed only once. The rows without labels are passed as ``X_unlabeled``.


def accuracies(seed):
    """Of every method, by number of labels and depth, on 497 digits not seen."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_train, stratify=y, random_state=seed
    )
    labelled, _ = train_test_split(
        np.arange(n_train), train_size=few, stratify=y_train, random_state=seed
    )
    rest = np.setdiff1d(np.arange(n_train), labelled)
    cases = {
        few: (X_train[labelled], y_train[labelled], X_train[rest]),
        n_train: (X_train, y_train, None),
    }
    found = {}
    for n_labels, (rows, labels, unlabelled) in cases.items():

        def score(name, depth, model, n_labels=n_labels):
            found[n_labels, name, depth] = model.score(X_test, y_test)

        svm = SVC(C=10).fit(rows, labels)
        for depth in depths:
            sizes = (n_units,) * depth
            autoencoder = SparseAutoencoder(
                sparsity_target=0.1,
                output_activation="logistic",
                loss="log_loss",
                max_iter=100,
            )
            stack = StackedAutoencoderClassifier(
                sizes, autoencoder=autoencoder, tol=0.05, random_state=seed
            ).set_params(fine_tune=False, warm_start=True)
            stack.fit(rows, labels, X_unlabeled=unlabelled)
            score("pre-trained, output layer only", depth, stack)
            stack.set_params(fine_tune=True).fit(rows, labels)
            score("pre-trained, fine-tuned", depth, stack)
            chance = StackedAutoencoderClassifier(
                sizes, autoencoder=None, tol=0.05, random_state=seed
            )
            score("random start", depth, chance.fit(rows, labels))
            rival = MLPClassifier(sizes, random_state=seed)
            score("MLPClassifier", depth, rival.fit(rows, labels))
            score("SVM", depth, svm)
    return found


begin = perf_counter()
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # MLPClassifier's 200 epochs
    splits = [accuracies(seed) for seed in range(n_splits)]
print(f"{n_splits} splits in {perf_counter() - begin:.0f} s")

# %%
# Accuracy by depth
# -----------------
#
# Bars are standard errors over five splits.
#
# * Pre-training helps. With 50 labels, the pre-trained layers, which have seen 1250
#   more digits, gain two to five percentage points over the same network with random
#   initial weights. With all labels they gain more than one, although they have seen no
#   other rows than the network.
# * Fine-tuning needs labels. With all 1300 labels it improves the accuracy, and more so
#   for deeper stacks. With 50 labels, the output layer already classifies all training
#   rows correctly, so fine-tuning ends after a few steps or none.
# * Depth does not help on such small digits: one layer is as good as two or three.
# * ``MLPClassifier``, with other units and another solver, is closer to the stack than
#   the network with random weights. The support vector machine is as good with 50
#   labels and better with all labels, in a fraction of the time. For data like these,
#   use it. The advantage of a stack is that it also provides codes, by ``transform``.

styles = {
    "pre-trained, output layer only": ("C0", "o--"),
    "pre-trained, fine-tuned": ("C0", "o-"),
    "random start": ("C1", "s-"),
    "MLPClassifier": ("C2", "^-"),
    "SVM": ("0.4", ":"),
}
figure, axes = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
for axis, n_labels in zip(axes, (few, n_train), strict=True):
    heads = "".join(f"{depth:>9} deep" for depth in depths)
    print(f"\n{f'{n_labels} labels':<32}{heads}")
    for place, (name, (color, style)) in enumerate(styles.items()):
        scores = 100 * np.array(
            [[split[n_labels, name, depth] for depth in depths] for split in splits]
        )
        mean = scores.mean(axis=0)
        error = scores.std(axis=0, ddof=1) / n_splits**0.5
        axis.errorbar(
            np.array(depths) + 0.03 * (place - 2),
            mean,
            error,
            fmt=style,
            color=color,
            capsize=2,
            label=name,
        )
        row = "".join(f"{m:8.1f} ± {e:.1f}" for m, e in zip(mean, error, strict=True))
        print(f"{name:<32}{row}")
    axis.set(
        title=f"{n_labels} of {n_train} rows have a label",
        xlabel="hidden layers",
        xticks=depths,
    )
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", alpha=0.3)
axes[0].set_ylabel("accuracy on 497 other digits, %")
handles, names = axes[0].get_legend_handles_labels()
figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)

# %%
# Rows without labels in a pipeline
# ---------------------------------
#
# A scaler in a pipeline has to scale the rows without labels in the same way as the
# others. A pipeline does this for the arguments that ``transform_input`` names, if
# metadata routing is enabled and the stack requests the argument.

X_train, X_test, y_train, y_test = train_test_split(
    16 * X, y, train_size=n_train, stratify=y, random_state=0
)
with sklearn.config_context(enable_metadata_routing=True):
    stack = StackedAutoencoderClassifier(
        n_units, autoencoder="sparse", max_iter=100, random_state=0
    ).set_fit_request(X_unlabeled=True)
    pipeline = Pipeline(
        [("scale", MinMaxScaler()), ("stack", stack)],
        transform_input=["X_unlabeled"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(X_train[:few], y_train[:few], X_unlabeled=X_train[few:])
print(f"\nIn a pipeline: {100 * pipeline.score(X_test, y_test):.1f} %")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
