"""Who can go on from whose warm-up."""

from pathlib import Path

import pytest
import torch

from mmxpl.comparison import (
    find_lenders,
    find_method,
    options_of,
    share_warm_start,
    warm_up_epochs,
)
from mmxpl.utils.config import merge_options, method_names

CONFIG = Path(__file__).resolve().parents[2] / 'configs/xpl/xpl_synthetic.py'
METHODS = (*method_names(), 'full')


def configured(name, seed=0):
    method = find_method(name)
    cfg = method.read(CONFIG)
    merge_options(cfg, options_of(method, cfg, 0.05, seed))
    return cfg


def test_what_differs_in_pseudo_labels_alone_borrows_from_xpl():
    configs = {name: configured(name) for name in METHODS}
    lenders = find_lenders(configs)
    alone = {'supervised', 'ezvsl', 'lvs', 'slavc', 'fnac', 'full', 'xpl'}
    # another loss, batch or net from the first step on
    alone |= {'deaf', 'xpl-no_contrast', 'xpl-same_nets'}
    # who keeps the area of the annotations lends to those who do not
    alone = alone - {'xpl'} | {'xpl-aligned'}
    assert lenders == dict.fromkeys(set(METHODS) - alone, 'xpl-aligned')


def test_another_seed_or_a_shorter_warm_up_lends_nothing():
    assert find_lenders({0: configured('xpl', 0), 1: configured('supcon', 1)}) == {}
    late, early = configured('xpl'), configured('xpl')
    early.train_cfg.warmup_epochs = 2
    assert find_lenders({'late': late, 'early': early}) == {}
    assert find_lenders({'early': early, 'late': late}) == {'late': 'early'}
    assert (warm_up_epochs(early), warm_up_epochs(late)) == (2, 9)


def test_the_weight_of_pseudo_labels_does_not_matter_before_them():
    names = ['xpl', 'xpl+model.loss_pseudo.loss_weight=2.0', 'xpl+model.map_size=7']
    configs = {name: configured(name) for name in names}
    assert find_lenders(configs) == {names[1]: 'xpl'}


def test_who_needs_the_area_of_annotations_lends_first():
    configs = {'hard': configured('hard'), 'xpl': configured('xpl-votes')}
    assert find_lenders(configs) == {'hard': 'xpl'}


def test_a_warm_start_is_resumed_from_unless_the_training_went_on(tmp_path):
    source = tmp_path / 'epoch_6.pth'
    torch.save(dict(state_dict=dict(w=torch.ones(2)), meta=dict(epoch=6)), source)
    folder = tmp_path / 'cell'
    share_warm_start(source, folder)
    target = Path((folder / 'last_checkpoint').read_text())
    state = torch.load(target, weights_only=True)
    assert target.parent == folder
    assert torch.equal(state['state_dict']['w'], torch.ones(2))
    assert state['teacher'] is None
    (folder / 'last_checkpoint').write_text('epoch_9.pth')
    share_warm_start(source, folder)
    assert (folder / 'last_checkpoint').read_text() == 'epoch_9.pth'


@pytest.mark.parametrize('name', ['supcon', 'supervised'])
def test_without_pseudo_labels_all_epochs_are_warm_up(name):
    assert warm_up_epochs(configured(name)) == 16
