import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import (
    GroundTruth,
    auc,
    ciou,
    size_groups,
    success_rate,
    upsample_maps,
)


def test_by_hand():
    gt = torch.tensor([[1.0, 0.5], [0.0, 0.0]])[None]
    mask = torch.tensor([[1, 0], [1, 0]])[None].bool()
    # intersection 1, ground truth 1.5, one false positive
    assert ciou(mask, gt).tolist() == [1 / 2.5]
    both = torch.stack([mask, ~mask], 1)
    assert ciou(both, gt).tolist() == [[1 / 2.5, 0.5 / 2.5]]
    assert ciou(both, gt).dtype == torch.float64


@pytest.mark.parametrize('kind', ['binary', 'consensus', 'any'])
def test_against_numpy(kind):
    rng = np.random.default_rng(0)
    gt = rng.random((5, 30, 30))
    gt = {
        'binary': (gt > 0.7).astype(float),
        'consensus': np.clip(np.floor(gt * 4) - 1, 0, 2) / 2,
        'any': np.where(gt > 0.5, gt.astype(np.float32).astype(float), 0),
    }[kind]
    masks = rng.random((5, 3, 30, 30)) > 0.5
    weighted = (masks * gt[:, None]).sum((2, 3))
    union = gt.sum((1, 2))[:, None] + (masks & (gt == 0)[:, None]).sum((2, 3))
    found = ciou(torch.from_numpy(masks), torch.from_numpy(gt).float())
    np.testing.assert_allclose(found.numpy(), weighted / union, atol=1e-12)


def test_empty_ground_truth():
    gt = torch.zeros(1, 4, 4)
    assert ciou(torch.ones(1, 4, 4), gt).tolist() == [0]
    assert ciou(torch.zeros(1, 4, 4), gt).tolist() == [0]


def test_single_pixel():
    gt = torch.zeros(1, 4, 4)
    gt[0, 1, 2] = 1
    assert ciou(gt, gt).tolist() == [1]
    assert ciou(torch.ones(1, 4, 4), gt).tolist() == [1 / 16]


def test_success_rate_includes_the_threshold():
    cious = torch.tensor([0.5, 0.5 - 1e-12, 0.7, 0.0], dtype=torch.float64)
    assert success_rate(cious).item() == 0.5
    assert success_rate(torch.stack([cious, cious + 1]).double(), 0.7).tolist() == [
        0.25,
        1.0,
    ]


def test_auc_uses_the_public_grid(slow_auc):
    rng = np.random.default_rng(0)
    # values on the grid's decimals, where 0.05 * 3 > 0.15 matters
    cious = np.concatenate([rng.random(50), np.arange(21) / 20, [0.15, 0.3, 0.35]])
    assert auc(torch.from_numpy(cious)).item() == pytest.approx(
        slow_auc(cious), abs=1e-12
    )
    assert auc(torch.ones(3)).item() == pytest.approx(1)
    assert auc(torch.zeros(3)).item() == pytest.approx(0.025)
    assert auc(torch.tensor([0.15], dtype=torch.float64)).item() == pytest.approx(0.125)


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


def test_boundaries_of_slavc():
    gt = torch.zeros(6, 224 * 224)
    areas = [0, 1023, 1024, 96**2 - 1, 96**2, 144**2]
    for row, area in zip(gt, areas, strict=True):
        row[:area] = 1
    found = size_groups(GroundTruth(gt.reshape(6, 224, 224)))
    assert found == ['small', 'small', 'medium', 'medium', 'large', 'huge']


def test_half_counts_half_and_other_sizes_are_brought_to_224():
    gt = torch.zeros(2, 56, 56)
    gt[:, :16, :16] = 1  # 64 x 64 pixels of a 224-pixel map
    gt[1] /= 8
    assert size_groups(GroundTruth(gt)) == ['medium', 'small']
