import pytest

from mmxpl.evaluation.functional import (
    boxes_from_map,
    coco_ap,
    upsample_maps,
)
from tests.test_evaluation.scored_samples import evaluate_samples, scored_samples

SIZE = 32


def evaluate(samples, **settings):
    return evaluate_samples('BoxAPMetric', samples, size=SIZE, **settings)


def test_box_ap_scores():
    samples = scored_samples()
    options = dict(threshold=0.4, mode='largest')
    scores = evaluate(samples, box_cfg=options)
    found = [
        tuple(boxes_from_map(upsample_maps(s.pred_map.a, SIZE)[0], **options))
        for s in samples
    ]
    truth = [s.gt_instances.bboxes for s in samples]
    for name, value in coco_ap(found, truth, SIZE).items():
        assert scores[f'coco/a/bbox_{name}'] == pytest.approx(100 * value), name
    assert scores['coco/a/bbox_mAP_50'] > 0
    assert scores['coco/a/bbox_mAP_l'] == -100  # no frame of 32 px has such a box
    reverse = evaluate(samples[::-1], box_cfg=options)
    assert reverse == scores


def test_ties_of_scores_do_not_depend_on_the_order():
    samples = scored_samples()
    for sample in samples:
        # every box has the same score, and every third is a hit
        sample.pred_map.a = (sample.pred_map.a >= 0.4).float()
        if int(sample.sample_id[-1]) % 3:
            sample.pred_map.a = sample.pred_map.a.flip(1, 2)
    assert evaluate(samples[::-1]) == evaluate(samples)
