import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmxpl.datasets.rle import check_rle, decode_rle
from mmxpl.utils import DataError


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
