"""Samples that activate units most, as images or names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from skae.inspection._checks import checked
from skae.inspection._units import top_of_codes
from skae.plotting._common import check_count, dense, pyplot
from skae.plotting._tiles import as_tiles, frameless, in_range, mosaic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure

_COLUMNS = 4  # number of columns for units with names
_LONGEST = 34  # maximal number of letters of a name that are drawn


class TopActivationsDisplay:
    """Samples with the largest codes of some units.

    The display shows a row of images for each unit. If the samples have names, such as
    words or sentences, it shows a bar chart of their codes instead. It is recommended
    to use :meth:`~TopActivationsDisplay.from_estimator` to create the display.

    Parameters
    ----------
    tops : mapping of int to sequence of (int, float)
        For each unit, the indices and codes of samples, the largest code first.

    rows : array-like of shape (n_samples, n_features), default=None
        The samples, to be drawn as images. Either ``rows`` or ``names`` is needed.

    names : sequence of str, default=None
        The names of the samples, to be drawn instead of images.

    image_shape : tuple of int, default=None
        Height and width of an image, followed by 3 for a colour image (channels last).
        None uses a square if possible, otherwise a square with three colours if
        possible, otherwise the rectangle nearest to a square.

    Attributes
    ----------
    axes_ : ndarray of shape (n_units,) of matplotlib Axes
        The axes of each unit.

    figure_ : matplotlib Figure
        The figure with the axes.

    artists_ : list
        For each unit, the matplotlib AxesImage of the images or the BarContainer of the
        bars.

    See Also
    --------
    skae.inspection.top_samples : Find these samples.
    ComponentsDisplay : Draw the weights of the units.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import TopKAutoencoder
    >>> from skae.plotting import TopActivationsDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> model = TopKAutoencoder(64, 4, max_iter=20, random_state=0).fit(X)
    >>> display = TopActivationsDisplay.from_estimator(model, X, units=[0, 1, 2])
    >>> len(display.axes_)
    3
    >>> plt.show()
    """

    axes_: npt.NDArray[np.object_]
    figure_: Figure | SubFigure
    artists_: list[Any]

    def __init__(
        self,
        tops: Mapping[int, Sequence[tuple[int, float]]],
        *,
        rows: npt.ArrayLike | None = None,
        names: Sequence[str] | None = None,
        image_shape: Sequence[int] | None = None,
    ) -> None:
        self.tops = tops
        self.rows = rows
        self.names = names
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        units: Sequence[int],
        *,
        n: int = 8,
        names: Sequence[str] | None = None,
        image_shape: Sequence[int] | None = None,
        cmap: str | Colormap = "gray",
        ax: Sequence[Axes] | npt.NDArray[np.object_] | None = None,
    ) -> Self:
        """Encode X, and draw the samples with the largest codes.

        Parameters
        ----------
        estimator : object
            A fitted autoencoder, ``DictionaryLearning``, ``NMF``, another estimator
            with ``transform``, or a pipeline that ends in one.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        units : sequence of int
            Indices of the units to draw.

        n : int, default=8
            Maximal number of samples for each unit. Only samples with a positive code
            are drawn.

        names : sequence of str of length n_samples, default=None
            Names of the rows, such as words. None draws the rows as images.

        image_shape : tuple of int, default=None
            Shape of an image, see the parameter of the class.

        cmap : str or matplotlib Colormap, default="gray"
            Colour map of the images, except for RGB images.

        ax : sequence of matplotlib Axes, default=None
            Axes to draw in, one for each unit. None makes a figure.

        Returns
        -------
        TopActivationsDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no such unit, or if the numbers of names and rows differ.
        """
        check_count("n", n)
        codes = checked(estimator.transform(X), "codes")
        if names is not None and len(names) != codes.shape[0]:
            raise ValueError(
                f"names must be one for each row of X, {codes.shape[0]}; got "
                f"{len(names)}."
            )
        tops = {}
        for unit in units:
            indices, values = top_of_codes(codes, unit, n)
            tops[int(unit)] = list(zip(indices.tolist(), values.tolist(), strict=True))
        rows = None
        if names is None:
            # Keep only the rows that are drawn.
            drawn = sorted({index for top in tops.values() for index, _ in top})
            place = {index: i for i, index in enumerate(drawn)}
            rows = dense(X[drawn]) if drawn else np.zeros((0, np.shape(X)[1]))
            tops = {
                unit: [(place[index], code) for index, code in top]
                for unit, top in tops.items()
            }
        else:
            names = list(names)
        display = cls(tops, rows=rows, names=names, image_shape=image_shape)
        return display.plot(ax, cmap=cmap)

    def plot(
        self,
        ax: Sequence[Axes] | npt.NDArray[np.object_] | None = None,
        *,
        cmap: str | Colormap = "gray",
    ) -> Self:
        """Draw the samples of each unit.

        Parameters
        ----------
        ax : sequence of matplotlib Axes, default=None
            Axes to draw in, one for each unit. None makes a figure.

        cmap : str or matplotlib Colormap, default="gray"
            Colour map of the images, except for RGB images.

        Returns
        -------
        TopActivationsDisplay
            The display.
        """
        if (self.rows is None) == (self.names is None):
            raise ValueError(
                "One of rows, for pictures, and names must be given, and not both."
            )
        if not self.tops:
            raise ValueError("units must name at least one unit, got none.")
        axes = self._own_axes() if ax is None else np.ravel(np.asarray(ax, np.object_))
        if len(axes) != len(self.tops):
            raise ValueError(
                f"ax must be one Axes for each of the {len(self.tops)} units; got "
                f"{len(axes)}."
            )
        draw = self._draw_names if self.rows is None else self._draw_pictures
        self.artists_ = [
            draw(axis, unit, top, cmap)
            for axis, (unit, top) in zip(axes, self.tops.items(), strict=True)
        ]
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    def _own_axes(self) -> npt.NDArray[np.object_]:
        n_units = len(self.tops)
        most = max(1, *(len(top) for top in self.tops.values()))
        columns = 1 if self.rows is not None else min(_COLUMNS, n_units)
        lines = -(-n_units // columns)
        if self.rows is not None:
            size: tuple[float, float] = (1 + 0.9 * most, 1.05 * n_units)
        else:
            size = (3.2 * columns, lines * (0.6 + 0.22 * most))
        _, axes = pyplot().subplots(
            lines, columns, figsize=size, layout="constrained", squeeze=False
        )
        for axis in axes.ravel()[n_units:]:
            axis.set_axis_off()
        return np.ravel(axes)[:n_units]

    def _draw_names(
        self, ax: Axes, unit: int, top: Sequence[tuple[int, float]], cmap: Any
    ) -> Any:
        assert self.names is not None, "plot checks this"
        codes = [code for _, code in top]
        bars = ax.barh(np.arange(len(top)), codes)
        labels = [_shortened(str(self.names[index])) for index, _ in top]
        ax.set_yticks(np.arange(len(top)), labels)
        ax.invert_yaxis()
        ax.set_title(f"unit {unit}")
        ax.locator_params(axis="x", nbins=3)
        ax.tick_params(axis="y", length=0)
        ax.spines[["top", "right"]].set_visible(False)
        return bars

    def _draw_pictures(
        self, ax: Axes, unit: int, top: Sequence[tuple[int, float]], cmap: Any
    ) -> Any:
        rows = np.asarray(self.rows, dtype=np.float64)
        ax.set_ylabel(f"unit {unit}", rotation=0, ha="right", va="center")
        ax.set_xticks([])
        ax.set_yticks([])
        frameless(ax)
        if not top:
            return None
        tiles = as_tiles(rows, self.image_shape)[[index for index, _ in top]]
        tiles, (low, high) = in_range(tiles, float(rows.min()), float(rows.max()))
        # All units get the same width, so that all images have the same size.
        most = max(len(each) for each in self.tops.values())
        image = ax.imshow(mosaic(tiles, most), cmap=cmap, vmin=low, vmax=high)
        return image


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
