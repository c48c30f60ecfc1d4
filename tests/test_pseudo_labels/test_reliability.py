import math

import pytest
import torch

from mmxpl.pseudo_labels import harden, reliability, score_labels
from mmxpl.pseudo_labels.reliability import agreement, confidence


def slow_agreement(a, b):
    low = high = 0.0
    for x, y in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True):
        low, high = low + min(x, y), high + max(x, y)
    return low / high


def slow_confidence(maps):
    total = 0.0
    values = maps.flatten().tolist()
    for p in values:
        total += -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)
    return 1 - total / len(values)


def test_measures_equal_slow_references():
    labels = torch.rand(6, 2, 4, 5)
    for i in range(6):
        assert agreement(labels)[i] == pytest.approx(
            slow_agreement(*labels[i]), abs=1e-5
        )
        assert confidence(labels)[i] == pytest.approx(
            slow_confidence(labels[i]), abs=1e-5
        )


def test_extremes():
    one = torch.zeros(1, 1, 4, 4)
    one[..., :2] = 1
    same = torch.cat([one, one], dim=1)
    opposite = torch.cat([one, 1 - one], dim=1)
    assert agreement(same).item() == 1
    assert agreement(opposite).item() == 0
    assert agreement(torch.zeros(1, 2, 4, 4)).item() == 0
    assert confidence(same).item() == 1
    assert confidence(torch.full((1, 2, 4, 4), 0.5)).item() == pytest.approx(0)


def test_product_of_measures():
    labels, change = torch.rand(3, 2, 4, 4), torch.tensor([0.0, 0.25, 1.0])
    expected = agreement(labels) * confidence(labels) * (1 - change)
    got = reliability(labels, change, ['agreement', 'confidence', 'stability'])
    torch.testing.assert_close(got, expected)
    with pytest.raises(ValueError, match='luck'):
        reliability(labels, change, ['luck'])


@pytest.mark.parametrize('mode', ['cross', 'self', 'intersection', 'ensemble'])
def test_confidence_is_that_of_the_prediction_behind_the_target(mode):
    maps, change = torch.rand(4, 2, 3, 3) * 0.98 + 0.01, torch.zeros(4)
    # hard labels, which would all be confident
    scores = score_labels(maps, harden(maps), change, ['confidence'], mode)
    for i in range(4):
        a, b = (slow_confidence(maps[i, m]) for m in range(2))
        low, mean = min(a, b), (a + b) / 2
        expected = {
            'cross': [b, a],
            'self': [a, b],
            'intersection': [low, low],
            'ensemble': [mean, mean],
        }[mode]
        assert scores[i].tolist() == pytest.approx(expected, abs=1e-5)


def test_agreement_of_hard_labels_is_the_iou_of_the_masks_for_both():
    a = torch.tensor([[1.0, 1, 1], [0, 0, 0]])
    b = torch.tensor([[0.0, 1, 1], [1, 0, 0]])
    labels = torch.stack([a, b])[None]
    scores = score_labels(labels, labels, torch.zeros(1), ['agreement'], 'self')
    assert scores.tolist() == [[0.5, 0.5]]


def test_measures_are_multiplied():
    maps, change = torch.rand(3, 2, 4, 4), torch.tensor([0.1, 0.2, 0.3])
    scores = [
        score_labels(maps, maps, change, measures)
        for measures in (['confidence'], ['agreement'], ['stability'])
    ]
    product = score_labels(maps, maps, change, ['agreement', 'confidence', 'stability'])
    torch.testing.assert_close(product, scores[0] * scores[1] * scores[2])
