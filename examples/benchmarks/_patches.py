"""Whitened patches of the two photographs that scikit-learn brings."""

import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d


def _halve(image):
    """Mean of every 2 x 2 pixels."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    blocks = image[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
    return blocks.mean(axis=(1, 3))


def _whiten(image):
    """Flatten the spectrum as Olshausen and Field (1997) do, to unit variance."""
    rows = np.fft.fftfreq(image.shape[0])[:, np.newaxis]
    frequency = np.hypot(rows, np.fft.rfftfreq(image.shape[1]))
    spectrum = np.fft.rfft2(image) * frequency * np.exp(-((frequency / 0.4) ** 4))
    # The transform takes the image to be periodic, which makes edges at its rim.
    white = np.fft.irfft2(spectrum, image.shape)[4:-4, 4:-4]
    return white / white.std()


def whitened_patches(n_patches, seed=0):
    """(n_patches, 64), half of them from each photograph, float64, mixed."""
    rng = np.random.RandomState(seed)
    patches = [
        extract_patches_2d(
            _whiten(_halve(photograph.mean(axis=2))),
            (8, 8),
            max_patches=n_patches // 2,
            random_state=rng,
        )
        for photograph in load_sample_images().images
    ]
    return rng.permutation(np.concatenate(patches).reshape(-1, 64))
