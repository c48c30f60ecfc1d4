from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import CosineAnnealingLR, LinearLR

from mmxpl.engine.short_schedule import short_schedules


class Loader(SimpleNamespace):
    """What is looked at of a data loader."""

    batch_size = 56

    def __len__(self):
        return self.steps


def lines(steps, epochs, **warm_up):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)
    schedulers = [
        LinearLR(optimizer, start_factor=0.1, **warm_up),
        CosineAnnealingLR(optimizer, T_max=epochs, begin=0, end=epochs),
    ]
    runner = SimpleNamespace(
        train_dataloader=Loader(steps=steps),
        train_loop=SimpleNamespace(max_epochs=epochs),
        param_schedulers=schedulers,
    )
    return list(short_schedules(runner))


def test_a_schedule_that_fits_is_not_spoken_of():
    assert lines(20, 12, by_epoch=False, end=50) == []
    assert lines(20, 12, by_epoch=True, end=12) == []


@pytest.mark.parametrize('warm_up', [dict(by_epoch=False, end=50), dict(end=13)])
def test_a_warm_up_that_never_ends_is_told(warm_up):
    (line,) = lines(4, 12, **warm_up)
    assert 'All 48 steps of this training, 12 epochs of 4' in line
    assert f'takes {warm_up["end"] if "by_epoch" in warm_up else 52}.' in line
    assert 'param_scheduler.0.end' in line


def test_an_epoch_of_one_step_is_told():
    (line,) = lines(1, 90, by_epoch=False, end=50)
    assert 'no more clips than a batch holds (56)' in line
    assert 'num_batches' in line
