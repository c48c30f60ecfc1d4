import pytest
import torch

from mmxpl.evaluation.functional import (
    f_scores,
    mask_iou,
    pixel_ap,
    upsample_maps,
)
from mmxpl.testing import evaluate_samples, scored_samples, stack_maps
from mmxpl.utils import DataError

SIZE = 32


def evaluate(samples, **settings):
    return evaluate_samples('SegmentationMetric', samples, **settings)


def test_segmentation_scores(logged):
    samples = scored_samples()
    samples[6].gt_map.zero_()
    scores = evaluate(samples)
    maps, gt = stack_maps(samples, 'a')
    full, target = upsample_maps(maps, SIZE), gt > 0
    ious = mask_iou(full > 0.5, target)
    assert scores['segmentation/a/mIoU'] == pytest.approx(100 * ious.mean().item())
    filled = [i for i in range(9) if i != 6]
    curve = f_scores(full, target)[filled].mean(0)
    assert scores['segmentation/a/F-score'] == pytest.approx(100 * curve.max().item())
    ap = pixel_ap(full, target)[filled].mean().item()
    assert scores['segmentation/a/pixel_AP'] == pytest.approx(100 * ap)
    assert '8 filled, 1 empty' in logged()
    cover = gt.mean((1, 2))
    whole = torch.where(cover > 0, cover, 0.0).mean().item()
    assert scores['segmentation/ref/whole/mIoU'] == pytest.approx(100 * whole)


def test_segmentation_refuses_what_is_no_mask():
    samples = scored_samples()
    for sample in samples:
        sample.gt_map.zero_()
    with pytest.raises(DataError, match='masks of all 9 samples are empty'):
        evaluate(samples)
    samples[3].gt_map[0, 0] = 0.5
    with pytest.raises(DataError, match='clip_003.*no mask of 0 and 1'):
        evaluate(samples)
