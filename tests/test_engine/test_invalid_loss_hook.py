from types import SimpleNamespace

import pytest
import torch

from mmxpl.engine import AtomicCheckpointHook, InvalidLossHook
from mmxpl.testing import tiny_batch
from mmxpl.utils import DataError


@pytest.fixture
def runner():
    saver = AtomicCheckpointHook()
    saver.last_written = 'work_dirs/run/epoch_3.pth'
    return SimpleNamespace(iter=41, work_dir='work_dirs/run', hooks=[saver])


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_loss_that_is_no_number_stops_with_the_clips(runner, value):
    outputs = {'a.loss_pseudo': torch.tensor(value), 'loss': 1.0}
    with pytest.raises(DataError) as error:
        InvalidLossHook().after_train_iter(runner, 0, tiny_batch(1, 1), outputs)
    for word in ('Iteration 42', 'a.loss_pseudo', 'l0, u0', 'run/epoch_3.pth'):
        assert word in str(error.value)


def test_before_the_first_checkpoint_none_is_named(runner):
    runner.hooks[0].last_written = None
    outputs = {'loss': torch.tensor(float('nan'))}
    with pytest.raises(DataError, match='No checkpoint was written yet'):
        InvalidLossHook().after_train_iter(runner, 0, tiny_batch(1, 1), outputs)


def test_numbers_pass(runner):
    hook = InvalidLossHook()
    hook.after_train_iter(runner, 0, None, {'loss': torch.tensor(1.0)})
    weights = {'w': torch.zeros(2), 'steps': torch.tensor(3)}
    hook.before_save_checkpoint(runner, dict(state_dict=weights, meta=dict(iter=1)))


def test_weights_that_are_no_numbers_are_not_saved(runner):
    hook = InvalidLossHook()
    hook.after_train_iter(runner, 0, tiny_batch(1, 1), {'loss': torch.tensor(1.0)})
    weights = {'good': torch.zeros(2), 'bad': torch.tensor([0.0, float('nan')])}
    checkpoint = dict(state_dict=weights, optimizer={}, meta=dict(iter=42))
    with pytest.raises(DataError) as error:
        hook.before_save_checkpoint(runner, checkpoint)
    for word in (
        'Iteration 42',
        '1 tensors, such as state_dict.bad',
        'l0, u0',
        'epoch_3.pth',
    ):
        assert word in str(error.value)


def test_an_optimizer_that_holds_no_numbers_is_not_saved(runner):
    average = torch.tensor([0.0, float('inf')])
    checkpoint = dict(
        state_dict={},
        optimizer=dict(state={3: dict(exp_avg=average, step=torch.tensor(4.0))}),
        meta=dict(iter=42),
    )
    with pytest.raises(DataError, match=r'optimizer\.state\.3\.exp_avg'):
        InvalidLossHook().before_save_checkpoint(runner, checkpoint)
