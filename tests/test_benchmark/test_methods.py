"""Methods of the benchmark: their configs exist and their keys change something."""

import os
from pathlib import Path

import pytest
from mmengine.config import Config

from mmxpl.benchmark import METHODS, find_method, longer, options_of
from mmxpl.benchmark.methods import (
    FRACTION_VARIABLE,
    fraction_env,
    read_config,
    settings_of,
)
from mmxpl.utils.config_options import merge_options
from mmxpl.utils.errors import DataError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def configured(name, labelled=0.1, seed=3, processes=1):
    method, path = find_method(name, 'synthetic', CONFIGS)
    cfg = Config.fromfile(path)
    merge_options(cfg, options_of(method, cfg, labelled, seed, processes))
    return cfg


@pytest.mark.parametrize('name', METHODS)
def test_every_method_has_a_config_and_options_that_it_knows(name):
    cfg = configured(name)
    assert cfg.randomness.seed == 3
    for part in cfg.train_dataloader.dataset.datasets:
        assert part.split_seed == 3
        assert part.fraction == (1.0 if METHODS[name].full else 0.1)


@pytest.mark.parametrize('name', [name for name in METHODS if name.startswith('xpl-')])
def test_an_ablation_differs_from_xpl_in_its_keys_alone(name):
    ablated, xpl = configured(name), configured('xpl')
    assert ablated._cfg_dict != xpl._cfg_dict
    method = METHODS[name]
    for key in method.options:
        head, _, rest = key.partition('.')
        pairs = [
            (a, b)
            for a, b in zip(ablated.custom_hooks, xpl.custom_hooks, strict=True)
            if a['type'] == head
        ] or [(ablated, xpl)]
        path = rest if pairs[0][0] is not ablated else key
        for node, other in pairs:
            *parents, leaf = path.split('.')
            for parent in parents:
                node, other = node[parent], other[parent]
            assert node[leaf] == method.options[key] != other[leaf]
            node[leaf] = other[leaf]
    assert ablated._cfg_dict == xpl._cfg_dict


def test_every_method_has_the_budget_of_xpl():
    xpl = configured('xpl')
    for name in METHODS:
        cfg = configured(name)
        assert cfg.train_cfg.max_epochs == xpl.train_cfg.max_epochs, name
        sampler = cfg.train_dataloader.sampler
        assert sampler.num_batches == xpl.train_dataloader.sampler.num_batches, name
        if name != 'supervised':  # it has no use for unlabelled clips
            assert cfg.train_dataloader.batch_size == xpl.train_dataloader.batch_size
        for part in ('visual_backbone', 'audio_encoder', 'embed_dim'):
            for localizer in ('a',) if name == 'xpl-same_nets' else ('a', 'b'):
                assert (
                    cfg.model.localizers[localizer][part]
                    == xpl.model.localizers[localizer][part]
                ), name
        assert cfg.optim_wrapper == xpl.optim_wrapper, name
        assert cfg.param_scheduler == xpl.param_scheduler, name


@pytest.mark.parametrize('former', [None, '0.3'])
def test_settings_that_depend_on_the_labelled_fraction_are_of_the_one_asked_for(
    former, monkeypatch
):
    monkeypatch.delenv(FRACTION_VARIABLE, raising=False)
    if former is not None:
        monkeypatch.setenv(FRACTION_VARIABLE, former)
    method, path = find_method('xpl', 'synthetic', CONFIGS)
    votes = {
        labelled: not read_config(path, fraction_env(method, labelled)).custom_hooks[3][
            'soft'
        ]
        for labelled in (0.05, 0.1, None)
    }
    assert votes == {0.05: True, 0.1: False, None: former is None}
    assert os.environ.get(FRACTION_VARIABLE) == former
    assert fraction_env(METHODS['full'], 0.05) == {FRACTION_VARIABLE: '1.0'}


def test_a_config_that_cannot_be_read_leaves_the_environment_alone(
    tmp_path, monkeypatch
):
    monkeypatch.delenv(FRACTION_VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError):
        read_config(tmp_path / 'absent.py', {FRACTION_VARIABLE: '0.1'})
    assert FRACTION_VARIABLE not in os.environ


