import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import upsample_maps


@pytest.mark.parametrize('shape', [(7, 7), (14, 14), (5, 9), (1, 1), (3, 1)])
def test_against_interpolation_by_hand(shape):
    rng = np.random.default_rng(0)
    maps = rng.random((2, *shape)).astype(np.float32)
    size = 20

    def resample(values, length):
        at = np.arange(size) * (length - 1) / (size - 1)
        return np.interp(at, np.arange(length), values)

    wide = np.apply_along_axis(resample, 2, maps, shape[1])
    expected = np.apply_along_axis(resample, 1, wide, shape[0])
    found = upsample_maps(torch.from_numpy(maps), size)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_corners_keep_their_values_and_full_maps_pass_through():
    maps = torch.rand(2, 7, 7)
    full = upsample_maps(maps)
    assert torch.equal(full[:, [0, 0], [0, -1]], maps[:, [0, 0], [0, -1]])
    assert upsample_maps(full) is full
    assert upsample_maps(maps.half()).dtype == torch.float32


@pytest.mark.parametrize('value', [0.0, 1.0])
def test_empty_and_full_maps_stay_flat(value):
    assert (upsample_maps(torch.full((1, 14, 14), value)) == value).all()
