import pytest
import torch

from mmxpl.pseudo_labels import exchange


def test_each_learns_from_whom_the_mode_says():
    a, b = torch.rand(5, 3, 3), torch.rand(5, 3, 3)
    labels = torch.stack([a, b], dim=1)
    cross = exchange(labels, 'cross')
    assert torch.equal(cross[:, 0], b)
    assert torch.equal(cross[:, 1], a)
    assert torch.equal(exchange(labels, 'self'), labels)
    common = exchange(labels, 'intersection')
    assert torch.equal(common[:, 0], torch.minimum(a, b))
    assert torch.equal(common[:, 1], torch.minimum(a, b))
    mean = exchange(labels, 'ensemble')
    torch.testing.assert_close(mean[:, 0], (a + b) / 2)
    assert torch.equal(mean[:, 1], mean[:, 0])


def test_unknown_mode_is_named():
    with pytest.raises(ValueError, match="'swap'"):
        exchange(torch.rand(1, 2, 3, 3), 'swap')
