r"""
==========================
Taking noise out of digits
==========================

A filter for images knows that neighbouring pixels are alike. It does not know what a
digit looks like. A denoising autoencoder learns just that: each clean row :math:`x`
is corrupted to :math:`\tilde x`, coded by :math:`h = f(W \tilde x + b)` with the
logistic function :math:`f`, and rebuilt as :math:`\hat x = D^\top h + c`. The weights
minimise the mean over rows, and over the noise, of the distance of the rebuilt row
from the *clean* one:

.. math::

    J = \frac{1}{n} \sum_i \mathbb{E}\,\tfrac{1}{2} \|\hat x_i - x_i\|^2
        + \frac{\alpha}{2} \left(\|W\|^2 + \|D\|^2\right).

To guess a pixel that is missing or wrong, it has to use what the other pixels tell
about it. It is given clean rows only: the noise is made during training. Afterwards
``predict`` denoises.

Here are two kinds of noise on the 8 x 8 digits, whose pixels go from 0 to 16:
Gaussian noise of standard deviation 4 on every pixel, and 30 % of the pixels lost.
"""

import sys
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import wiener
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder, SparseAutoencoder
from skae.plotting import ReconstructionDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=500, stratify=y, random_state=0
)

# %%
# Training
# --------
#
# The noise is drawn afresh every ``redraw_every`` iterations. Between draws it is
# frozen, as L-BFGS needs one function to minimise; without fresh draws, the
# autoencoder would learn the noise of the training rows by heart.
#
# ``corrupt`` makes the same kind of noise for any rows, here for the 500 digits that
# training has not seen.

kinds = {"gaussian": 4.0, "masking": 0.3}
titles = {"gaussian": "Gaussian noise, σ = 4", "masking": "30 % of the pixels lost"}
size = {"n_components": 64, "alpha": 1e-3, "max_iter": 2000, "random_state": 0}

denoisers, noisy = {}, {}
for kind, level in kinds.items():
    start = perf_counter()
    denoisers[kind] = DenoisingAutoencoder(
        corruption=kind, corruption_level=level, redraw_every=20, **size
    ).fit(X_train)
    noisy[kind] = denoisers[kind].corrupt(X_test, random_state=0)
    print(
        f"{kind}: {denoisers[kind].n_iter_} iterations "
        f"in {perf_counter() - start:.1f} s"
    )

# %%
# Rivals
# ------
#
# * PCA keeps :math:`k` directions in which digits vary, and with them only that part
#   of the noise that lies in these directions.
# * A median filter replaces each pixel by the median of a window around it.
# * A Wiener filter draws each pixel towards the mean of its window, the more the less
#   the window varies beyond the noise.
# * A plain autoencoder of the same size, trained on clean digits only, learns to
#   rebuild what it is shown: noise included.
#
# The first three have a size to choose. Each gets the size that serves best on the
# very digits it is judged on, which flatters it; the denoising autoencoder gets no
# such favour. Pixels outside 0 to 16 cannot be right, so every result is clipped.

pca_of = {k: PCA(k).fit(X_train) for k in range(1, 65)}
plain = SparseAutoencoder(sparsity=None, **size).fit(X_train)
windows = [(2, 1), (1, 2), (2, 2), (3, 1), (1, 3), (3, 3), (4, 4), (5, 5)]


def rms_error(images, clean):
    """Root mean square error of a pixel."""
    return np.sqrt(np.mean((images - clean) ** 2))


def by_pca(rows, k):
    return pca_of[k].inverse_transform(pca_of[k].transform(rows))


def by_median(rows, window):
    images = rows.reshape(-1, 8, 8)
    return median_filter(images, size=(1, *window)).reshape(-1, 64)


def by_wiener(rows, window, power):
    with np.errstate(divide="ignore", invalid="ignore"):  # windows of equal pixels
        filtered = [wiener(row.reshape(8, 8), window, power) for row in rows]
    return np.reshape(filtered, (-1, 64))


def at_best(method, rows, choices):
    """What ``method`` makes of the rows with the best of the choices for it."""
    results = [
        (method(rows, *choice).clip(0, 16), ", ".join(map(str, choice)))
        for choice in choices
    ]
    return min(results, key=lambda result: rms_error(result[0], X_test))


results = {}
for kind, rows in noisy.items():
    # The power of the noise: known, or left for the filter to estimate.
    power = 16.0 if kind == "gaussian" else None
    pca, k = at_best(by_pca, rows, [(k,) for k in pca_of])
    median, window = at_best(by_median, rows, [(window,) for window in windows])
    smooth, choice = at_best(by_wiener, rows, [(w, power) for w in windows])
    results[kind] = {
        "noisy": (rows.clip(0, 16), ""),
        "PCA": (pca, f"k = {k}"),
        "median filter": (median, f"window {window}"),
        "Wiener filter": (smooth, f"window, power: {choice}"),
        "plain\nautoencoder": (plain.predict(rows).clip(0, 16), ""),
        "denoising\nautoencoder": (denoisers[kind].predict(rows).clip(0, 16), ""),
    }

for kind, methods in results.items():
    print(f"\n{titles[kind]:<24}{'error of a pixel':>18}")
    for name, (images, choice) in methods.items():
        error = rms_error(images, X_test)
        print(f"{' '.join(name.split()):<24}{error:>18.2f}  {choice}".rstrip())

# %%
# What they make of one digit of each kind
# ----------------------------------------
#
# The median filter closes holes but thickens the strokes, the Wiener filter leaves
# what is missing as it is, and the plain autoencoder repeats the noise. PCA has the
# right idea, but its few directions mix all digits. The denoising autoencoder draws
# strokes: it has closed the holes, and left few specks beside the digits.

shown = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
figure, axes = plt.subplots(
    1, 2, figsize=(12, 4.1), layout="constrained", gridspec_kw={"wspace": 0.08}
)
for ax, (kind, methods) in zip(axes, results.items(), strict=True):
    rows = {name: images[shown] for name, (images, _) in methods.items()}
    display = ReconstructionDisplay(
        {"clean": X_test[shown], **rows}, title=titles[kind]
    )
    display.plot(ax, cmap="gray_r")
axes[1].set_yticks([])  # the same rows as on the left

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
