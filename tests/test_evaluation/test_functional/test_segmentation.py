import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import F_THRESHOLDS, f_scores, mask_iou


def test_thresholds_are_those_of_avsbench():
    assert torch.equal(F_THRESHOLDS, torch.linspace(0, 1 - 1e-10, 255))


def test_iou_against_the_definition():
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(8, 6, 6, generator=generator) > 0.6
    targets = torch.rand(8, 6, 6, generator=generator) > 0.5
    targets[2] = False  # nothing sounds: the share left empty
    masks[3], targets[3] = False, False
    masks[4] = False
    masks[5], targets[5] = True, True
    expected = []
    for m, t in zip(masks.numpy(), targets.numpy(), strict=True):
        if not t.any():
            expected.append((~m).mean())
        else:
            expected.append((m & t).sum() / (m | t).sum())
    np.testing.assert_allclose(mask_iou(masks, targets).numpy(), expected, atol=1e-12)
    assert expected[3:6] == [1, 0, 1]


def slow_f(pred, target, beta2):
    """One threshold after the other, with AVSBench's guards."""
    curve = []
    for threshold in torch.linspace(0, 1 - 1e-10, 255):
        passing = pred >= threshold
        tp = (passing & target).sum().double()
        precision = tp / (passing.sum() + 1e-20)
        recall = tp / (target.sum() + 1e-20)
        f = (1 + beta2) * precision * recall / (beta2 * precision + recall)
        curve.append(0.0 if f.isnan() else f.item())
    return curve


@pytest.mark.parametrize('beta2', [0.3, 1.0])
def test_f_against_the_definition(beta2):
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(6, 9, 9, generator=generator)
    maps[1] = (maps[1] * 4).round() / 4
    maps[2] = F_THRESHOLDS[torch.randint(255, (9, 9), generator=generator)]
    maps[3], maps[4] = 0, 1
    targets = torch.rand(6, 9, 9, generator=generator) > 0.6
    targets[5] = False
    found = f_scores(maps, targets, beta2)
    expected = [slow_f(m, t, beta2) for m, t in zip(maps, targets, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    assert found[5].max() == 0


def test_result_does_not_depend_on_the_batch():
    maps = torch.rand(4, 9, 9, generator=torch.Generator().manual_seed(1))
    targets = maps.flip(0) > 0.5
    found = [f_scores(m[None], t[None]) for m, t in zip(maps, targets, strict=True)]
    assert torch.equal(f_scores(maps, targets), torch.cat(found))
    assert f_scores(maps[:0], targets[:0]).shape == (0, 255)
