import math

import pytest

from mmxpl.datasets.boxes import clip_boxes, looks_like_pixels, parse_boxes
from mmxpl.utils import DataError


def test_clipping_counts_and_drops():
    kept, outside, empty = clip_boxes(
        [
            [0.1, 0.2, 0.3, 0.4],
            [-0.5, 0.2, 1.5, math.inf],
            [0.4, 0.1, -2.88e16, 0.9],
            [0.2, 1.0, 0.7, 1.0],
            [0.5, 0.1, 0.4, 0.2],
        ]
    )
    assert kept == [[0.1, 0.2, 0.3, 0.4], [0.0, 0.2, 1.0, 1.0]]
    assert (outside, empty) == (2, 3)
    assert clip_boxes([]) == ([], 0, 0)


def test_integers_become_floats():
    boxes = parse_boxes([[0, 0, 1, 1]], 'x')
    assert boxes == [[0.0, 0.0, 1.0, 1.0]]
    assert all(isinstance(v, float) for v in boxes[0])


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (None, 'must be a list of boxes'),
        ({'x': 1}, 'must be a list of boxes'),
        ([0.1, 0.2, 0.3, 0.4], r'f\[0\] must be four numbers'),
        ([[0.1, 0.2, 0.3]], r'f\[0\] must be four numbers'),
        ([[0, 0, 1, 1], [0, 0, '1', 1]], r'f\[1\] must hold four numbers'),
        ([[0, 0, True, 1]], 'must hold four numbers'),
        ([[0, 0, None, 1]], 'must hold four numbers'),
        ([[0, 0, math.nan, 1]], 'NaN'),
        ([[0, 0, 10**400, 1]], 'out of range'),
    ],
)
def test_wrong_forms_are_named(value, message):
    with pytest.raises(DataError, match=message):
        parse_boxes(value, 'f')


def test_pixels_are_recognised():
    assert looks_like_pixels([[10, 20, 100, 120], [0, 0, 64, 48], [0, 0, 1, 1]])
    assert not looks_like_pixels([[10, 20, 100, 120], [0, 0, 1, 1]])
    assert not looks_like_pixels([[0, 0, math.inf, 1]])
    assert not looks_like_pixels([])
