"""What is compared: names become overlays and options that the config knows."""

from pathlib import Path

import pytest

from mmxpl.comparison import find_method
from mmxpl.comparison.methods import (
    find_lenders,
    options_of,
    settings_of,
    warm_up_epochs,
)
from mmxpl.datasets.dataset_wrappers import config_leaves
from mmxpl.utils.config_overrides import merge_options, method_names
from mmxpl.utils.errors import DataError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CONFIG = CONFIGS / 'xpl/xpl_synthetic.py'


def configured(name, labeled=0.1, seed=3, processes=1, config=CONFIG):
    method = find_method(name)
    cfg = method.read(config)
    merge_options(cfg, options_of(method, cfg, labeled, seed, processes))
    return cfg


@pytest.mark.parametrize(
    ('name', 'fraction', 'batch'),
    [('xpl', 0.1, [16, 40]), ('full', 1.0, [56, 0]), ('supervised', 0.1, [16, 0])],
)
def test_fraction_and_seed_reach_both_halves(name, fraction, batch):
    cfg = configured(name)
    assert cfg.randomness.seed == 3
    for half in config_leaves(cfg.train_dataloader):
        assert (half['fraction'], half['split_seed']) == (fraction, 3)
    sampler = cfg.train_dataloader.sampler
    assert [sampler.labeled_per_batch, sampler.unlabeled_per_batch] == batch


def test_titles_are_the_overlays():
    for name, title in (
        ('dmt', 'DMT'),
        ('full', '100 % labels'),
        ('xpl+model.map_size=None', 'XPL, model.map_size=None'),
    ):
        method = find_method(name)
        assert method.title(method.read(CONFIG)) == title


def test_settings_are_of_the_config_wherever_its_data_lie(monkeypatch, tmp_path):
    here = settings_of(configured('xpl'))
    assert here['default_hooks.pseudo_label.momentum'] == 0.5
    assert here['train_dataloader.dataset.dataset.pipeline.0.size.1'] == 80
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(tmp_path))
    monkeypatch.setenv('MMXPL_CACHE', str(tmp_path))
    assert settings_of(configured('xpl')) == here
    there = settings_of(configured('xpl', labeled=0.2))
    assert {key for key in here if here[key] != there[key]} == {
        'train_dataloader.dataset.labeled_fraction'
    }


def test_a_sweep_is_a_method_with_other_values():
    label = 'default_hooks.pseudo_label'
    cfg = configured(f'xpl-hard+{label}.momentum=0.9+model.map_size=None')
    hook = cfg.default_hooks.pseudo_label
    assert (hook.soft, hook.momentum, cfg.model.map_size) == (False, 0.9, None)
    cfg = configured(f'xpl+{label}.reliability=confidence,')
    # as after --cfg-options
    assert list(cfg.default_hooks.pseudo_label.reliability) == ['confidence']
    # a key that would do nothing is refused where the options are merged
    with pytest.raises(DataError, match='momentun'):
        configured(f'xpl+{label}.momentun=0.9')
    with pytest.raises(DataError, match="'key=value', got 'momentum'"):
        find_method('xpl+momentum')


def test_processes_divide_the_batch():
    sampler = configured('xpl', processes=2).train_dataloader.sampler
    assert (sampler.labeled_per_batch, sampler.unlabeled_per_batch) == (8, 20)
    with pytest.raises(DataError, match='does not divide by 3 processes'):
        configured('xpl', processes=3)


def test_what_cannot_be_made_is_said():
    with pytest.raises(DataError, match='--method xpll: is neither a file nor one of'):
        find_method('xpll')
    lists = CONFIGS / 'xpl/xpl_vggss.py'
    assert configured('dmt', labeled=None, config=lists).method == 'DMT'
    for name, labeled in (('xpl', 0.05), ('full', None)):
        with pytest.raises(DataError, match='leave --labeled out'):
            configured(name, labeled=labeled, config=lists)


METHODS = (*method_names(), 'full')


def test_what_differs_in_pseudo_labels_alone_borrows_from_xpl():
    configs = {name: configured(name) for name in METHODS}
    lenders = find_lenders(configs)
    alone = {'supervised', 'ezvsl', 'lvs', 'slavc', 'fnac', 'full', 'xpl'}
    # another loss, batch or net from the first step on
    alone |= {'deaf', 'xpl-mixed', 'xpl-negatives', 'xpl-no_contrast', 'xpl-same_nets'}
    # who keeps the area of the annotations lends to those who do not
    alone = alone - {'xpl'} | {'xpl-aligned'}
    assert lenders == dict.fromkeys(set(METHODS) - alone, 'xpl-aligned')


def test_another_seed_or_a_shorter_warm_up_lends_nothing():
    assert (
        find_lenders({0: configured('xpl', seed=0), 1: configured('supcon', seed=1)})
        == {}
    )
    late, early = configured('xpl'), configured('xpl')
    early.train_cfg.warmup_epochs = 2
    assert find_lenders({'late': late, 'early': early}) == {}
    assert find_lenders({'early': early, 'late': late}) == {'late': 'early'}
    assert (warm_up_epochs(early), warm_up_epochs(late)) == (2, 9)


def test_the_weight_of_pseudo_labels_does_not_matter_before_them():
    names = ['xpl', 'xpl+model.loss_pseudo.loss_weight=2.0', 'xpl+model.map_size=7']
    configs = {name: configured(name) for name in names}
    assert find_lenders(configs) == {names[1]: 'xpl'}


def test_who_has_no_pseudo_labels_borrows_wherever_it_is_named():
    configs = {name: configured(name) for name in ('supcon', 'xpl')}
    assert find_lenders(configs) == {'supcon': 'xpl'}


def test_who_needs_the_area_of_annotations_lends_first():
    configs = {
        'hard': configured('hard'),
        'xpl': configured('xpl-votes'),
    }
    assert find_lenders(configs) == {'hard': 'xpl'}


@pytest.mark.parametrize('name', ['supcon', 'supervised'])
def test_without_pseudo_labels_all_epochs_are_warm_up(name):
    assert warm_up_epochs(configured(name)) == 16
