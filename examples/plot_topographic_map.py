r"""
==========================
A topographic map of edges
==========================

Topographic sparse coding learns a dictionary of edges and arranges it as a map, on
which neighbouring atoms are alike.

Sparse coding describes each patch :math:`x_i` of a photograph as a sum of few atoms,
which are the rows of a dictionary :math:`A`. It has no encoder: the code :math:`s_i` of
a patch minimises

.. math::

    J = \frac{1}{n} \|S A - X\|_F^2
        + \lambda \frac{1}{n} \sum_i \sum_r \sqrt{(V s_i^2)_r + \varepsilon}
        + \gamma \|A\|_F^2,

where :math:`s_i^2` is taken entry by entry. With :math:`V = I`, the second term is
nearly :math:`\sum_j |s_{ij}|`, and the order of the atoms has no meaning.

*Topographic* sparse coding places the units on a grid whose opposite edges are joined.
:math:`V` adds up the squares over every window of 3 x 3 neighbours. The square root of
a sum is less than the sum of the square roots, so the penalty is lower if units that
are active for the same patch are neighbours. The positions of the units are not given
in advance; they result from training.
"""

import sys
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d

from skae import SparseCoding

# %%
# Whitened patches
# ----------------
#
# Two photographs are reduced to half their size and whitened, as in the example on edge
# detectors: their spectrum is made flat, so that fine detail has as much influence as
# slow changes of brightness. 10,000 patches of 8 x 8 pixels are taken from each. The
# mean brightness of each patch is subtracted, so that no atom has to describe it.


def halve(image):
    """Mean of every 2 x 2 pixels."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    blocks = image[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
    return blocks.mean(axis=(1, 3))


def whiten(image):
    """Flatten the spectrum, to unit variance."""
    rows = np.fft.fftfreq(image.shape[0])[:, np.newaxis]
    frequency = np.hypot(rows, np.fft.rfftfreq(image.shape[1]))
    spectrum = np.fft.rfft2(image) * frequency * np.exp(-((frequency / 0.4) ** 4))
    white = np.fft.irfft2(spectrum, image.shape)
    # The transform takes the image to be periodic, which makes edges at its rim.
    white = white[4:-4, 4:-4]
    return white / white.std()


photographs = [image.mean(axis=2) for image in load_sample_images().images]
X = np.concatenate(
    [
        extract_patches_2d(
            whiten(halve(image)), (8, 8), max_patches=10000, random_state=seed
        )
        for seed, image in enumerate(photographs)
    ]
).reshape(20000, 64)
X -= X.mean(axis=1, keepdims=True)
X = X.astype(np.float32)

# %%
# Two dictionaries
# ----------------
#
# Both have 121 atoms, almost twice as many as pixels. With ``topography``, the atom of
# the unit in row ``r`` and column ``c`` of the grid is ``components_[11 * r + c]``. A
# map needs more rounds of training, so its ``tol`` is smaller.

plain = SparseCoding(121, random_state=0)
topographic = SparseCoding(
    topography=(11, 11), pool_size=3, tol=0.005, max_iter=500, random_state=0
)
for name, coding in [("plain", plain), ("topographic", topographic)]:
    start = perf_counter()
    coding.fit(X)
    print(
        f"{name}: {coding.n_iter_} rounds in {perf_counter() - start:.0f} s, "
        f"variance explained {coding.score(X[::20]):.3f}"
    )

# %%
# Do neighbours look alike?
# -------------------------
#
# Two measures, both between 0 and 1, are computed for every pair of atoms. The absolute
# cosine of the angle between two atoms is high if they show the same edge in the same
# place. The cosine between the amplitudes of their Fourier transforms does not depend
# on the place; it is high if they have the same direction and fineness. Distances on
# the grid are the steps of a chess king, also across the edges. On a map, the mean over
# all pairs at a distance decreases with the distance; without a map it does not.


def grid_distance(side):
    """Number of a king's moves between all pairs of units."""
    row, column = np.divmod(np.arange(side**2), side)
    apart = [np.abs(place[:, np.newaxis] - place) for place in (row, column)]
    return np.maximum(*(np.minimum(steps, side - steps) for steps in apart))


def cosines(rows):
    """Absolute cosines of the angles between all pairs of rows."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.abs(rows @ rows.T)


def amplitudes(atoms):
    """Amplitude of each spatial frequency, in finer steps than 1/8."""
    padded = np.fft.rfft2(atoms.reshape(-1, 8, 8), s=(16, 16))
    return np.abs(padded).reshape(len(atoms), -1)


distance = grid_distance(11)
steps = np.arange(1, 6)
likeness = {}
for name, coding in [("plain", plain), ("topographic", topographic)]:
    atoms = coding.components_
    for what, rows in [("atoms", atoms), ("amplitudes", amplitudes(atoms))]:
        pairs = cosines(rows)
        means = [pairs[distance == step].mean() for step in steps]
        likeness[name, what] = means
        print(f"{name:<12} {what:<11}", *(f"{mean:.3f}" for mean in means))

# %%
# The maps
# --------
#
# An atom and its negative are equivalent, because the sign of the code can change.
# Black and white may therefore be exchanged between neighbours.

figure, panels = plt.subplots(
    1, 3, figsize=(13, 4.6), width_ratios=[5, 5, 3], layout="constrained"
)


def show_map(axes, atoms, title):
    """Draw 11 x 11 atoms in their places, each in its own range of greys."""
    canvas = np.full((11 * 9 + 1, 11 * 9 + 1), np.nan)
    for index, atom in enumerate(atoms):
        row, column = 1 + 9 * (index // 11), 1 + 9 * (index % 11)
        canvas[row : row + 8, column : column + 8] = (
            atom.reshape(8, 8) / np.abs(atom).max()
        )
    axes.imshow(canvas, cmap="gray", vmin=-1, vmax=1)
    axes.set_title(title)
    axes.set_axis_off()


show_map(panels[0], plain.components_, "Plain: neighbours are strangers")
show_map(panels[1], topographic.components_, "Topographic: neighbours are alike")
for name, style in [("plain", "o--"), ("topographic", "s-")]:
    panels[2].plot(steps, likeness[name, "atoms"], style, label=name)
panels[2].set(
    title="Likeness of atoms",
    xlabel="distance on the grid",
    ylabel="mean absolute cosine",
    ylim=(0, None),
)
panels[2].set_xticks(steps)
panels[2].legend()

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
