import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import auc, ciou, success_rate


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
