import math

import pytest
import torch

from mmxpl.models.losses import MapBCELoss


@pytest.mark.parametrize('pos_weight', [1.0, 3.0])
def test_map_bce_equals_a_slow_reference(pos_weight):
    logits, target = torch.randn(3, 4, 5), torch.rand(3, 4, 5)
    total = 0.0
    for z, t in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-z))
        total -= pos_weight * t * math.log(p) + (1 - t) * math.log(1 - p)
    loss = MapBCELoss(pos_weight, loss_weight=0.5)(logits, target)
    assert loss.item() == pytest.approx(0.5 * total / 60, rel=1e-5)


def test_map_bce_divides_by_all_samples_whatever_their_weight():
    logits = torch.randn(3, 4, 5, requires_grad=True)
    target, loss = torch.rand(3, 4, 5), MapBCELoss()
    weighted = loss(logits, target, torch.tensor([0.0, 2.0, 1.0]))
    alone = [loss(logits[[i]], target[[i]]).item() for i in range(3)]
    assert weighted.item() == pytest.approx((2 * alone[1] + alone[2]) / 3, rel=1e-5)
    even = loss(logits, target, torch.ones(3)).item()
    assert even == pytest.approx(loss(logits, target).item(), rel=1e-5)
    weighted.backward()
    assert logits.grad[0].abs().sum() == 0 < logits.grad[1].abs().sum()


def test_map_bce_sends_nothing_into_the_target():
    target = torch.rand(2, 4, 4, requires_grad=True)
    logits = torch.randn(2, 4, 4, requires_grad=True)
    MapBCELoss()(logits, target).backward()
    assert target.grad is None
    assert logits.grad.abs().sum() > 0
