import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import (
    ALL_RULES,
    RULES,
    SWEEP,
    GroundTruth,
    binarise,
    order_statistics,
    score_maps,
    thresholds,
    upsample_maps,
)

NAMES = tuple(RULES)


def masks_of(maps, gt_area, rules=NAMES):
    gt_area = torch.as_tensor(gt_area)
    return binarise(maps, thresholds(maps, gt_area, rules), rules).bool()


@pytest.mark.parametrize('levels', [3, 10**6])
def test_order_statistics_against_a_full_sort(levels):
    rng = np.random.default_rng(0)
    values = (rng.integers(0, levels, (9, 501)) / levels).astype(np.float32)
    ranks = rng.integers(0, 501, (9, 4))
    ranks[0] = [250, 0, 500, 250]  # ends, and one place twice
    ranks[1] = [7, 8, 9, 6]
    values[2, ::31] = 2  # the sample of every 31st value is of no help
    before = values.copy()
    found = order_statistics(torch.from_numpy(values), torch.from_numpy(ranks))
    expected = np.take_along_axis(np.sort(values, axis=1), ranks, axis=1)
    assert np.array_equal(found.numpy(), expected)
    assert np.array_equal(values, before)


def test_pixels_taken_from_a_map_without_ties():
    maps = torch.randperm(36).reshape(1, 6, 6) / 36
    masks = masks_of(maps, [5])[0]
    # upper median: pixel 18 of 0 ... 35
    assert masks.flatten(1).sum(1).tolist() == [18, 17, 4, 18]
    # the strict sign excludes the fifth largest pixel itself
    assert set(maps[0][masks[2]].mul(36).round().tolist()) == {32, 33, 34, 35}


def test_pixels_taken_from_an_odd_number():
    maps = torch.arange(9.0).reshape(1, 3, 3) / 9
    taken = masks_of(maps, [9])[0].flatten(1).sum(1).tolist()
    assert taken == [5, 4, 8, 4]


def test_ties_part_the_signs():
    # most of the map is 0: `>=` takes all of it, `>` what stands out
    maps = torch.zeros(1, 8, 8)
    maps[0, :2, :2] = 0.9
    taken = masks_of(maps, [4])[0].flatten(1).sum(1).tolist()
    # the fourth largest pixel is 0.9 and nothing exceeds it
    assert taken == [64, 4, 0, 4]


def test_constant_map():
    taken = masks_of(torch.ones(1, 8, 8), [10])[0].flatten(1).sum(1).tolist()
    assert taken == [64, 0, 0, 64]


def test_adaptive_falls_back_to_the_median_without_ground_truth():
    maps = torch.randperm(64).reshape(1, 8, 8) / 64
    masks = masks_of(maps, [0])[0]
    assert torch.equal(masks[2], masks[1])


@pytest.mark.parametrize(
    'rules', [('fixed',), ('adaptive', 'median'), ('median_strict',)]
)
def test_each_rule_is_the_same_alone_and_in_any_order(rules):
    maps = torch.rand(3, 10, 10)
    area = [1, 40, 100]
    every = masks_of(maps, area)
    some = masks_of(maps, area, rules)
    assert torch.equal(some, every[:, [NAMES.index(rule) for rule in rules]])


SIZE = 32


def public_lvs(pred):
    """LVS's steps: min-max of the negative, 1 minus it, then the two writes."""
    value = -pred
    if value.max() != value.min():
        value = (value - value.min()) / (value.max() - value.min())
    pred = 1 - value
    level = np.sort(pred.flatten())[pred.size // 2]
    pred[pred > level] = 1
    pred[pred < 1] = 0
    return pred >= 0.5


def public_sspl(pred):
    """SSPL's steps: min-max, then 0.5; a constant map becomes NaN."""
    with np.errstate(invalid='ignore'):
        return (pred - pred.min()) / np.ptp(pred) >= 0.5


def minmax_of_logit(pred):
    """SSPL's steps on the log-odds; a linear rescaling makes no difference."""
    pred = pred.astype(np.float64).clip(1e-6, 1 - 1e-6)
    return public_sspl(7 * np.log(pred / (1 - pred)) - 3)


def ciou(mask, gt):
    return (mask * gt).sum() / (gt.sum() + (mask * (gt == 0)).sum())


def cases():
    rng = np.random.default_rng(0)
    maps = rng.random((6, SIZE, SIZE)).astype(np.float32)
    maps[1] = 0.25  # constant
    maps[2] = maps[2] > 0.8  # tied at the minimum
    maps[3] = maps[3] > 0.2  # tied at the maximum
    maps[4] = 0.4 + 0.1 * maps[4]  # never reaches 0.5
    gt = np.zeros((6, SIZE, SIZE))
    gt[:, 3:20, 5:25] = 1
    gt[5] = rng.random((SIZE, SIZE)).round(1)
    return maps, gt


@pytest.mark.parametrize(
    ('rule', 'public'),
    [
        ('median_lvs', public_lvs),
        ('fixed_minmax', public_sspl),
        ('fixed_minmax_logit', minmax_of_logit),
    ],
)
def test_rule_is_the_public_code(rule, public):
    maps, gt = cases()
    truth = GroundTruth(torch.from_numpy(gt))
    found = score_maps(torch.from_numpy(maps), truth, [rule])[:, 0]
    expected = [ciou(public(m.copy()), g) for m, g in zip(maps, gt, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_ties_separate_the_median_rules():
    maps, gt = cases()
    truth = GroundTruth(torch.from_numpy(gt))
    rules = ['median', 'median_strict', 'median_lvs']
    ge, gt_, lvs = score_maps(torch.from_numpy(maps), truth, rules).T
    assert lvs[2] == gt_[2]  # below the maximum both are strict
    assert lvs[3] == ge[3]  # at the maximum LVS keeps it
    assert gt_[3] == 0


def test_sweep_is_nineteen_fixed_thresholds():
    assert [ALL_RULES[name].level for name in SWEEP] == pytest.approx(
        [0.05 * i for i in range(1, 20)]
    )
    maps, gt = cases()
    truth = GroundTruth(torch.from_numpy(gt))
    found = score_maps(torch.from_numpy(maps), truth, SWEEP)
    for k, name in enumerate(SWEEP):
        level = np.float32(name.removeprefix('fixed_'))
        expected = [ciou(m >= level, g) for m, g in zip(maps, gt, strict=True)]
        np.testing.assert_allclose(found[:, k].numpy(), expected, atol=1e-6)
    fixed = score_maps(torch.from_numpy(maps), truth, ['fixed'])
    assert torch.equal(found[:, SWEEP.index('fixed_0.50')], fixed[:, 0])


def test_shared_map_follows_every_rule():
    maps, gt = cases()
    truth = GroundTruth(torch.from_numpy(gt))
    for one in torch.from_numpy(maps):
        expected = score_maps(one.expand(6, -1, -1), truth, tuple(ALL_RULES))
        assert torch.equal(score_maps(one[None], truth, tuple(ALL_RULES)), expected)


def test_half_pixel_bilinear_is_opencv():
    import cv2

    one = torch.rand(7, 9)
    expected = cv2.resize(one.numpy(), (56, 56), interpolation=cv2.INTER_LINEAR)
    found = upsample_maps(one[None], 56, 'bilinear_half_pixel')[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize('name', ['bilinear', 'bicubic'])
def test_aligned_corners_keep_the_corners(name):
    one = torch.rand(5, 5)
    found = upsample_maps(one[None], 21, name)[0]
    torch.testing.assert_close(found[::5, ::5], one)
