"""Draw docs/images/how_a_fit_works.png: coordinates, and samples that grow.

    python docs/draw_fit.py

Left, middle: the squared error of a linear prediction from two neighbouring pixels of
photographs against its two weights, in plain and in whitened coordinates, and twenty
steps of gradient descent, each of the length that suits the steepest direction. Right:
the losses of a fit to 12,000 patches, stage by stage.
"""

import warnings
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from draw_results import GREY, OURS, PEER, STYLE
from sklearn.datasets import load_sample_images

from skae import SparseAutoencoder

N_ROWS, SIZE = 12_000, 8


def patches():
    """Square pieces of two photographs, a row each."""
    rng, pieces = np.random.RandomState(0), []
    grey = [image.mean(axis=2) / 255 for image in load_sample_images().images]
    for i in range(N_ROWS):
        image = grey[i % len(grey)]
        top, left = (rng.randint(n - SIZE) for n in image.shape)
        pieces.append(image[top : top + SIZE, left : left + SIZE].ravel())
    return np.array(pieces)


def descent(ax, C, title):
    """Contours of wᵀ C w / 2, and steps down it."""
    grid = np.linspace(-1.3, 1.3, 121)
    w = np.stack(np.meshgrid(grid, grid), axis=-1)
    loss = np.einsum("...i,ij,...j", w, C, w) / 2
    levels = loss.max() * np.geomspace(1e-3, 0.8, 9)
    ax.contour(grid, grid, loss, levels, colors=GREY, linewidths=0.7)
    at, path = np.array([1.1, 0.3]), []
    for _ in range(20):
        path.append(at)
        at = at - C @ at / np.linalg.eigvalsh(C)[-1]
    ax.plot(*np.transpose(path), "o-", color=OURS, markersize=3, linewidth=1.2)
    ax.plot(0, 0, "+", color=PEER, markersize=10, markeredgewidth=2)
    ax.set_title(title, fontsize=9.5)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])


def main():
    X = patches()
    C = np.cov(X[:, 27:29].T)
    C /= np.trace(C) / 2
    # In coordinates w = M w' with M = (C + 0.1 I)^(-1/2) the loss has M C M.
    values, vectors = np.linalg.eigh(C)
    M = vectors / np.sqrt(values + 0.1) @ vectors.T
    with plt.rc_context(STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure, axes = plt.subplots(
            1, 3, figsize=(8.8, 2.9), layout="constrained", width_ratios=(1, 1, 1.5)
        )
        descent(axes[0], C, "two neighbouring pixels")
        descent(axes[1], M @ C @ M, "the same, whitened")
        model = SparseAutoencoder(25, random_state=0, tol=0, max_iter=140).fit(X)
        curve = np.array(model.loss_curve_)
        axes[2].semilogy(np.arange(1, len(curve) + 1), curve, color=OURS)
        axes[2].set_xlabel("iteration")
        axes[2].set_ylabel("loss of the stage's rows")
        axes[2].set_title("samples that grow", fontsize=9.5)
        axes[2].minorticks_off()
        for ax in axes:
            ax.patch.set_alpha(0)
        path = Path(__file__).resolve().parent / "images/how_a_fit_works.png"
        figure.savefig(path, dpi=130, transparent=True)


if __name__ == "__main__":
    main()
