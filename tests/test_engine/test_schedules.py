from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

import mmxpl.engine  # noqa: F401
from mmxpl.engine.schedules import count_warmup_epochs
from mmxpl.registry import PARAM_SCHEDULERS

SCHEDULE = (
    Path(__file__).resolve().parents[2] / 'configs/_base_/schedules/adamw_cosine.py'
)


def rates(epochs, steps):
    """Learning rate of each step, as the runner builds the schedule."""
    net = torch.nn.Linear(1, 1)
    wrapper = OptimWrapper(torch.optim.SGD(net.parameters(), lr=1.0))
    built = []
    for cfg in Config.fromfile(SCHEDULE).param_scheduler:
        total = epochs if cfg.get('by_epoch', True) else epochs * steps
        args = dict(optimizer=wrapper, epoch_length=steps)
        built.append(PARAM_SCHEDULERS.build({'end': total, **cfg}, default_args=args))
    values = []
    for _ in range(epochs * steps):
        values.append(wrapper.get_lr()['lr'][0])
        net(torch.ones(1, 1)).sum().backward()
        wrapper.step()
        for scheduler in built:
            scheduler.step()
    return values


@pytest.mark.parametrize(
    ('epochs', 'steps', 'warmup'), [(16, 50, 50), (4, 50, 20), (12, 5, 6), (2, 4, 0)]
)
def test_warm_up_is_a_tenth_at_most_and_the_end_is_near_zero(epochs, steps, warmup):
    values = rates(epochs, steps)
    peak = max(range(len(values)), key=values.__getitem__)
    assert peak == max(warmup - 1, 0)
    assert values[0] == pytest.approx(0.1 if warmup else 1.0)
    assert values[peak] > 0.85
    assert values[-1] < 0.25 if epochs * steps < 20 else values[-1] < 0.02


@pytest.mark.parametrize(
    ('warmup', 'epochs', 'expected'),
    [
        (0, 4, 0),
        (9, 16, 9),
        (1, 1, 1),
        (0.55, 16, 9),
        (0.55, 12, 7),
        (0.55, 4, 2),
        (0.1, 20, 2),
        (0.1, 4, 1),  # a share is one epoch at least
    ],
)
def test_a_number_or_a_share(warmup, epochs, expected):
    assert count_warmup_epochs(warmup, epochs) == expected


@pytest.mark.parametrize('warmup', [-1, 1.5])
def test_others_are_named(warmup):
    with pytest.raises(ValueError, match=r'train_cfg\.warmup_epochs is a number'):
        count_warmup_epochs(warmup, 10)
