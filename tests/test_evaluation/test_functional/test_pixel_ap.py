import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import pixel_ap


def slow_ap(scores, positive):
    """Precision and recall at every distinct value, from the highest down."""
    area, before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        passing = scores >= threshold
        recall = (passing & positive).sum() / positive.sum()
        area += (recall - before) * (passing & positive).sum() / passing.sum()
        before = recall
    return area


@pytest.mark.parametrize('levels', [None, 4, 1])  # 1: all pixels tie
def test_against_the_definition(levels):
    rng = np.random.default_rng(0)
    maps = rng.random((6, 9, 9)).astype(np.float32)
    if levels:
        maps = np.floor(maps * levels) / levels
    targets = rng.random((6, 9, 9)) < 0.3
    found = pixel_ap(torch.from_numpy(maps), torch.from_numpy(targets))
    expected = [
        slow_ap(m.ravel(), t.ravel()) for m, t in zip(maps, targets, strict=True)
    ]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_known_value():
    # the example of scikit-learn's average_precision_score
    scores = torch.tensor([[[0.1, 0.4], [0.35, 0.8]]])
    targets = torch.tensor([[[0, 0], [1, 1]]])
    assert pixel_ap(scores, targets).item() == pytest.approx(0.8333333333)


def test_corners():
    maps = torch.rand(1, 5, 5)
    assert pixel_ap(maps, torch.zeros(1, 5, 5)).isnan().all()
    assert pixel_ap(maps, torch.ones(1, 5, 5)).item() == pytest.approx(1)
    half = torch.zeros(1, 4, 4)
    half[:, :2] = 1
    assert pixel_ap(torch.zeros(1, 4, 4), half).item() == 0.5  # the prevalence
    assert pixel_ap(half, half).item() == 1
    assert pixel_ap(maps[:0], maps[:0]).shape == (0,)
