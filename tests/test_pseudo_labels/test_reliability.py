import math

import pytest
import torch

from mmxpl.pseudo_labels import reliability
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
