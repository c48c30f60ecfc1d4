"""A slow evaluator, one map at a time, as the papers' own scripts do it."""

import numpy as np
import pytest


def _slow_cious(pred, gt):
    """CIoU of a map (S, S) under each rule by full sorts, in float64."""
    ascending = np.sort(pred.flatten())
    num_gt = int((gt != 0).sum())
    median = ascending[pred.size // 2]
    kth = ascending[pred.size - num_gt] if num_gt else median
    masks = dict(
        median=pred >= median,
        median_strict=pred > median,
        adaptive=pred > kth,
        fixed=pred >= 0.5,
    )
    cious = {}
    for rule, mask in masks.items():
        mask = mask.astype(np.float64)
        union = gt.sum() + (mask * (gt == 0)).sum()
        cious[rule] = (mask * gt).sum() / union if union > 0 else 0.0
    return cious


def _slow_auc(cious):
    grid = [0.05 * i for i in range(21)]
    rates = [np.mean(np.asarray(cious) >= t) for t in grid]
    return sum(
        (grid[i + 1] - grid[i]) * (rates[i] + rates[i + 1]) / 2 for i in range(20)
    )


@pytest.fixture
def slow_cious():
    return _slow_cious


@pytest.fixture
def slow_auc():
    return _slow_auc