def test_settings_are_of_the_config_wherever_its_data_lie(monkeypatch, tmp_path):
    _, path = find_method('xpl', 'synthetic', CONFIGS)
    here = settings_of(Config.fromfile(path))
    assert here['custom_hooks.3.momentum'] == 0.8
    assert here['train_dataloader.dataset.datasets.1.pipeline.0.size.1'] == 80
    places = {'MMXPL_DATA_ROOT': str(tmp_path), 'MMXPL_CACHE': str(tmp_path)}
    assert settings_of(read_config(path, places)) == here
    fraction = {FRACTION_VARIABLE: '0.1'}
    there = settings_of(read_config(path, fraction))
    assert {key for key in here if here[key] != there[key]} == {
        'custom_hooks.3.momentum',
        'custom_hooks.3.soft',
        'model.loss_pseudo.loss_weight',
        'train_dataloader.dataset.datasets.0.fraction',
        'train_dataloader.dataset.datasets.1.fraction',
    }


def test_a_sweep_is_a_method_with_other_values():
    cfg = configured('xpl-soft+CrossPseudoLabelHook.momentum=0.9+model.map_size=None')
    hook = next(h for h in cfg.custom_hooks if h['type'] == 'CrossPseudoLabelHook')
    assert (hook.soft, hook.momentum, cfg.model.map_size) == (True, 0.9, None)
    method, _ = find_method('xpl+model.map_size=None', 'synthetic', CONFIGS)
    assert method.title == 'XPL, model.map_size=None'
    cfg = configured('xpl+CrossPseudoLabelHook.reliability=agreement,')
    hook = next(h for h in cfg.custom_hooks if h['type'] == 'CrossPseudoLabelHook')
    assert list(hook.reliability) == ['agreement']  # as after --cfg-options
    # a key that would do nothing is refused where the options are merged
    with pytest.raises(DataError, match='momentun'):
        configured('xpl+CrossPseudoLabelHook.momentun=0.9')
    with pytest.raises(DataError, match="'key=value', got 'momentum'"):
        find_method('xpl+momentum', 'synthetic', CONFIGS)


def test_processes_divide_the_batch():
    one, two = configured('xpl'), configured('xpl', processes=2)
    assert two.train_dataloader.batch_size * 2 == one.train_dataloader.batch_size
    sampler = two.train_dataloader.sampler
    assert sampler.labelled_per_batch + sampler.unlabelled_per_batch == (
        two.train_dataloader.batch_size
    )


def test_what_cannot_be_made_is_said():
    with pytest.raises(DataError, match="no method 'xpll': choose from"):
        find_method('xpll', 'synthetic', CONFIGS)
    with pytest.raises(DataError, match=r'dmt_nowhere\.py: no such config'):
        find_method('dmt', 'nowhere', CONFIGS)
    with pytest.raises(DataError, match='does not divide by 3 processes'):
        configured('xpl', processes=3)
    method, path = find_method('xpl', 'vggss', CONFIGS)
    with pytest.raises(DataError, match='leave --labelled out'):
        options_of(method, Config.fromfile(path), 0.05, 0)


def test_a_longer_schedule_ends_with_the_training():
    cfg = configured('xpl-curriculum')
    lr, curriculum = cfg.param_scheduler[1], cfg.train_dataloader.sampler.curriculum
    former = cfg.train_cfg.max_epochs
    assert lr.end == lr.T_max == curriculum.until == former != 40
    before = [dict(s) for s in cfg.param_scheduler]
    merge_options(cfg, longer(cfg, 40))
    assert cfg.train_cfg.max_epochs == 40
    lr, curriculum = cfg.param_scheduler[1], cfg.train_dataloader.sampler.curriculum
    assert lr.end == lr.T_max == curriculum.until == 40
    assert dict(cfg.param_scheduler[0]) == before[0]  # the first steps' rise
    hook = next(h for h in cfg.custom_hooks if 'Cross' in h['type'])
    assert hook.warmup_epochs == 9
