r"""
==========================
Removing noise from digits
==========================

A denoising autoencoder learns what digits look like, and uses this to remove noise from
them. Filters for images only know that neighbouring pixels are similar.

In training, noise is added to each clean row :math:`x`, which gives :math:`\tilde x`.
The autoencoder computes the code :math:`h = f(W \tilde x + b)` with the logistic
function :math:`f`, and the reconstruction :math:`\hat x = D^\top h + c`. The weights
minimise the mean distance between the reconstruction and the *clean* row, over all rows
and over the noise:

.. math::

    J = \frac{1}{n} \sum_i \mathbb{E}\,\tfrac{1}{2} \|\hat x_i - x_i\|^2
        + \frac{\alpha}{2} \left(\|W\|^2 + \|D\|^2\right).

To predict a pixel that is missing or wrong, the autoencoder has to use the other
pixels. Only clean rows are needed for ``fit``; the noise is added during training.
Afterwards ``predict`` removes noise.

This example uses two kinds of noise on the 8 x 8 digits, whose pixels have values from
0 to 16: Gaussian noise with a standard deviation of 4 on every pixel, and masking of 30
% of the pixels.
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
# L-BFGS needs the same function in consecutive iterations, so the noise stays the same
# for ``redraw_every`` iterations. Then it is drawn again; otherwise the autoencoder
# would adapt to this particular noise.
#
# ``corrupt`` adds the same kind of noise to any rows, here to the 500 digits that are
# not used for training.

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
# Other methods
# -------------
#
# * PCA keeps :math:`k` directions in which digits vary, and only that part of the noise
#   that lies in these directions.
# * A median filter replaces each pixel by the median of a window around it.
# * A Wiener filter moves each pixel towards the mean of its window. The less the window
#   varies beyond the noise, the more it does so.
# * A plain autoencoder of the same size, trained on clean digits, learns to reconstruct
#   its input, including the noise.
#
# The first three methods have a size parameter. For each of them the best size on the
# test digits is used, which is an advantage over the denoising autoencoder. Pixels
# outside the range from 0 to 16 cannot be correct, so all results are clipped to it.

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
# Results for one digit of each class
# -----------------------------------
#
# The median filter closes holes but makes the strokes thicker. The Wiener filter does
# not fill missing pixels, and the plain autoencoder reproduces the noise. PCA finds the
# right shape, but its few directions mix all digits. The denoising autoencoder draws
# clear strokes: holes are closed, and few wrong pixels are left beside the digits.

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
