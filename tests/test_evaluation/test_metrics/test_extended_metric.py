import pytest

from mmxpl.evaluation.functional import (
    evaluate_maps,
    extended_ap,
    localization_accuracy,
    map_confidence,
    max_f1,
)
from mmxpl.testing import evaluate_samples, scored_samples, stack_maps
from mmxpl.utils import DataError

SIZE = 32


def evaluate(samples, **settings):
    return evaluate_samples('ExtendedMetric', samples, **settings)


def test_extended_scores():
    samples = scored_samples(12, negative=True)
    scores = evaluate(samples)
    for model in ('a', 'b'):
        maps, gt = stack_maps(samples, model)
        visible = gt.flatten(1).any(1)
        assert visible.sum() == 8
        rows = evaluate_maps({'a': maps}, gt, ['median'])
        case = (map_confidence(maps, SIZE), rows['a'][:, 0], visible)
        assert scores[f'extended/{model}/AP'] == 100 * extended_ap(*case).item()
        assert scores[f'extended/{model}/max-F1'] == 100 * max_f1(*case).item()
        accuracy = 100 * localization_accuracy(rows['a'][:, 0], visible).item()
        assert scores[f'extended/{model}/LocAcc'] == accuracy
    disc = 100 * localization_accuracy(rows['ref/disc'][:, 0], visible).item()
    assert scores['extended/ref/disc/LocAcc'] == disc
    assert 'extended/ref/disc/AP' not in scores


def test_extended_set_without_a_source():
    samples = [s for s in scored_samples(negative=True) if not s.gt_map.any()]
    with pytest.raises(DataError, match='no sample with a visible source'):
        evaluate(samples)
