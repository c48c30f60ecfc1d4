import itertools

import pytest
import torch

from mmxpl.evaluation.functional import (
    RULES,
    GroundTruth,
    centred_disc,
    ciou,
    mean_gt_map,
    rasterize_boxes,
    reference_cious,
)

NAMES = tuple(RULES)


def test_disc_is_centred_and_has_no_ties():
    disc = centred_disc(40)
    assert len(disc.unique()) == 1600
    assert 0 < disc.min() < disc.max() < 1
    inside = disc >= 0.5
    assert inside.sum() == 800
    y, x = inside.nonzero().double().mean(0).tolist()
    assert x == pytest.approx(19.5, abs=0.1)
    assert y == pytest.approx(19.5, abs=0.1)
    radius = (800 / torch.pi) ** 0.5
    assert inside[20, int(20 + radius) - 1]
    assert not inside[20, int(20 + radius) + 1]


def test_disc_cannot_be_changed_from_outside():
    centred_disc(8).zero_()
    assert centred_disc(8).min() > 0


def test_mean_gt_map_accepts_a_stream():
    gt = torch.rand(5, 6, 6)
    torch.testing.assert_close(mean_gt_map(iter(gt)), gt.mean(0))


def test_whole_image_and_disc_by_hand():
    gt = torch.stack([rasterize_boxes([[0, 0, 1, 0.5]], 16), torch.ones(16, 16)])
    rows = reference_cious(GroundTruth(gt), NAMES)
    assert list(rows) == ['disc', 'whole', 'oracle']
    assert rows['whole'].tolist() == [[0.5] * 4, [1.0] * 4]
    disc = centred_disc(16) >= 0.5
    expected = ciou(disc[None].repeat(2, 1, 1), gt)
    assert torch.equal(rows['disc'][:, 0], expected)
    assert torch.equal(rows['disc'][:, 3], expected)


def test_prior_is_scored_like_a_prediction():
    torch.manual_seed(0)
    gt = (torch.rand(3, 16, 16) > 0.6).float()
    prior = torch.rand(16, 16)
    rows = reference_cious(GroundTruth(gt), NAMES, prior)
    assert list(rows) == ['disc', 'whole', 'prior', 'oracle']
    assert torch.equal(rows['prior'][:, 3], ciou((prior >= 0.5).expand(3, -1, -1), gt))


@pytest.mark.parametrize(
    'gt',
    [
        [0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 0.5, 0.5, 0, 0, 0],
        [0.5, 0.5, 1, 1, 0.5, 0],
        [0.5, 0.25, 1, 0.75, 0.3, 0.9],
        [1, 1, 1, 1, 1, 1],
    ],
)
def test_oracle_is_the_best_of_all_masks(gt):
    # 2 x 3 pixels are too few for a square, so 3 x 3 with three empty ones
    gt = torch.tensor([*gt, 0, 0, 0]).float().reshape(1, 3, 3)
    area = int((gt != 0).sum())
    oracle = reference_cious(GroundTruth(gt), NAMES)['oracle'][0]
    adaptive = area - 1 if area else 4
    for rule, count in zip(NAMES, (5, 4, adaptive, area), strict=True):
        best = 0.0
        for chosen in itertools.combinations(range(9), count):
            mask = torch.zeros(9)
            mask[list(chosen)] = 1
            best = max(best, ciou(mask.reshape(1, 3, 3), gt).item())
        assert oracle[NAMES.index(rule)].item() == pytest.approx(best, abs=1e-6), rule
