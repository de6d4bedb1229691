"""Denoising MNIST: DenoisingAutoencoder against PCA, filters, a plain autoencoder.

10,000 training rows, Gaussian noise of standard deviation 0.5 and masking of 30 % of
the pixels, each on the first 2,000 test images. The error is the mean over images of
the sum of squared differences of the pixels from the clean image's; "clipped" is
that of results clipped to [0, 1], where the pixels lie, which helps the rivals.

* PCA: ``inverse_transform(transform(noisy))``, fitted to clean or to noisy training
  rows; masked rows are also tried divided by the fraction kept, which makes them
  unbiased.
* median_filter and wiener of SciPy; wiener also with the true power of the noise.
* linear regression of the clean on the noisy pixels, with weight decay: the best
  that a linear map from pixels to pixels can do.
* a plain autoencoder of the same size and parameters, trained on clean rows.

Every rival takes the number of components or the window that is best *on the test
images*. The denoising autoencoder is chosen on 2,000 of the training rows: each
candidate is trained on the other 8,000, and the best one anew on all 10,000.
``--save PATH`` saves a picture of what each makes of ten test images.
"""

import time

import numpy as np
from _common import Table, not_converged, parse_arguments, print_header
from _images import mean_squared_distance, mnist_images, noisy
from scipy.ndimage import median_filter
from scipy.signal import wiener
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from skae import DenoisingAutoencoder, SparseAutoencoder

NOISES = {"gaussian": 0.5, "masking": 0.3}
COMPONENTS = [*range(5, 50, 5), *range(50, 200, 10), *range(200, 500, 50)]
WINDOWS = [2, 3, 4, 5, 7]
PENALTIES = [1.0, 10.0, 100.0, 1000.0, 3000.0]


def candidates(corruption, level, quick):
    """By description: denoising autoencoders to choose from."""
    return {
        f"alpha {alpha:g}": DenoisingAutoencoder(
            50 if quick else 196,
            corruption=corruption,
            corruption_level=level,
            redraw_every=20,
            output_activation="logistic",
            loss="log_loss",
            alpha=alpha,
            max_iter=20 if quick else 300,
            random_state=0,
        )
        for alpha in (1e-5, 1e-4)
    }


def plain_like(denoiser):
    """A plain autoencoder with the same parameters."""
    names = SparseAutoencoder().get_params()
    parameters = denoiser.get_params()
    return SparseAutoencoder(**{name: parameters[name] for name in names})


# -- rivals --------------------------------------------------------------------------


def by_pca(X, rows, counts):
    """(description, result) for every number of components."""
    largest = PCA(max(counts), svd_solver="covariance_eigh").fit(X)
    codes = largest.transform(rows)
    for k in counts:
        yield f"k={k}", codes[:, :k] @ largest.components_[:k] + largest.mean_


def by_median(rows):
    images = rows.reshape(-1, 28, 28)
    for window in WINDOWS:
        result = median_filter(images, size=(1, window, window))
        yield f"window {window}", result.reshape(rows.shape)


def by_wiener(rows, powers):
    for window in WINDOWS:
        for name, power in powers.items():
            with np.errstate(divide="ignore", invalid="ignore"):
                images = [wiener(row.reshape(28, 28), window, power) for row in rows]
            yield f"window {window}, {name}", np.reshape(images, rows.shape)


def by_regression(X, X_noisy, rows):
    for penalty in PENALTIES:
        model = Ridge(penalty).fit(X_noisy, X)
        yield f"penalty {penalty:g}", model.predict(rows)


def rivals(X, rows, corruption, level, quick):
    """By name: a generator of (choice, denoised rows)."""
    counts = [5, 20, 80] if quick else COMPONENTS
    X_noisy = noisy(X, corruption, level, seed=1)
    powers = {"estimated power": None}
    if corruption == "gaussian":
        powers["true power"] = level**2
    methods = {
        "noisy images": [("", rows)],
        "PCA, clean rows": by_pca(X, rows, counts),
        "PCA, noisy rows": by_pca(X_noisy, rows, counts),
    }
    if corruption == "masking":
        kept = np.float32(1 - level)
        methods["PCA, unbiased rows"] = by_pca(X, rows / kept, counts)
    return {
        **methods,
        "median filter": by_median(rows),
        "Wiener filter": by_wiener(rows, powers),
        "linear regression": by_regression(X, X_noisy, rows),
    }


