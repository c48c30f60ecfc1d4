import math

import pytest
import torch

from mmxpl.apis.smoothing import MapSmoother


def test_without_time_constant_nothing_changes():
    smoother = MapSmoother(0)
    for n in range(3):
        assert smoother(torch.tensor(float(n)), n / 10) == n


@pytest.mark.parametrize('rate', [5, 25, 100])
def test_a_step_is_followed_alike_at_any_rate(rate):
    smoother, tau = MapSmoother(0.4), 0.4
    smoother(torch.zeros(2, 2), 0.0)
    for n in range(1, rate + 1):
        value = smoother(torch.ones(2, 2), n / rate)
    assert value[0, 0].item() == pytest.approx(1 - math.exp(-1 / tau), abs=1e-5)


def test_a_pause_counts():
    smoother = MapSmoother(1.0)
    smoother(torch.zeros(()), 0.0)
    assert smoother(torch.ones(()), 100.0).item() == pytest.approx(1.0)


@pytest.mark.parametrize('tau', [-1, math.inf, math.nan])
def test_the_constant_is_checked(tau):
    with pytest.raises(ValueError, match='tau'):
        MapSmoother(tau)
