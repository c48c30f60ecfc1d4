import pytest
import torch

from mmxpl.evaluation import InteractiveMetric
from mmxpl.evaluation.functional import (
    auc,
    evaluate_maps,
    success_rate,
)
from mmxpl.testing import evaluate_samples, scored_samples, stack_maps
from mmxpl.utils import DataError


def evaluate(samples, **settings):
    return evaluate_samples('InteractiveMetric', samples, **settings)


def test_interactive_scores(logged):
    samples = scored_samples()  # the last image has one sound
    scores = evaluate(samples)
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
        evaluate(scored_samples(), group_by='sample_id')
    with pytest.raises(DataError, match="clip_000.*'scene'.*group_by"):
        evaluate(scored_samples(), group_by='scene')
    with pytest.raises(ValueError, match='rules must be out of'):
        InteractiveMetric(rules=['best'])
