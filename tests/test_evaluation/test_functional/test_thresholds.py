import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import (
    RULES,
    binarise,
    order_statistics,
    thresholds,
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