# -- the comparison ------------------------------------------------------------------


def chosen(images, corruption, level, quick):
    """The candidate that denoises rows set aside from the training rows best."""
    held = images.split(len(images.X_train) // 5)
    rows = noisy(held.X_test, corruption, level, seed=2)
    errors = {}
    models = candidates(corruption, level, quick)
    for name, model in models.items():
        began = time.perf_counter()
        with not_converged():
            fitted = clone(model).fit(held.X_train)
        result = fitted.predict(rows).clip(0, 1)
        errors[name] = mean_squared_distance(result, held.X_test)
        print(
            f"candidate {name}: {errors[name]:.3g} on rows set aside, "
            f"{fitted.n_iter_} iterations, {time.perf_counter() - began:.0f} s"
        )
    best = min(errors, key=errors.get)
    return best, models[best]


def compare(images, corruption, level, quick):
    """Print a table; return the denoised test images by method."""
    X, clean = images.X_train, images.X_test
    rows = noisy(clean, corruption, level, seed=0)
    name, model = chosen(images, corruption, level, quick)
    table = Table(f"{corruption} {level:g}", "error", "clipped", "fit s", "choice")
    shown, errors = {}, {}

    def enter(method, results, seconds="-"):
        """The best of the results, before and after clipping."""
        outcomes = []
        for choice, result in results:
            clipped = result.clip(0, 1)
            pair = [mean_squared_distance(r, clean) for r in (result, clipped)]
            outcomes.append((*pair, choice, clipped))
        raw = min(outcomes, key=lambda outcome: outcome[0])
        best = min(outcomes, key=lambda outcome: outcome[1])
        shown[method], errors[method] = best[3], best[1]
        choice = best[2] if raw[2] == best[2] else f"{raw[2]}, clipped {best[2]}"
        table.row(method, raw[0], best[1], seconds, choice)

    for method, results in rivals(X, rows, corruption, level, quick).items():
        enter(method, results)
    autoencoders = {
        "plain autoencoder": plain_like(model),
        "denoising autoencoder": model,
    }
    for method, autoencoder in autoencoders.items():
        began = time.perf_counter()
        with not_converged():
            autoencoder.fit(X)
        seconds = time.perf_counter() - began
        choice = f"{name}, {autoencoder.n_iter_} iterations"
        enter(method, [(choice, autoencoder.predict(rows))], seconds)
    lowest = min(errors, key=errors.get)
    print(f"lowest after clipping: {lowest}\n", flush=True)
    return {"clean images": clean, **shown}


def draw(shown, digits, path):
    """Save ten test images, one of each digit, as every method leaves them."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    places = [np.flatnonzero(digits == digit)[0] for digit in range(10)]
    n_rows = max(map(len, shown.values()))
    figure, panels = plt.subplots(
        1, len(shown), figsize=(15, 0.62 * n_rows + 0.4), layout="constrained"
    )
    for axes, (title, methods) in zip(panels, shown.items(), strict=True):
        canvas = np.vstack(
            [
                np.hstack([rows[place].reshape(28, 28) for place in places])
                for rows in methods.values()
            ]
        )
        axes.imshow(canvas, cmap="gray_r", vmin=0, vmax=1)
        axes.set_yticks(14 + 28 * np.arange(len(methods)), list(methods))
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.set_title(title)
        axes.set_anchor("N")
    figure.savefig(path, dpi=100)


def main():
    arguments = parse_arguments(__doc__, save="")
    quick = arguments.quick
    n_train, n_test = (1000, 200) if quick else (10_000, 2000)
    images = mnist_images(arguments.data, n_train, n_test)
    print_header(f"Denoising {n_test} test images of MNIST, {n_train} training rows")
    shown = {
        f"{corruption} {level:g}": compare(images, corruption, level, quick)
        for corruption, level in NOISES.items()
    }
    if arguments.save:
        draw(shown, images.y_test, arguments.save)


if __name__ == "__main__":
    main()
