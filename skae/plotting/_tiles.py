"""Rows of a matrix as images, side by side on one canvas.

One canvas is one artist: hundreds of tiles take no longer to draw than one, and
fit into whatever axes they are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Tiles = npt.NDArray[np.float64]  # (n, height, width), or (n, height, width, 3)
Canvas = npt.NDArray[np.float64]  # (height, width), or (height, width, 4)


def infer_image_shape(n_features: int) -> tuple[int, ...]:
    """A square, a square in three colours, or the rectangle nearest to a square.

    Returns (height, width), or (height, width, 3).
    """
    side = isqrt(n_features)
    if side**2 == n_features:
        return side, side
    third = isqrt(n_features // 3)
    if 3 * third**2 == n_features:
        return third, third, 3
    height = next(h for h in range(side, 0, -1) if n_features % h == 0)
    return height, n_features // height


def as_tiles(rows: npt.ArrayLike, image_shape: Sequence[int] | None) -> Tiles:
    """Rows of shape (n, n_features) as images of ``image_shape``, or as inferred."""
    rows = np.asarray(rows, dtype=np.float64)
    n_features = rows.shape[1]
    if image_shape is None:
        shape = infer_image_shape(n_features)
    else:
        shape = tuple(image_shape)
    is_image = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    if not is_image or min(shape) < 1 or np.prod(shape) != n_features:
        raise ValueError(
            "image_shape must be (height, width) or (height, width, 3) with a product "
            f"of {n_features}, the number of features; got image_shape={image_shape!r}."
        )
    return rows.reshape(len(rows), *shape)


def in_colour(tiles: Tiles) -> bool:
    """Whether the tiles are RGB."""
    return tiles.ndim == 4


def mosaic(tiles: Tiles, n_columns: int) -> Canvas:
    """Tiles of shape (n, height, width[, 3]) on one canvas.

    Gaps and empty places are NaN, in colour of alpha 0: both are transparent.
    """
    n, height, width = tiles.shape[:3]
    gap = gap_of(tiles)
    n_rows = -(-n // n_columns)
    cells = np.full(
        (n_rows * n_columns, height + gap, width + gap, *tiles.shape[3:]), np.nan
    )
    cells[:n, :height, :width] = tiles
    cells = cells.reshape(n_rows, n_columns, *cells.shape[1:]).swapaxes(1, 2)
    canvas = cells.reshape(
        n_rows * (height + gap), n_columns * (width + gap), *tiles.shape[3:]
    )[:-gap, :-gap]
    if not in_colour(tiles):
        return canvas
    alpha = np.isfinite(canvas[..., :1])
    return np.concatenate([np.where(alpha, canvas, 0), alpha], axis=2)


def gap_of(tiles: Tiles) -> int:
    """Pixels between two tiles."""
    return max(1, min(tiles.shape[1:3]) // 10)


def in_range(
    tiles: Tiles, low: float, high: float
) -> tuple[Tiles, tuple[float | None, float | None]]:
    """What `mosaic` takes for values between low and high, and the limits to draw.

    A colour map takes values and limits as they are; RGB has to be in [0, 1].
    """
    if not in_colour(tiles):
        return tiles, (low, high)
    span = high - low
    if span == 0:
        return np.full(tiles.shape, 0.5), (None, None)
    return ((tiles - low) / span).clip(0, 1), (None, None)


def frameless(ax: Axes) -> None:
    """No ticks and no frame; labels stay."""
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
