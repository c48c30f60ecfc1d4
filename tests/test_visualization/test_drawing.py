import cv2
import numpy as np
import pytest
import torch
from matplotlib import colormaps

from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError
from mmxpl.visualization import contact_sheet, load_frame, read_picture, write_picture
from mmxpl.visualization.drawing import (
    BOX_COLOUR,
    _elide,
    _load_font,
    colour_bar,
    colour_map,
    draw_boxes,
    draw_level,
    draw_region,
    make_panel,
    overlay_heatmap,
    panel_size,
    resize,
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


@pytest.mark.parametrize(
    ('shape', 'expected'),
    [
        ((48, 48), (224, 224)),
        ((224, 224), (224, 224)),
        ((300, 400), (300, 400)),
        ((1000, 1000), (512, 512)),
        ((500, 1000), (256, 512)),
        ((48, 1000), (25, 512)),
    ],
)
def test_panels_are_neither_tiny_nor_huge(shape, expected):
    assert panel_size(shape) == expected


def test_resize_gives_the_size_asked_for():
    image = np.full((10, 20, 3), 77, np.uint8)
    for size in ((30, 30), (5, 7), (10, 20)):
        resized = resize(image, size)
        assert resized.shape == (*size, 3)
        assert (resized == 77).all()


def test_box_is_drawn_at_its_pixels():
    image = np.full((100, 200, 3), 128, np.uint8)
    picture = draw_boxes(image, np.array([[0.25, 0.5, 0.75, 0.9]]))
    cyan = (picture == BOX_COLOUR).all(2)
    expected = np.zeros((100, 200), bool)
    expected[50:90, 50:150] = True  # rows 50 ... 89, columns 50 ... 149
    expected[52:88, 52:148] = False
    assert (cyan == expected).all()
    # a rim of one pixel on both sides, and nothing else
    changed = (picture != 128).any(2)
    expected[49:91, 49:151] = True
    expected[53:87, 53:147] = False
    assert (changed == expected).all()
    assert (image == 128).all()


def test_region_is_outlined_where_it_ends():
    image = np.full((60, 60, 3), 128, np.uint8)
    mask = np.zeros((60, 60), bool)
    mask[20:40, 10:50] = True
    mask[26:34, 20:40] = False  # a hole
    picture = draw_region(image, mask)
    cyan = (picture == BOX_COLOUR).all(2)
    assert cyan[20, 10:50].all()
    assert cyan[39, 10:50].all()
    assert cyan[20:40, 10].all()
    assert cyan[20:40, 49].all()
    assert cyan[25, 20:40].any()
    assert (picture[:16] == 128).all()
    assert (picture[30, 25:35] == 128).all()
    assert (image == 128).all()


def test_box_over_the_whole_frame_stays_visible():
    picture = draw_boxes(np.zeros((50, 60, 3), np.uint8), np.array([[0, 0, 1, 1.0]]))
    for line in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (line == BOX_COLOUR).all()


def test_no_boxes_no_change():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    assert (draw_boxes(image, np.zeros((0, 4))) == image).all()


def test_panel_keeps_the_picture_and_writes_above_it():
    image = np.random.default_rng(0).integers(0, 256, (224, 300, 3), np.uint8)
    panel = make_panel(image, 'clip', 'dog barking')
    bar = len(panel) - 224
    assert bar > 0
    assert (panel[bar:] == image).all()
    assert panel[:bar].min() < 100  # there is ink
    # room is left on every side of the text
    assert (panel[:2] == 255).all()
    assert (panel[bar - 2 : bar] == 255).all()


def test_size_of_a_panel_does_not_depend_on_its_text():
    image = np.zeros((224, 224, 3), np.uint8)
    shapes = {
        make_panel(image, *text).shape
        for text in (('a', ''), ('ypg', 'ypg'), ('x' * 300, 'y' * 300), ('鳥', 'é'))
    }
    assert len(shapes) == 1


def test_long_text_is_shortened_in_its_middle():
    font = _load_font(13)
    text = 'begin_' + 'm' * 80 + '_end'
    short = _elide(text, font, 120)
    assert 80 < font.getlength(short) <= 120
    assert short.startswith('begin')
    assert short.endswith('_end')
    assert _elide('short', font, 120) == 'short'
    assert _elide('two\n lines', font, 120) == 'two lines'
    assert _elide(text, font, 1) == ''


def test_scale_runs_from_dark_zero_to_bright_one():
    image = np.zeros((224, 224, 3), np.uint8)
    bar = colour_bar((224, 224))
    assert len(bar) == len(make_panel(image, ''))
    ramp = bar[-224:, 2].sum(1, dtype=int)
    assert ramp[0] > 600
    assert ramp[-1] < 20
    assert ramp[111:113].max() == 3 * 255  # the line at one half


def flat(height, width, value):
    return np.full((height, width, 3), value, np.uint8)


def test_pictures_fill_rows_first():
    sheet = contact_sheet([flat(4, 6, v) for v in (10, 20, 30)], columns=2, padding=2)
    assert sheet.shape == (2 + 4 + 2 + 4 + 2, 2 + 6 + 2 + 6 + 2, 3)
    assert (sheet[2:6, 2:8] == 10).all()
    assert (sheet[2:6, 10:16] == 20).all()
    assert (sheet[8:12, 2:8] == 30).all()
    # all else is paper
    assert (sheet == 255).all(2).sum() == 14 * 18 - 3 * 24


def test_cells_are_as_large_as_the_largest_picture_in_line():
    small, wide, high = flat(2, 2, 0), flat(2, 9, 1), flat(7, 2, 2)
    sheet = contact_sheet([small, wide, high, small], columns=2, padding=1)
    assert sheet.shape == (1 + 2 + 1 + 7 + 1, 1 + 2 + 1 + 9 + 1, 3)
    assert (sheet[1:3, 4:13] == 1).all()
    assert (sheet[4:11, 1:3] == 2).all()
    assert (sheet[4:6, 4:6] == 0).all()


def test_more_columns_than_pictures():
    assert contact_sheet([flat(4, 6, 0)], columns=5, padding=0).shape == (4, 6, 3)


@pytest.mark.parametrize(('count', 'columns'), [(0, 1), (1, 0)])
def test_an_empty_sheet_is_refused(count, columns):
    with pytest.raises(ValueError, match='at least one picture and one column'):
        contact_sheet([flat(4, 6, 0)] * count, columns)


def make_sample(path, img_shape):
    return AVDataSample(metainfo={'img_path': str(path), 'img_shape': img_shape})


def test_written_picture_is_the_same_when_read(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)
    path = tmp_path / 'new' / 'folder' / 'bïld.png'
    write_picture(picture, path)
    bgr = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    assert (bgr[..., ::-1] == picture).all()
    assert (read_picture(str(path)) == picture).all()


def test_frame_has_the_shape_the_model_saw_in_the_order_rgb(tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :32, 0] = 250  # left half red
    picture[:, 32:, 2] = 200  # right half blue
    write_picture(picture, tmp_path / 'frame.png')
    frame = load_frame(make_sample(tmp_path / 'frame.png', (32, 32)))
    assert frame.shape == (224, 224, 3)
    assert (frame[:, :100] == (250, 0, 0)).all()
    assert (frame[:, 124:] == (0, 0, 200)).all()


def test_missing_frame_is_named(tmp_path):
    with pytest.raises(DataError, match='gone.jpg'):
        load_frame(make_sample(tmp_path / 'gone.jpg', (32, 32)))
