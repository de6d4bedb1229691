"""What an estimator makes of rows, as images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from skae.plotting._common import check_count, dense, last_step, pyplot
from skae.plotting._tiles import Tiles, as_tiles, frameless, gap_of, in_range, mosaic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage


class ReconstructionDisplay:
    """Originals, reconstructions and residuals as images, one above the other.

    All images share the grey scale of the first row. Residuals are the originals minus
    the reconstructions. They have a scale of their own, which is symmetric about zero
    and written beside them: red pixels are too low in the reconstruction, blue ones too
    high. (In colour images, each channel is above or below mid-grey.) Up to a hundredth
    of the residuals may lie outside this scale; they are drawn in the colour of its
    end.

    Use :meth:` ReconstructionDisplay.from_estimator` to create a display.

    Parameters
    ----------
    images : dict of str to array-like of shape (n_images, n_features)
        The rows of the display, from top to bottom, by label.

    residuals : array-like of shape (n_images, n_features), default=None
        The row at the bottom. None draws no residuals.

    image_shape : tuple of int, default=None
        Height and width of an image; for colour images (height, width, 3). None uses a
        square if the number of features allows it, else a square in three colours, else
        the rectangle that is nearest to a square.

    title : str, default=None
        Title of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the drawing.

    figure_ : matplotlib Figure
        The figure of the axes.

    images_ : dict of str to matplotlib AxesImage
        The rows of images, by label.

    residual_image_ : matplotlib AxesImage or None
        The row of residuals.

    See Also
    --------
    ComponentsDisplay : The weights from which reconstructions are computed.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.plotting import ReconstructionDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> display = ReconstructionDisplay.from_estimator(PCA(16).fit(X), X[:10])
    >>> list(display.images_)
    ['original', 'reconstruction']
    >>> plt.show()
    """

    ax_: Axes
    figure_: Figure | SubFigure
    images_: dict[str, AxesImage]
    residual_image_: AxesImage | None

    def __init__(
        self,
        images: Mapping[str, npt.ArrayLike],
        *,
        residuals: npt.ArrayLike | None = None,
        image_shape: Sequence[int] | None = None,
        title: str | None = None,
    ) -> None:
        self.images = images
        self.residuals = residuals
        self.image_shape = image_shape
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_images: int = 10,
        image_shape: Sequence[int] | None = None,
        random_state: int | np.random.RandomState | None = None,
        cmap: str | Colormap = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Reconstruct the first rows of X and draw them.

        The reconstruction is ``inverse_transform(transform(X))``, which takes a
        pipeline back to the units of X through all its steps; of an estimator
        without these, it is ``predict(X)``.
        Where the estimator, or the last step of a pipeline, has ``corrupt``, its
        noise is added in the units of that step, and it is the corrupted rows that
        are reconstructed.

        Parameters
        ----------
        estimator : object
            A fitted estimator: an autoencoder, ``PCA``, a pipeline that ends in one, or
            a regressor that was fitted to predict X.

        X : array-like of shape (n_samples, n_features)
            Data.

        n_images : int, default=10
            Maximum number of rows of X to draw.

        image_shape : tuple of int, default=None
            Height and width of an image; for colour images (height, width, 3). None
            uses a square if the number of features allows it, else a square in three
            colours, else the rectangle that is nearest to a square.

        random_state : int, RandomState instance or None, default=None
            Determines the noise if the estimator has ``corrupt``.

        cmap : str or matplotlib Colormap, default="gray"
            Colour map of the images. Not used for RGB images.

        ax : matplotlib Axes, default=None
            Axes to draw in. None creates a figure.

        Returns
        -------
        ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator computes no reconstructions, or not in the units of X, or
            if another parameter has a value that is not allowed.
        """
        check_count("n_images", n_images)
        X = X[:n_images]
        original = dense(X)
        images = {"original": original}
        if hasattr(last_step(estimator), "corrupt"):
            X = images["corrupted"] = _corrupted(estimator, X, random_state)
        reconstruction = images["reconstruction"] = _reconstructed(estimator, X)
        display = cls(
            images,
            residuals=np.subtract(original, reconstruction, dtype=np.float64),
            image_shape=image_shape,
            title=type(last_step(estimator)).__name__,
        )
        return display.plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str | Colormap = "gray") -> Self:
        """Draw the rows of images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. None creates a figure.

        cmap : str or matplotlib Colormap, default="gray"
            Colour map of the images. Not used for RGB images.

        Returns
        -------
        ReconstructionDisplay
            The display.
        """
        rows = {
            label: as_tiles(images, self.image_shape)
            for label, images in self.images.items()
        }
        first = next(iter(rows.values()))
        low, high = first.min(), first.max()
        n_rows = len(rows) + (self.residuals is not None)
        if ax is None:
            ax = _axes_for(first, n_rows)
        self.images_ = {
            label: _draw_row(ax, place, tiles, low, high, cmap)
            for place, (label, tiles) in enumerate(rows.items())
        }
        labels = list(rows)
        self.residual_image_ = None
        if self.residuals is not None:
            tiles = as_tiles(self.residuals, self.image_shape)
            limit = _scale_of(tiles)
            self.residual_image_ = _draw_row(
                ax, len(rows), tiles, -limit, limit, "RdBu_r"
            )
            labels.append(f"residual\n±{limit:.2g}")
        height = first.shape[1]
        pitch = height + gap_of(first)
        canvas_width = self.images_[labels[0]].get_extent()[1]
        ax.set(
            title=self.title,
            xlim=(0, canvas_width),
            ylim=(n_rows * pitch - gap_of(first), 0),
            xticks=[],
        )
        ax.set_yticks(np.arange(n_rows) * pitch + height / 2, labels)
        frameless(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _axes_for(tiles: Tiles, n_rows: int) -> Axes:
    """Axes of a new figure, in which the images just fit."""
    n, height, width = tiles.shape[:3]
    inches = min(0.8, 10 / n)
    size = max(3, n * inches) + 1.2, n_rows * inches * height / width + 0.5
    return pyplot().subplots(figsize=size, layout="constrained")[1]


def _scale_of(residuals: Tiles) -> float:
    """The end of their scale: a few large ones must not make the rest invisible."""
    sizes = np.abs(residuals)
    return np.quantile(sizes, 0.99) or sizes.max() or 1.0


def _draw_row(
    ax: Axes, place: int, tiles: Tiles, low: float, high: float, cmap: str | Colormap
) -> AxesImage:
    """One row of images, ``place`` rows below the top."""
    tiles, (vmin, vmax) = in_range(tiles, low, high)
    canvas = mosaic(tiles, len(tiles))
    height, width = canvas.shape[:2]
    top = place * (height + gap_of(tiles))
    return ax.imshow(
        canvas,
        cmap=cmap,
        vmin=vmin,
        vmax=vmax,
        interpolation="nearest",
        extent=(0, width, top + height, top),
    )


def _corrupted(
    estimator: Any, X: Any, random_state: int | np.random.RandomState | None
) -> Any:
    """X with the noise of the last step, in the units of X."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return estimator.corrupt(X, random_state=random_state)
    if len(estimator) == 1:
        return _corrupted(estimator[-1], X, random_state)
    before = estimator[:-1]
    noisy = _corrupted(estimator[-1], before.transform(X), random_state)
    return np.asarray(before.inverse_transform(noisy))


def _reconstructed(estimator: Any, X: Any) -> npt.NDArray[Any]:
    """The reconstruction of X, in its units and of its shape."""
    name = type(last_step(estimator)).__name__
    if hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform"):
        result = estimator.inverse_transform(estimator.transform(X))
    elif hasattr(last_step(estimator), "inverse_transform"):
        # predict would end in the units of the last step.
        raise ValueError(
            f"A step before {name} has no inverse_transform, so its reconstruction "
            "cannot be taken back to the units of X; pass pipeline[-1] and "
            "pipeline[:-1].transform(X)."
        )
    elif hasattr(estimator, "predict"):
        result = estimator.predict(X)
    else:
        raise ValueError(
            f"{name} has neither inverse_transform nor predict, so it computes "
            "no reconstructions; pass an estimator that has one of them."
        )
    result = dense(result)
    if result.shape != np.shape(X):
        raise ValueError(
            f"The reconstruction by {name} has shape {result.shape}, but X has "
            f"{np.shape(X)}; pass an estimator that reconstructs X, or the steps of "
            "the pipeline that do."
        )
    return result
