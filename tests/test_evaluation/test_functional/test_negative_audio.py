import numpy as np
import pytest
import torch

from mmxpl.evaluation.functional import (
    active_area,
    area_auc,
    harmonic_mean,
    universal_threshold,
)


def test_active_area_is_strict():
    maps = torch.tensor([[[0.2, 0.5], [0.6, 0.9]], [[0.5, 0.5], [0.5, 0.5]]])
    assert active_area(maps, 0.5).tolist() == [0.5, 0]
    assert active_area(maps, 0.0).tolist() == [1, 1]


def slow_area_auc(areas):
    grid = [0.05 * i for i in range(21)]
    rates = [np.mean(np.asarray(areas) <= t) for t in grid]
    return sum(
        (grid[i + 1] - grid[i]) * (rates[i] + rates[i + 1]) / 2 for i in range(20)
    )


def test_area_auc():
    areas = np.random.default_rng(0).random(30)
    found = area_auc(torch.from_numpy(areas)).item()
    assert found == pytest.approx(slow_area_auc(areas), abs=1e-12)
    assert area_auc(torch.zeros(4)).item() == pytest.approx(1)
    # everything is active: only the last threshold allows it
    assert area_auc(torch.ones(4)).item() == pytest.approx(0.025)


def test_harmonic_mean():
    assert harmonic_mean(40, 60) == pytest.approx(48)
    assert harmonic_mean(50, 50) == 50
    assert harmonic_mean(0, 100) == 0
    assert harmonic_mean(0, 0) == 0


def test_universal_threshold():
    maxima = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.9])
    assert universal_threshold(maxima) == pytest.approx(0.4)
    assert universal_threshold(maxima, 1.0) == pytest.approx(0.9)
    assert universal_threshold(maxima, 0.625) == pytest.approx(0.35)
    # the share of silent maps is at least the quantile
    assert (maxima <= universal_threshold(maxima)).double().mean() >= 0.75
