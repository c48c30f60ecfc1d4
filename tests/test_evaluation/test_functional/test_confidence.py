import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmxpl.evaluation.functional import map_confidence


@pytest.mark.parametrize('size', [224, 15])  # 225 pixels: the quarter is rounded up
def test_mean_of_the_highest_quarter(size):
    maps = torch.rand(5, 7, 7, generator=torch.Generator().manual_seed(0))
    full = F.interpolate(
        maps[:, None], (size, size), mode='bilinear', align_corners=True
    )
    expected = []
    for one in full[:, 0].numpy():
        n = one.size
        expected.append(np.sort(one.flatten())[-n // 4 :].mean(dtype=np.float64))
    found = map_confidence(maps, size)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_flat_map_is_as_confident_as_its_value():
    found = map_confidence(torch.full((1, 3, 3), 0.25), 16).item()
    assert found == pytest.approx(0.25, abs=1e-7)


def test_result_does_not_depend_on_the_batch():
    maps = torch.rand(6, 7, 7, generator=torch.Generator().manual_seed(1))
    together = map_confidence(maps)
    assert torch.equal(together, torch.cat([map_confidence(m[None]) for m in maps]))
    assert map_confidence(maps[:0]).shape == (0,)
