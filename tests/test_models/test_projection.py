import torch
import torch.nn.functional as F

from mmxpl.models.localizers.projection import UnitNorm


def test_unit_norm_and_its_gradient_are_pytorchs():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.double)
    weight = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.double)
    found = []
    for scale in (UnitNorm.apply, F.normalize):
        leaf = x.clone().requires_grad_()
        unit = scale(leaf)
        (unit * weight).sum().backward()
        found.append((unit.detach(), leaf.grad))
    torch.testing.assert_close(*found)
    assert not UnitNorm.apply(torch.zeros(1, 5, 2)).any()
