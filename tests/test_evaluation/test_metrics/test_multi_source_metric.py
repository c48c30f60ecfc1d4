import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from torch.nn import functional as F

from mmxpl.evaluation import InteractiveMetric
from mmxpl.evaluation.functional import (
    auc,
    evaluate_maps,
    pixel_ap,
    rasterize_boxes,
    success_rate,
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
    return evaluate_samples('MultiSourceMetric', samples, size=SIZE, **settings)


def with_a_map_for_each_box(samples):
    """Model a marks the boxes in their order, model b in the other order."""
    for sample in samples:
        maps = torch.stack(
            [rasterize_boxes(box[None], 16) for box in sample.gt_instances.bboxes]
        )
        maps = 0.9 * maps + 0.01
        sample.pred_map = PixelData(a=maps, b=maps.flip(0))
    return samples


def test_multi_source_assignments():
    samples = with_a_map_for_each_box(scored_samples())
    own = evaluate(samples, assignment='class', rule='adaptive')
    free = evaluate(samples, rule='adaptive')
    assert own['multi_source/a/CAP'] > 95
    assert own['multi_source/a/CAP'] == own['multi_source/a/PIAP']
    # the wrong order costs the class-aware score, not the other one
    assert own['multi_source/b/CAP'] < 70
    assert own['multi_source/b/PIAP'] == own['multi_source/a/PIAP']
    assert own['multi_source/b/PIAP'] == free['multi_source/b/PIAP']
    assert 'multi_source/a/CAP' not in free
    key = 'CIoU@0.3_adaptive'
    assert own[f'multi_source/a/{key}'] == free[f'multi_source/b/{key}'] == 100
    # of 13 sources, the 5 in images of one box keep their map
    assert own[f'multi_source/b/{key}'] == pytest.approx(100 * 5 / 13)
    assert own[f'multi_source/b/image-{key}'] == pytest.approx(100 * 5 / 9)


def test_one_map_for_several_sources():
    samples = scored_samples()
    shared = evaluate(samples, assignment='shared')
    free = evaluate(samples)
    aps, best = [], []
    for sample in samples:
        full = upsample_maps(sample.pred_map.a, SIZE)
        found = [
            pixel_ap(full, rasterize_boxes(box[None], SIZE)[None]).item()
            for box in sample.gt_instances.bboxes
        ]
        aps += found
        best.append(max(found))
    assert shared['multi_source/a/AP'] == pytest.approx(100 * np.mean(aps))
    # the second source of an image is left without a map
    assert free['multi_source/a/PIAP'] == pytest.approx(100 * sum(best) / len(aps))
    with pytest.raises(DataError, match=r"clip_001.*1 maps for 2 sources.*'class'"):
        evaluate(samples, assignment='class')


def test_boxes_that_belong_together():
    samples = with_a_map_for_each_box(scored_samples())
    for sample in samples:
        boxes = sample.gt_instances.bboxes
        sample.gt_instances.source_ids = torch.zeros(len(boxes), dtype=torch.long)
        halves = F.interpolate(sample.pred_map.b[None], SIZE)[0]
        sample.pred_map = PixelData(a=0.9 * sample.gt_map[None], b=halves)
    scores = evaluate(samples, rule='adaptive')
    assert scores['multi_source/a/PIAP'] == pytest.approx(100)
    # one map of the two covers one box of the two
    assert scores['multi_source/b/PIAP'] < 99


def test_source_without_a_pixel():
    samples = scored_samples()
    samples[2].gt_instances.bboxes = torch.tensor([[0.5, 0.5, 0.501, 0.9]])
    with pytest.raises(DataError, match='clip_002.*covers no pixel'):
        evaluate(samples)


def interactive_scores(samples, **settings):
    return evaluate_samples('InteractiveMetric', samples, **settings)


def test_interactive_scores(logged):
    samples = scored_samples()  # the last image has one sound
    scores = interactive_scores(samples)
    for i, rule in enumerate(('median_strict', 'adaptive')):
        maps, gt = stack_maps(samples, 'b')
        cious = evaluate_maps({'b': maps}, gt, ['median_strict', 'adaptive'])
        worst = torch.stack([c.min(0).values for c in cious['b'].split(2)])[:, i]
        expected = 100 * success_rate(worst).item()
        assert scores[f'interactive/b/IIoU_{rule}'] == expected
        assert scores[f'interactive/b/IAUC_{rule}'] == 100 * auc(worst).item()
    assert 'interactive/ref/oracle/IIoU_adaptive' in scores
    assert 'images: 1 of 1 sounds, 4 of 2 sounds' in logged()


def test_interactive_needs_groups():
    with pytest.raises(DataError, match=r"more than one sound.*'sample_id'"):
        interactive_scores(scored_samples(), group_by='sample_id')
    with pytest.raises(DataError, match="clip_000.*'scene'.*group_by"):
        interactive_scores(scored_samples(), group_by='scene')
    with pytest.raises(ValueError, match='rules must be out of'):
        InteractiveMetric(rules=['best'])
