from types import SimpleNamespace

import pytest
import torch

from mmxpl.engine.hooks import InvalidLossHook
from mmxpl.testing import tiny_batch
from mmxpl.utils import DataError


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_loss_that_is_no_number_stops_with_the_clips(value):
    runner = SimpleNamespace(iter=41, work_dir='work_dirs/run')
    outputs = {'a.loss_pseudo': torch.tensor(value), 'loss': 1.0}
    with pytest.raises(DataError) as error:
        InvalidLossHook().after_train_iter(runner, 0, tiny_batch(1, 1), outputs)
    for word in ('Iteration 42', 'a.loss_pseudo', 'l0, u0', 'work_dirs/run'):
        assert word in str(error.value)


def test_numbers_pass():
    InvalidLossHook().after_train_iter(None, 0, None, {'loss': torch.tensor(1.0)})
