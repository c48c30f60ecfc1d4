import pytest
import torch

from mmxpl.pseudo_labels import harden, sharpen


@pytest.mark.parametrize('temperature', [0.25, 0.5, 1.0, 2.0])
def test_sharpen_is_the_power_form(temperature):
    p = torch.linspace(0.01, 0.99, 37, dtype=torch.float32)
    power, rest = p.double() ** (1 / temperature), (1 - p.double()) ** (1 / temperature)
    torch.testing.assert_close(
        sharpen(p, temperature).double(), power / (power + rest), atol=1e-6, rtol=0
    )


def test_sharpen_keeps_the_ends_and_the_middle():
    out = sharpen(torch.tensor([0.0, 0.5, 1.0]), 0.5)
    torch.testing.assert_close(out, torch.tensor([0.0, 0.5, 1.0]), atol=1e-6, rtol=0)
    assert torch.isfinite(sharpen(torch.tensor([0.0, 1.0]), 0.01)).all()


def test_harden_puts_the_threshold_into_the_foreground():
    assert harden(torch.tensor([0.49, 0.5, 0.51])).tolist() == [0, 1, 1]
    assert harden(torch.tensor([0.49, 0.5]), threshold=0.6).tolist() == [0, 0]
