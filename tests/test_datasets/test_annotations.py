import copy
import math

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmxpl.datasets.annotations import (
    FrameClipper,
    check_rle,
    clip_boxes,
    decode_rle,
    encode_rle,
    has_label,
    looks_like_pixels,
    mask_box,
    pack_boxes,
    parse_boxes,
    unpack_boxes,
)
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
        ([[0, 0, 1, 1], [0, 0, '1', 1]], r'f\[1\] must be four numbers'),
        ([[0, 0, True, 1]], 'must be four numbers'),
        ([[0, 0, None, 1]], 'must be four numbers'),
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


MASK = dict(size=[2, 2], counts='04')
BOX = [0.1, 0.2, 0.3, 0.4]


def test_a_box_or_a_mask_is_a_label():
    assert has_label(dict(bboxes=[BOX]))
    assert has_label(dict(mask=MASK, bboxes=[]))
    assert not has_label(dict(bboxes=[], mask=None))
    assert not has_label({})


def _clip(annotations, ids=None):
    before, clipper = copy.deepcopy(annotations), FrameClipper()
    clips = [(i, annotations[i]) for i in ids or annotations]
    clipper.clip(clips[:3])
    clipper.clip(clips[3:])
    clipper.report('a.json')
    return {i: a['bboxes'] for i, a in annotations.items() if a != before[i]}


def test_packed_boxes_come_back():
    found = [dict(bboxes=boxes) for boxes in ([BOX], [], [BOX[::-1], BOX], None)]
    kept = copy.deepcopy(found)
    pack_boxes(found)
    assert isinstance(found[2]['bboxes'], bytes)
    unpack_boxes(found)
    assert found == kept


def test_boxes_are_clipped_and_what_changed_is_said(logged):
    annotations = dict(
        fine=dict(bboxes=[BOX]),
        wide=dict(bboxes=[[-0.5, 0, 0.5, 2]], mask=MASK),
        flat=dict(bboxes=[BOX, [0.5, 0.5, 0.5, 1]]),
        outside=dict(bboxes=[[1.2, 0, 1.5, 1]]),
        masked=dict(bboxes=[[1.2, 0, 1.5, 1]], mask=MASK),
        unasked=dict(bboxes=[[0, 0, 9, 9]]),
    )
    ids = [i for i in annotations if i != 'unasked']
    assert _clip(annotations, ids) == dict(
        wide=[[0, 0, 0.5, 1]], flat=[BOX], outside=[], masked=[]
    )
    text = logged()
    assert 'a.json: boxes of 3 clips reach out of the frame' in text
    assert '3 boxes without area were dropped' in text
    assert '1 clips have no box left and are left out: outside' in text


def test_nothing_changed_nothing_said(logged):
    assert _clip(dict(a=dict(bboxes=[BOX]), b=dict(mask=MASK))) == {}
    assert logged() == ''


def test_pixels_are_refused():
    with pytest.raises(DataError, match=r'a\.json: most boxes reach far beyond 1'):
        _clip(dict(a=dict(bboxes=[[10, 20, 99, 80]])))


def _runs(mask):
    """Uncompressed runs, column by column, the first of zeros."""
    flat = mask.T.ravel()
    runs, value = [0], 0
    for pixel in flat.tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


@pytest.mark.parametrize('density', [0.0, 0.02, 0.5, 0.98, 1.0])
def test_both_forms_decode(density):
    rng = np.random.default_rng(0)
    mask = (rng.random((67, 301)) < density).astype(np.uint8)
    mask[5:60, 40:250] ^= 1  # long runs, so that counts have several groups
    packed = coco_mask.encode(np.asfortranarray(mask))
    packed = {'size': packed['size'], 'counts': packed['counts'].decode('ascii')}
    plain = {'size': [67, 301], 'counts': _runs(mask)}
    assert (decode_rle(packed, 'x') == mask).all()
    assert (decode_rle(plain, 'x') == mask).all()


@pytest.mark.parametrize(
    'counts',
    [
        '',
        '04',
        'zzzzz',
        'ooooooooooooooooo',
        'P',
        'é',
        [50, 49],
        [5, -3, 98],
        [99.0, 1],
    ],
)
def test_runs_that_do_not_fill_the_mask_are_refused(counts):
    # pycocotools would return memory that it never wrote
    with pytest.raises(DataError, match='clip-x: the runs of the mask'):
        decode_rle({'size': [10, 10], 'counts': counts}, 'clip-x')


@pytest.mark.parametrize(
    'value',
    [
        None,
        'abc',
        {},
        {'size': [10], 'counts': 'd3'},
        {'size': [10, 0], 'counts': 'd3'},
        {'size': [10, 10.0], 'counts': 'd3'},
        {'size': [10, True], 'counts': 'd3'},
        {'size': [10, 10], 'counts': None},
        {'size': 10, 'counts': 'd3'},
    ],
)
def test_wrong_forms_are_refused(value):
    with pytest.raises(DataError, match='f must be a COCO run-length encoding'):
        check_rle(value, 'f')


def test_a_forged_size_is_refused():
    with pytest.raises(DataError, match='too many'):
        check_rle({'size': [10**6, 10**6], 'counts': 'd3'}, 'f')


def test_what_pycocotools_refuses_is_named():
    """Runs that do add up, and are not written as pycocotools would."""
    with pytest.raises(DataError, match=r'^x: the runs of the mask cannot be decoded'):
        decode_rle({'size': [7, 9], 'counts': 'PPPPP0oQ00QnoooooO'}, 'x')


def test_the_box_of_a_mask_is_tight():
    mask = np.zeros((10, 20), bool)
    mask[3:7, 5:6] = True
    assert mask_box(mask) == [0.25, 0.3, 0.3, 0.7]


def test_an_encoded_mask_is_decoded_again():
    mask = np.random.default_rng(0).random((7, 9)) < 0.4
    rle = encode_rle(mask)
    assert rle['size'] == [7, 9]
    assert (decode_rle(rle, 'm') == mask).all()
