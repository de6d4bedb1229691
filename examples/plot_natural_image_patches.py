r"""
=======================================
Edge detectors learned from photographs
=======================================

A sparse autoencoder that is trained on small patches of photographs learns edge
detectors: each unit responds to an edge of one direction in one place.

It computes the code :math:`h = f(W x + b)` of a patch :math:`x` with logistic units
:math:`f`, and the reconstruction :math:`\hat x = f(D^\top h + c)`. Training minimises

.. math::

    J = \frac{1}{n} \sum_i \tfrac{1}{2} \|\hat x_i - x_i\|^2
        + \frac{\alpha}{2} \left(\|W\|^2 + \|D\|^2\right)
        + \beta \sum_j \mathrm{KL}(\rho \,\|\, \hat\rho_j),

where :math:`\hat\rho_j` is the mean activation of unit :math:`j`. With :math:`\rho =
0.01`, a unit may be active in about one of a hundred patches. It must therefore learn a
feature that is rare and that explains much of the patches in which it occurs. In
photographs, edges are such features, so edge detectors are learnt although nothing in
the objective mentions edges.

This is the first exercise of Stanford's tutorial on unsupervised feature learning
(UFLDL): 10,000 patches of 8 x 8 pixels, 25 hidden units, :math:`\alpha = 10^{-4}`,
:math:`\beta = 3`, :math:`\rho = 0.01`, 400 iterations of L-BFGS.
"""

import sys
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d

from skae import SparseAutoencoder
from skae.plotting import ComponentsDisplay

# %%
# Whitened photographs
# --------------------
#
# Neighbouring pixels are nearly equal: the power of a photograph decreases with the
# square of the frequency. A squared error would therefore depend mostly on slow changes
# of brightness. Olshausen and Field (1997) multiply the spectrum by :math:`|\nu|
# \exp(-(|\nu| / \nu_0)^4)`. This makes it flat up to :math:`\nu_0 = 0.4` cycles per
# pixel and removes the noise at higher frequencies.
#
# scikit-learn has two photographs; the exercise uses ten. They are first reduced to
# half their size. A mean of 2 x 2 pixels removes most of the noise of the JPEG format,
# and the finest repeated detail, which would otherwise need several of the 25 units.


def halve(image):
    """Mean of every 2 x 2 pixels."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    blocks = image[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
    return blocks.mean(axis=(1, 3))


def whiten(image):
    """Flatten the spectrum, to unit variance."""
    rows = np.fft.fftfreq(image.shape[0])[:, np.newaxis]
    columns = np.fft.rfftfreq(image.shape[1])
    frequency = np.hypot(rows, columns)
    spectrum = np.fft.rfft2(image) * frequency * np.exp(-((frequency / 0.4) ** 4))
    white = np.fft.irfft2(spectrum, image.shape)
    # The transform takes the image to be periodic, which makes edges at its rim.
    white = white[4:-4, 4:-4]
    return white / white.std()


photographs = [image.mean(axis=2) for image in load_sample_images().images]
whitened = [whiten(halve(photograph)) for photograph in photographs]

# %%
# Patches in [0.1, 0.9]
# ---------------------
#
# As in the exercise, the mean of each patch is subtracted, values beyond three standard
# deviations are clipped, and the result is mapped to [0.1, 0.9], a range that logistic
# outputs reach without saturating.

patches = np.concatenate(
    [
        extract_patches_2d(image, (8, 8), max_patches=5000, random_state=seed)
        for seed, image in enumerate(whitened)
    ]
).reshape(10000, 64)
patches -= patches.mean(axis=1, keepdims=True)
limit = 3 * patches.std()
X = 0.5 + 0.4 * patches.clip(-limit, limit) / limit

# %%
# Training
# --------

autoencoder = SparseAutoencoder(
    n_components=25,
    output_activation="logistic",
    alpha=1e-4,
    sparsity_weight=3,
    sparsity_target=0.01,
    max_iter=400,
    random_state=0,
)
start = perf_counter()
autoencoder.fit(X)
seconds = perf_counter() - start

print(f"{autoencoder.n_iter_} iterations in {seconds:.1f} s")
print(f"loss {autoencoder.loss_:.4f}")
for name, value in autoencoder.loss_terms_.items():
    print(f"    {name:<14} {value:.4f}")
mean = autoencoder.mean_activation_
print(f"mean activation {mean.mean():.4f}, from {mean.min():.4f} to {mean.max():.4f}")
print(f"variance explained {autoencoder.score(X):.3f}")

# %%
# What the units respond to
# -------------------------
#
# Of all patches of unit length, :math:`W_j / \|W_j\|` gives the highest activation of
# unit :math:`j`. A row of ``components_`` is therefore a picture of what the unit
# responds to.

figure, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
ComponentsDisplay(X[::400] - 0.5, title="25 of the 10,000 patches").plot(axes[0])
ComponentsDisplay(
    autoencoder.components_, title="What the 25 hidden units look for"
).plot(axes[1])

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
