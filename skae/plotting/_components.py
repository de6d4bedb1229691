"""What the hidden units stand for, as images."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from skae.plotting._common import check_count, check_option, last_step, pyplot
from skae.plotting._tiles import as_tiles, frameless, in_range, mosaic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage

_ORDERS = ("fitted", "mean_activation")
_CONTRASTS = ("tile", "common")


class ComponentsDisplay:
    """Filters or dictionary atoms as tiles of one image.

    A row of ``components_`` shows what a unit responds to. A row of the
    ``decoder_components_`` of an autoencoder shows what an active unit adds to a
    reconstruction. Mid-grey is zero; lighter pixels are positive weights, and darker
    ones negative weights.

    Use :meth:` ComponentsDisplay.from_estimator` to create a display.

    Parameters
    ----------
    components : array-like of shape (n_tiles, n_features)
        The rows to draw, in the order in which they are drawn.

    image_shape : tuple of int, default=None
        Height and width of a tile; for colour images (height, width, 3). None uses a
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

    image_ : matplotlib AxesImage
        All tiles, on one canvas.

    See Also
    --------
    ReconstructionDisplay : Rows and their reconstructions.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoder
    >>> from skae.plotting import ComponentsDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> autoencoder = SparseAutoencoder(36, tol=0.05, random_state=0).fit(X)
    >>> display = ComponentsDisplay.from_estimator(
    ...     autoencoder, attribute="decoder_components_", order="mean_activation"
    ... )
    >>> print(display.ax_.get_title())
    SparseAutoencoder: decoder_components_
    most active first
    >>> plt.show()
    """

    ax_: Axes
    figure_: Figure | SubFigure
    image_: AxesImage

    def __init__(
        self,
        components: npt.ArrayLike,
        *,
        image_shape: Sequence[int] | None = None,
        title: str | None = None,
    ) -> None:
        self.components = components
        self.image_shape = image_shape
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        attribute: str = "components_",
        image_shape: Sequence[int] | None = None,
        order: Literal["fitted", "mean_activation"] = "fitted",
        n_tiles: int | None = 100,
        n_columns: int | None = None,
        contrast: Literal["tile", "common"] = "tile",
        cmap: str | Colormap = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Draw the components of a fitted estimator.

        Parameters
        ----------
        estimator : object
            A fitted estimator with the attribute: an autoencoder, ``PCA``, ``NMF``,
            ``BernoulliRBM``, ... For a pipeline, the weights of its last step are
            drawn, on the input features of that step; for a search, those of the best
            estimator.

        attribute : str, default="components_"
            Name of the fitted attribute of shape (n_components, n_features).

        image_shape : tuple of int, default=None
            Height and width of a tile; for colour images (height, width, 3). None
            uses a square if the number of features allows it, else a square in three
            colours, else the rectangle that is nearest to a square.

        order : {"fitted", "mean_activation"}, default="fitted"
            "mean_activation" sorts the units by ``mean_activation_``, the most active
            one first.

        n_tiles : int or None, default=100
            Maximum number of tiles. The first ones in the given order are drawn. None
            draws all.

        n_columns : int, default=None
            Number of tiles in a row. None makes the canvas nearly square, or as wide as
            the grid if the estimator has a ``topography``.

        contrast : {"tile", "common"}, default="tile"
            Whether black and white stand for the largest absolute weight (negative and
            positive) of each tile, or of all tiles.

        cmap : str or matplotlib Colormap, default="gray"
            Colour map of the weights. Not used for RGB tiles.

        ax : matplotlib Axes, default=None
            Axes to draw in. None creates a figure.

        Returns
        -------
        ComponentsDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator does not have the attribute, or ``mean_activation_`` when
            ``order`` needs it, or if another parameter has a value that is not allowed.
        """
        check_option("order", order, _ORDERS)
        if n_tiles is not None:
            check_count("n_tiles", n_tiles)
        estimator = last_step(estimator)
        check_is_fitted(estimator)
        rows = _attribute(estimator, attribute, "attribute", attribute)
        which = []
        if n_tiles is not None and n_tiles < len(rows):
            which.append(f"{n_tiles} of {len(rows)}")
        if order == "mean_activation":
            activity = _attribute(estimator, "mean_activation_", "order", order)
            rows = rows[np.argsort(-activity, kind="stable")]
            which.append("most active first")
        title = f"{type(estimator).__name__}: {attribute}"
        if which:
            title += "\n" + ", ".join(which)
        grid = getattr(estimator, "topography", None)
        if n_columns is None and grid is not None and order == "fitted":
            n_columns = grid[1]  # so that neighbours on the map are neighbours here
        display = cls(rows[:n_tiles], image_shape=image_shape, title=title)
        return display.plot(ax, n_columns=n_columns, contrast=contrast, cmap=cmap)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        n_columns: int | None = None,
        contrast: Literal["tile", "common"] = "tile",
        cmap: str | Colormap = "gray",
    ) -> Self:
        """Draw the tiles.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. None creates a figure.

        n_columns : int, default=None
            Number of tiles in a row. None makes the canvas nearly square.

        contrast : {"tile", "common"}, default="tile"
            Whether black and white stand for the largest absolute weight (negative and
            positive) of each tile, or of all tiles. With "common", ``image_`` holds
            the weights themselves, so a colour bar shows their values.

        cmap : str or matplotlib Colormap, default="gray"
            Colour map of the weights. Not used for RGB tiles.

        Returns
        -------
        ComponentsDisplay
            The display.
        """
        check_option("contrast", contrast, _CONTRASTS)
        tiles = as_tiles(self.components, self.image_shape)
        n, height, width = tiles.shape[:3]
        if n_columns is None:
            n_columns = min(n, ceil((n * height / width) ** 0.5))
        check_count("n_columns", n_columns)
        within = tuple(range(contrast == "tile", tiles.ndim))
        limit = np.abs(tiles).max(axis=within, keepdims=True)
        limit = np.where(limit == 0, 1, limit)  # a tile of zeros is mid-grey
        if contrast == "tile":
            tiles, limit = tiles / limit, 1
        tiles, (vmin, vmax) = in_range(tiles, -np.max(limit), np.max(limit))
        if ax is None:
            _, ax = pyplot().subplots(figsize=(5, 5), layout="constrained")
        self.image_ = ax.imshow(
            mosaic(tiles, n_columns),
            cmap=cmap,
            vmin=vmin,
            vmax=vmax,
            interpolation="nearest",
        )
        ax.set(title=self.title, xticks=[], yticks=[])
        frameless(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _attribute(
    estimator: Any, attribute: str, parameter: str, value: str
) -> npt.NDArray[Any]:
    """The fitted attribute, or an error that names the parameter that asks for it."""
    if not hasattr(estimator, attribute):
        raise ValueError(
            f"{parameter}={value!r} needs an estimator with {attribute}, which "
            f"{type(estimator).__name__} does not have; use another {parameter}, or "
            "pass the step of the pipeline that has it."
        )
    return np.asarray(getattr(estimator, attribute))
