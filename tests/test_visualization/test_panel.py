import numpy as np
import pytest

from mmxpl.visualization.panel import (
    BOX_COLOUR,
    colour_bar,
    draw_boxes,
    draw_region,
    elide,
    load_font,
    make_panel,
    panel_size,
    resize,
)


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
    font = load_font(13)
    text = 'begin_' + 'm' * 80 + '_end'
    short = elide(text, font, 120)
    assert 80 < font.getlength(short) <= 120
    assert short.startswith('begin')
    assert short.endswith('_end')
    assert elide('short', font, 120) == 'short'
    assert elide('two\n lines', font, 120) == 'two lines'
    assert elide(text, font, 1) == ''


def test_scale_runs_from_dark_zero_to_bright_one():
    image = np.zeros((224, 224, 3), np.uint8)
    bar = colour_bar((224, 224))
    assert len(bar) == len(make_panel(image, ''))
    ramp = bar[-224:, 2].sum(1, dtype=int)
    assert ramp[0] > 600
    assert ramp[-1] < 20
    assert ramp[111:113].max() == 3 * 255  # the line at one half
