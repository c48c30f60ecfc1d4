import math

import pytest
import torch

from mmxpl.pseudo_labels import harden, score_labels


def slow_confidence(probabilities):
    """One minus the mean binary entropy in bits, cell by cell."""
    total = 0.0
    for p in probabilities.flatten().tolist():
        total -= p * math.log2(p) + (1 - p) * math.log2(1 - p)
    return 1 - total / probabilities.numel()


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
