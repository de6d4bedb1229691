"""Draw docs/images/first_page.png: accuracy on codes of digits, and digits made whole.

    python docs/draw_first_page.py

Left: the comparison of the first page and the README, with more sizes; bars are the
standard errors of the mean of five folds. Right: handwritten digits that were not used
in training, of which 30 % of the pixels were lost, and what a denoising autoencoder
makes of them. It takes about a minute.
"""

import warnings
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler

from skae import DenoisingAutoencoder, SparseAutoencoder, compare

SIZES = [16, 32, 64, 128, 256]
LOST = 0.3
KINDS = {  # of the comparison: label, marker and colour
    "SparseAutoencoder": ("SparseAutoencoder", "o", "#e4572e"),
    "PCA": ("PCA", "s", "#2e86de"),
}


def accuracy(ax):
    """Five-fold accuracy of a logistic regression against the number of components."""
    X, y = load_digits(return_X_y=True)
    sparse = SparseAutoencoder(
        output_activation="logistic", sparsity_target=0.05, alpha=1e-4, random_state=0
    )
    table = compare(sparse, X, y, n_components=SIZES, scaler=MinMaxScaler(), cv=5)
    print(table)
    for name, (label, marker, color) in KINDS.items():
        sizes = sorted(size for kind, size in table.fold_scores if kind == name)
        folds = np.array([table.fold_scores[name, size] for size in sizes])
        error = folds.std(axis=1, ddof=1) / folds.shape[1] ** 0.5
        options = {"marker": marker, "color": color, "capsize": 3}
        ax.errorbar(sizes, folds.mean(axis=1), error, label=label, **options)
    (raw,) = (v for (kind, _), v in table.fold_scores.items() if kind not in KINDS)
    ax.axhline(raw.mean(), color="0.4", linestyle="--", label="raw pixels")
    ax.set_xscale("log", base=2)
    ax.set_xticks(SIZES, SIZES)
    ax.set_xlabel("number of components")
    ax.set_ylabel("five-fold accuracy")
    ax.set_title("Logistic regression on codes of digits")
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right")


def digits_made_whole(axes):
    """Rows of pictures: with pixels lost, as they are predicted, and as they were."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, _, y_test = train_test_split(
        X, y, test_size=500, stratify=y, random_state=0
    )
    model = DenoisingAutoencoder(
        64, corruption="masking", corruption_level=LOST, alpha=1e-3, random_state=0
    ).fit(X_train)
    shown = [np.flatnonzero(y_test == digit)[0] for digit in range(len(axes[0]))]
    lost = model.corrupt(X_test, random_state=0)
    names = "30 % lost", "predicted", "true"
    for row, name, images in zip(
        axes, names, (lost, model.predict(lost), X_test), strict=True
    ):
        for ax, image in zip(row, images[shown], strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_color("0.8")
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)


def main():
    figure = plt.figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.15))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        accuracy(left.subplots())
        digits_made_whole(right.subplots(3, 6))
    right.suptitle("DenoisingAutoencoder: lost pixels filled in")
    path = Path(__file__).resolve().parent / "images/first_page.png"
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
