import re
from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from mmxpl.engine import CheckpointGuardHook
from mmxpl.engine.resume.checkpoint_guard import compare_weights
from mmxpl.utils import DataError


def net(width=4, extra=False):
    layers = OrderedDict(a=nn.Linear(2, width), b=nn.Linear(width, 1))
    if extra:
        layers['c'] = nn.BatchNorm1d(1)
    return nn.Sequential(layers)


def runner(model, resume=False, optimizer='SGD', **options):
    kind = getattr(torch.optim, optimizer)
    return SimpleNamespace(
        model=model,
        _load_from='x.pth',
        _resume=resume,
        work_dir='',
        optim_wrapper=OptimWrapper(kind(model.parameters(), **{'lr': 0.1, **options})),
    )


def load(model, checkpoint, resume=False, **hook):
    CheckpointGuardHook(**hook).after_load_checkpoint(runner(model, resume), checkpoint)


def refusal(*args, **kwargs):
    with pytest.raises(DataError) as caught:
        load(*args, **kwargs)
    return str(caught.value)


def test_own_weights_pass_with_and_without_the_wrappers_prefix():
    weights = net().state_dict()
    load(net(), {'state_dict': weights})
    load(net(), weights)
    load(net(), {'state_dict': {f'module.{k}': v for k, v in weights.items()}})


def test_differences_are_counted_and_named():
    mismatch = compare_weights(
        net(4).state_dict(), {**net(5).state_dict(), 'b.more': torch.zeros(1)}
    )
    assert mismatch['missing'] == []
    assert mismatch['unexpected'] == ['b.more']
    assert mismatch['of another shape'] == [
        'a.weight: (5, 2) for (4, 2)',
        'a.bias: (5,) for (4,)',
        'b.weight: (1, 5) for (1, 4)',
    ]
    message = refusal(net(extra=True), {'state_dict': net().state_dict()})
    assert "'x.pth'" in message
    # weight, bias, running_mean, running_var, num_batches_tracked
    assert '5 missing (c.weight, c.bias, c.running_mean, ...)' in message
    assert re.search(r'unexpected|shape \(', message) is None


def test_a_number_is_no_weight():
    assert 'of another shape' in refusal(
        net(), {'state_dict': {**net().state_dict(), 'a.bias': 3}}
    )


def test_partial_loading_needs_something_to_load():
    load(net(4), {'state_dict': net(5).state_dict()}, partial=True)
    message = refusal(net(), {'state_dict': {'w': torch.zeros(1)}}, partial=True)
    assert 'shares no weight' in message


def test_resume_needs_more_than_weights():
    weights = {'state_dict': net().state_dict()}
    load(net(), weights)
    message = refusal(net(), weights, resume=True)
    assert 'no meta, message_hub, optimizer' in message
    assert 'load_from' in message
    optimizer = runner(net()).optim_wrapper.state_dict()
    load(
        net(), {**weights, 'meta': {}, 'message_hub': {}, 'optimizer': optimizer}, True
    )


def resume(state, run):
    weights = run.model.state_dict()
    checkpoint = dict(state_dict=weights, meta={}, message_hub={}, optimizer=state)
    CheckpointGuardHook().after_load_checkpoint(run, checkpoint)


def test_another_optimizer_is_refused():
    state = runner(net(), optimizer='Adam').optim_wrapper.state_dict()
    # switches and rates may differ
    resume(state, runner(net(), True, 'AdamW', lr=0.2, amsgrad=True))
    state['param_groups'][0]['initial_lr'] = 0.1
    resume(state, runner(net(), True, 'Adam'))
    with pytest.raises(DataError, match=r"'x\.pth' .*options \(betas, .*momentum"):
        resume(state, runner(net(), True, 'SGD', momentum=0.9))
    model = net()
    some = [p for n, p in model.named_parameters() if 'b' in n]
    run = runner(model, True)
    run.optim_wrapper = OptimWrapper(torch.optim.Adam(some, lr=0.1))
    with pytest.raises(DataError, match=r'\[4\] parameters, here \[3\]'):
        resume(state, run)


def test_latest_checkpoint_is_named_on_automatic_resume(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('work/epoch_3.pth')
    automatic = SimpleNamespace(
        model=net(), _load_from=None, _resume=True, work_dir=str(tmp_path)
    )
    with pytest.raises(DataError, match=r'work/epoch_3\.pth'):
        CheckpointGuardHook().after_load_checkpoint(automatic, {'state_dict': {}})


def test_a_runner_refuses_before_it_loads_anything(tmp_path):
    from mmengine.model import BaseModel

    class Model(BaseModel):
        def __init__(self, width):
            super().__init__()
            self.net = net(width)

        def forward(self, inputs, mode='tensor'):
            return self.net(inputs)

    path = tmp_path / 'other.pth'
    torch.save({'state_dict': Model(5).state_dict()}, path)
    model = Model(4)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    run = Runner(
        model,
        str(tmp_path),
        load_from=str(path),
        default_hooks={'guard': CheckpointGuardHook()},
        experiment_name='test_checkpoint_guard_hook',
    )
    with pytest.raises(DataError, match=r'other\.pth'):
        run.load_or_resume()
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
