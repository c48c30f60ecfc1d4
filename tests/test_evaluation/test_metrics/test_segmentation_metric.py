import pytest
import torch
from mmengine.structures import PixelData

from mmxpl.evaluation.functional import (
    f_scores,
    mask_iou,
    pixel_ap,
    upsample_maps,
)
from mmxpl.utils import DataError
from tests.test_evaluation.scored_samples import (
    evaluate_samples,
    scored_samples,
    stack_maps,
)

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


def test_a_pixel_must_exceed_the_threshold():
    samples = scored_samples()
    for sample in samples:
        sample.pred_map = PixelData(a=torch.full((1, SIZE, SIZE), 0.5))
    assert evaluate(samples)['segmentation/a/mIoU'] == 0
    below = evaluate(samples, threshold=0.49)
    assert below['segmentation/a/mIoU'] == below['segmentation/ref/whole/mIoU'] > 0


def test_segmentation_refuses_what_is_no_mask():
    samples = scored_samples()
    for sample in samples:
        sample.gt_map.zero_()
    with pytest.raises(DataError, match='masks of all 9 samples are empty'):
        evaluate(samples)
    samples[3].gt_map[0, 0] = 0.5
    with pytest.raises(DataError, match='clip_003.*no mask of 0 and 1'):
        evaluate(samples)


def straight_f_score(maps, masks):
    """AVSBench's rule for one video, threshold by threshold and pixel by pixel."""
    curves = []
    for one, mask in zip(maps.tolist(), masks.tolist(), strict=True):
        pixels = [(p, m) for p, m in zip(sum(one, []), sum(mask, []), strict=True)]
        total, curve = sum(m for _, m in pixels), []
        for threshold in torch.linspace(0, 1, 255).tolist():
            marked = [m for p, m in pixels if p >= threshold]
            precision = sum(marked) / len(marked) if marked else 0.0
            recall = sum(marked) / total
            low = 0.3 * precision + recall
            curve.append(1.3 * precision * recall / low if low else 0.0)
        curves.append(curve)
    return max(sum(values) / len(curves) for values in zip(*curves, strict=True))


def test_the_f_score_of_videos_takes_each_one_s_best_threshold():
    samples = scored_samples(8)
    for number, sample in enumerate(samples):
        sample.set_metainfo(dict(video_id='xxyyyzzz'[number]))
    samples[3].gt_map.zero_()
    for sample in samples[5:]:  # a video in which nothing sounds counts 0
        sample.gt_map.zero_()
    scores = evaluate(samples)
    maps, gt = stack_maps(samples, 'a')
    full = upsample_maps(maps, SIZE)
    expected = [straight_f_score(full[i], gt[i]) for i in ([0, 1], [2, 4])] + [0]
    found = scores['segmentation/a/F-score_video']
    assert found == pytest.approx(100 * sum(expected) / 3, abs=1e-3)


def test_samples_of_no_video_have_no_f_score_of_videos():
    assert 'segmentation/a/F-score_video' not in evaluate(scored_samples())
