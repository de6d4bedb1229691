"""Rows as images: inferred shapes, and the canvas against one put together by hand."""

import numpy as np
import pytest

from skae.plotting._tiles import as_tiles, in_range, infer_image_shape, mosaic


@pytest.mark.parametrize(
    ("n_features", "shape"),
    [
        (1, (1, 1)),
        (7, (1, 7)),
        (30, (5, 6)),
        (48, (4, 4, 3)),
        (64, (8, 8)),
        (784, (28, 28)),
        (50, (5, 10)),
        (192, (8, 8, 3)),
        (3072, (32, 32, 3)),
    ],
)
def test_inferred_shape(n_features, shape):
    assert infer_image_shape(n_features) == shape
    assert as_tiles(np.zeros((2, n_features)), None).shape == (2, *shape)


def test_inferred_shape_holds_all_features_and_lies():
    for n_features in range(1, 500):
        shape = infer_image_shape(n_features)
        assert np.prod(shape) == n_features
        assert shape[0] <= shape[1]


@pytest.mark.parametrize("shape", [(3, 5), (12,), (2, 3, 2), (-3, -4), (1, 3, 4), ()])
def test_impossible_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"image_shape must be .* product of 12"):
        as_tiles(np.zeros((2, 12)), shape)


def test_mosaic_puts_tiles_in_reading_order():
    tiles = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    canvas = mosaic(tiles, n_columns=2)
    gap, empty = np.full((2, 1), np.nan), np.full((2, 3), np.nan)
    line = np.full((1, 7), np.nan)
    expected = np.vstack(
        [
            np.hstack([tiles[0], gap, tiles[1]]),
            line,
            np.hstack([tiles[2], gap, tiles[3]]),
            line,
            np.hstack([tiles[4], gap, empty]),
        ]
    )
    np.testing.assert_array_equal(canvas, expected)


def test_mosaic_in_colour_is_transparent_between_tiles():
    tiles = np.linspace(0, 1, 2 * 2 * 2 * 3).reshape(2, 2, 2, 3)
    canvas = mosaic(tiles, n_columns=2)
    assert canvas.shape == (2, 5, 4)
    np.testing.assert_array_equal(canvas[:, :2, :3], tiles[0])
    np.testing.assert_array_equal(canvas[:, 3:, :3], tiles[1])
    np.testing.assert_array_equal(canvas[..., 3], [[1, 1, 0, 1, 1]] * 2)


def test_colours_are_brought_to_the_unit_interval():
    tiles = np.array([-3.0, -2.0, 0.0, 1.0, 2.0, 9.0]).reshape(1, 1, 2, 3)
    scaled, limits = in_range(tiles, -2.0, 2.0)
    assert scaled.ravel().tolist() == [0, 0, 0.5, 0.75, 1, 1]
    assert limits == (None, None)


def test_colours_without_range_are_grey():
    scaled, _ = in_range(np.full((1, 1, 1, 3), 7.0), 7.0, 7.0)
    assert (scaled == 0.5).all()
