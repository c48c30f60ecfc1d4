import cv2
import numpy as np
import pytest
import torch
from matplotlib import colormaps

from mmxpl.visualization.drawing import (
    colour_map,
    draw_level,
    overlay_heatmap,
    upsample_map,
)

WHITE = np.array([255, 255, 255])


def slow_upsample(grid, height, width):
    """Bilinear interpolation whose corner samples are the corner cells."""
    rows, columns = len(grid), len(grid[0])
    out = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y = i * (rows - 1) / (height - 1)
            x = j * (columns - 1) / (width - 1)
            top, left = min(int(y), rows - 2), min(int(x), columns - 2)
            v, u = y - top, x - left
            out[i, j] = (
                (1 - v) * (1 - u) * grid[top][left]
                + (1 - v) * u * grid[top][left + 1]
                + v * (1 - u) * grid[top + 1][left]
                + v * u * grid[top + 1][left + 1]
            )
    return out


def test_upsampling_aligns_the_corners():
    prob = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    expected = slow_upsample(prob.tolist(), 11, 9)
    np.testing.assert_allclose(upsample_map(prob, (11, 9)), expected, atol=1e-6)
    np.testing.assert_allclose(upsample_map(prob[None], (11, 9)), expected, atol=1e-6)


@pytest.mark.parametrize('shape', [(7,), (2, 7, 7), (1, 1, 7, 7)])
def test_only_single_maps_are_taken(shape):
    with pytest.raises(ValueError, match=r'\(h, w\) or \(1, h, w\)'):
        upsample_map(torch.zeros(shape), (8, 8))


def test_a_bright_cell_ends_up_at_its_place():
    prob = torch.zeros(1, 7, 7)
    prob[0, 1, 5] = 0.45  # below the level at which a line is drawn
    picture = overlay_heatmap(np.zeros((97, 193, 3), np.uint8), prob)
    row, column = np.unravel_index(picture.sum(2, dtype=int).argmax(), (97, 193))
    assert (row, column) == (1 * 96 // 6, 5 * 192 // 6)
    # neighbouring cells and beyond are dark
    assert (
        picture[:, : 4 * 192 // 6].max() == picture[40:].max() == picture[-1, 0].max()
    )


def test_colours_do_not_depend_on_the_rest_of_the_map():
    alone = colour_map(np.full((2, 2), 0.3))
    beside = colour_map(np.array([[0.3, 1.0], [0.0, 0.3]]))
    assert (alone[0, 0] == beside[0, 0]).all()
    assert (alone[1, 1] == beside[1, 1]).all()


def test_colours_are_inferno_whose_lightness_grows_with_probability():
    inferno = colormaps['inferno'](np.arange(256))[:, :3] * 255
    colours = colour_map(np.linspace(0, 1, 256)[None])
    np.testing.assert_allclose(colours[0], inferno, atol=1.5)
    lab = cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lightness = lab[0, ::15, 0]
    steps = np.diff(lightness)
    assert (steps > 0).all()
    assert lightness[0] < 5
    assert lightness[-1] > 90


def test_frame_shows_through_without_colour_of_its_own():
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 10:] = (255, 0, 0)
    picture = overlay_heatmap(image, torch.zeros(4, 4)).astype(int)
    assert picture[5, 15].sum() > picture[5, 5].sum()
    left, right = picture[5, 5], picture[5, 15]
    assert len(set((right - left).tolist())) == 1  # the difference is grey


def test_line_runs_at_one_half_and_nowhere_else():
    image = np.zeros((40, 101, 3), np.uint8)
    ramp = torch.linspace(0, 1, 11).repeat(3, 1)
    picture = overlay_heatmap(image, ramp)
    white = (picture == WHITE).all(2)
    assert white[:, 50].all()
    assert not white[:, :49].any()
    assert not white[:, 52:].any()


def test_a_plateau_at_the_level_is_left_alone():
    picture = np.zeros((8, 8, 3), np.uint8)
    flat = np.full((8, 8), 0.5, np.float32)
    assert not draw_level(picture, flat, 0.5).any()
    flat[::2, ::3] += 1e-7  # such as rounding leaves
    assert not draw_level(picture, flat, 0.5).any()


def test_nothing_is_drawn_into_the_input():
    image = np.zeros((30, 30, 3), np.uint8)
    overlay_heatmap(image, torch.linspace(0, 1, 4).repeat(4, 1))
    assert not image.any()
