import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from mmxpl.datasets import RasterizeTargets
from mmxpl.utils import DataError


def _rle(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': rle['size'], 'counts': rle['counts'].decode('ascii')}


def _run(size, source='boxes', **label):
    results = {'sample_id': 'a', 'is_labeled': True, 'bboxes': None, 'mask': None}
    results.update(label)
    return RasterizeTargets(size, source)(results).get('gt_map')


def test_union_of_boxes_as_the_protocol_draws_it():
    rng = np.random.default_rng(0)
    corners = rng.random((50, 2, 2, 2))
    # 224 * 0.296875 is a whole number: float32 would truncate it elsewhere
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=-1)
    boxes[0, 0, 0] = 0.296875
    for pair in boxes.tolist():
        expected = np.zeros((224, 224))
        for x1, y1, x2, y2 in pair:
            rows = slice(int(224 * y1), int(224 * y2))
            expected[rows, int(224 * x1) : int(224 * x2)] = 1
        gt_map = _run(224, bboxes=pair)
        assert gt_map.dtype == torch.float32
        assert (gt_map.numpy() == expected).all()


def test_mask_is_resized_by_area():
    rng = np.random.default_rng(1)
    mask = rng.random((64, 96)) < 0.5
    cells = mask.reshape(16, 4, 16, 6).mean(axis=(1, 3))
    gt_map = _run(16, 'mask', mask=_rle(mask))
    assert (cells == 0.5).any()  # ties count as covered
    assert (gt_map.numpy() == (cells >= 0.5)).all()


def test_a_small_mask_is_enlarged_in_place():
    mask = np.zeros((6, 8))
    mask[2:5, 1:4] = 1
    gt_map = _run(48, 'mask', mask=_rle(mask)).numpy()
    inner = np.zeros((48, 48))
    inner[16:40, 6:24] = 1
    assert (gt_map != inner).mean() < 0.03
    rows, columns = np.nonzero(gt_map)
    assert abs(rows.mean() - 27.5) < 0.5
    assert abs(columns.mean() - 14.5) < 0.5


def test_unlabeled_clips_pass_unchanged():
    results = {'sample_id': 'a', 'is_labeled': False, 'bboxes': None}
    assert RasterizeTargets()(dict(results)) == results


@pytest.mark.parametrize('source', ['boxes', 'mask'])
def test_a_labeled_clip_without_the_source_is_named(source):
    other = {'mask': _rle(np.ones((2, 2)))} if source == 'boxes' else {}
    with pytest.raises(DataError, match=f"'a' has no .*source='{source}'"):
        _run(8, source, **other)


def test_a_damaged_mask_is_named():
    with pytest.raises(DataError, match="mask of 'a': the runs"):
        _run(8, 'mask', mask={'size': [4, 4], 'counts': 'zz'})


def test_unknown_source_is_refused():
    with pytest.raises(ValueError, match="'polygon'"):
        RasterizeTargets(source='polygon')
