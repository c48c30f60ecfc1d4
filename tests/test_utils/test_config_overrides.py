import copy
import re

import pytest
from mmengine.config import Config

from mmxpl.utils import DataError
from mmxpl.utils.config_overrides import (
    merge_options,
    read_config,
    refuse_inert_keys,
)


@pytest.fixture
def cfg():
    return Config(
        {
            'data_root': 'data/x',
            'share': 0.05,
            'model': {'type': 'M', 'backbone': {'depth': 18, 'width': 1.0}},
            'train_dataloader': {'dataset': {'data_root': 'data/x', 'fraction': 0.05}},
            'param_scheduler': [{'end': 5}, {'end': 30}],
            'optim_wrapper': {'optimizer': {'lr': 0.1}},
        }
    )


def refusal(cfg, key, value=1):
    before = cfg.to_dict()
    with pytest.raises(DataError) as caught:
        merge_options(cfg, {key: value})
    assert cfg.to_dict() == before
    return str(caught.value)


def test_known_keys_are_set(cfg):
    merge_options(
        cfg,
        {
            'model.backbone.depth': 50,
            'param_scheduler.1.end': 40,
            'optim_wrapper': {'optimizer': {'lr': 1}},
        },
    )
    assert cfg.model.backbone.depth == 50
    assert [s.end for s in cfg.param_scheduler] == [5, 40]
    assert cfg.optim_wrapper.optimizer.lr == 1


def test_arguments_of_the_runner_may_be_left_at_their_default(cfg):
    merge_options(cfg, {'load_from': 'x.pth', 'randomness.seed': 3, 'compile': True})
    assert (cfg.load_from, cfg.randomness.seed, cfg.compile) == ('x.pth', 3, True)


@pytest.mark.parametrize(
    ('key', 'hint'),
    [
        ('model.backbone.dept', 'model.backbone.depth'),
        ('model.backbon.depth', 'model.backbone.depth'),
        ('modle.backbone.depth', 'model.backbone.depth'),
        ('model.lr', 'optim_wrapper.optimizer.lr'),
        ('lr', 'optim_wrapper.optimizer.lr'),
        ('param_scheduler.2.end', 'param_scheduler.1.end'),
        ('param_schedular.0.end', 'param_scheduler.0.end'),
    ],
)
def test_unknown_key_is_refused_with_the_nearest(cfg, key, hint):
    message = refusal(cfg, key)
    assert f"unknown key '{key}'" in message
    assert f"'{hint}'" in message


def test_key_that_resembles_nothing(cfg):
    message = refusal(cfg, 'zzz.qqq')
    assert 'did you mean' not in message
    assert "'. To add a key, write it" in message
    assert 'write it into a config file' in message


def test_an_item_of_a_list_that_mmengine_cannot_merge_is_refused(cfg):
    cfg.merge_from_dict({'model.backbone.strides': (1, 2), 'model.names': ['a', 'b']})
    words = 'model.names.1 cannot be set alone: set the whole list, model.names="[a,b]"'
    assert words in refusal(cfg, 'model.names.1')
    assert 'set the whole list' in refusal(cfg, 'model.backbone.strides.0')
    assert 'set the whole list' in refusal(cfg, 'param_scheduler.0')


def test_the_launcher_is_an_argument_of_its_own(cfg):
    assert 'follows from --launcher' in refusal(cfg, 'launcher', 'pytorch')


def test_nothing_lies_below_a_plain_value(cfg):
    assert "unknown key 'model.backbone.depth.x'" in refusal(
        cfg, 'model.backbone.depth.x'
    )


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('val_evaluator.models', ['a', 'b']),  # of CIoUMetric itself
        ('val_evaluator.n_expected', 7),  # of its parent
        ('default_hooks.pseudo_label.momentum', 0.5),
        ('train_dataloader.sampler.num_batches', 3),
        ('model.backbone.base_channels', 32),  # of a class of MMDetection
    ],
)
def test_an_argument_that_the_config_does_not_give_is_set(cfg, key, value):
    cfg.val_evaluator = dict(type='CIoUMetric', rules=['median'])
    cfg.default_hooks = dict(pseudo_label=dict(type='CrossPseudoLabelHook'))
    cfg.train_dataloader.sampler = dict(type='CurriculumSampler')
    cfg.model.backbone.type = 'mmdet.ResNet'
    merge_options(cfg, {key: value})
    node = cfg
    for part in key.split('.'):
        node = node[part]
    assert node == value
    wrong = key.replace('.', '.no_', 1) if key.count('.') == 1 else f'{key}_no'
    assert f"unknown key '{wrong}'" in refusal(cfg, wrong)


@pytest.mark.parametrize('before', [{}, {'negative_audio': None}])
def test_a_key_of_an_argument_that_is_a_dict_is_set(cfg, before):
    cfg.model = dict(type='XPL', **before)
    merge_options(cfg, {'model.negative_audio.share': 0.3})
    assert cfg.model.negative_audio == dict(share=0.3)
    # not of another argument, and not where nothing says what reads it
    assert 'unknown key' in refusal(cfg, 'model.bias.share')
    cfg.default_hooks = dict(calibration=None)
    assert 'unknown key' in refusal(cfg, 'default_hooks.calibration.share')


def test_arguments_are_those_of_the_type_that_the_options_set(cfg):
    cfg.optim_wrapper.type = 'OptimWrapper'
    assert 'unknown key' in refusal(cfg, 'optim_wrapper.dtype', 'auto')
    options = {'optim_wrapper.dtype': 'auto', 'optim_wrapper.type': 'AmpOptimWrapper'}
    merge_options(cfg, options)
    assert cfg.optim_wrapper.dtype == 'auto'


def test_arguments_are_those_of_the_wrapper_that_amp_will_set(cfg):
    cfg.optim_wrapper.type = 'OptimWrapper'
    merge_options(cfg, {'optim_wrapper.dtype': 'auto'}, amp=True)
    assert cfg.optim_wrapper.to_dict() == dict(
        cfg.optim_wrapper.to_dict(), type='OptimWrapper', dtype='auto'
    )
    with pytest.raises(DataError, match='unknown key'):
        merge_options(cfg, {'optim_wrapper.type_of': 'auto'}, amp=True)


def test_one_wrong_key_among_good_ones_changes_nothing(cfg):
    with pytest.raises(DataError):
        merge_options(cfg, {'model.backbone.depth': 50, 'model.nonsense': 1})
    assert cfg.model.backbone.depth == 18


def test_variable_of_the_file_is_refused_with_its_uses(cfg):
    assert 'Set train_dataloader.dataset.data_root instead' in refusal(
        cfg, 'data_root', 'other'
    )
    # named otherwise where it is used
    assert 'Set train_dataloader.dataset.fraction instead' in refusal(cfg, 'share')


def test_variable_without_a_known_use(cfg):
    cfg.note = 'unused'
    assert "'note' is a variable of the config file" in refusal(cfg, 'note')


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (
            'param_schedular = [dict(end=3)]',
            "'param_schedular' .*mean param_scheduler?",
        ),
        ('default_hook = dict(timer=1)', 'mean default_hooks?'),
        ('optimizer = dict(lr=0.1)', r'mean optim_wrapper\.optimizer?'),
        ('total_epochs = 12', r'mean train_cfg\.max_epochs?'),
        ('env_cfg = dict(dist_cgf=dict())', r"'env_cfg\.dist_cgf' .*dist_cfg"),
        ('auto_scale_lr = dict(enabled=True)', r"'auto_scale_lr\.enabled'"),
        ('env_cfg = dict(mp_cfg=dict(a=1))', r"'env_cfg\.mp_cfg\.a' .*mp_start_method"),
    ],
)
def test_a_key_of_a_file_that_nobody_reads_is_refused(text, words):
    cfg = Config.fromstring(text, '.py')
    with pytest.raises(DataError, match=f"^config 'x.py': .*{words}"):
        refuse_inert_keys(cfg, 'x.py')


def test_variables_of_a_file_pass():
    text = (
        'optimizer = dict(lr=0.1)\noptim_wrapper = dict(optimizer=optimizer)\n'
        'load = [1]\nfew_labels = True\nbase_lr = 0.1\n'
        'env_cfg = dict(cudnn_benchmark=True)\nauto_scale_lr = None\n'
    )
    refuse_inert_keys(Config.fromstring(text, '.py'), 'x.py')


def test_what_a_config_imports_is_no_setting(tmp_path):
    path = tmp_path / 'own.py'
    path.write_text('import os\nimport mmxpl\na = dict(b=len(os.sep))\n')
    cfg = read_config(path)
    assert {**copy.deepcopy(cfg)._cfg_dict} == dict(a=dict(b=1))


def test_settings_that_a_config_imports_stay(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'own_parts.py').write_text(
        "class Net:\n    pass\n\n\nmodel, rate, half = dict(type='Net'), 0.5, len\n"
    )
    path = tmp_path / 'own.py'
    path.write_text('from own_parts import Net, half, model, rate\na = Net\n')
    cfg = read_config(path)
    assert [*cfg] == ['model', 'rate', 'a']
    cfg.merge_from_dict({'model.depth': 2})
    assert Config.fromstring(cfg.pretty_text, '.py').model == dict(type='Net', depth=2)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('a = (\n', 'SyntaxError'),
        ('a = 1\nb = c\n', r"own\.py, line 2: NameError: name 'c'"),
        ("_base_ = 'base.py'\na = dict(b=1)\n", 'TypeError: a=.* in child config'),
        ("custom_imports = dict(imports=['nowhere'])\n", 'ImportError: .*nowhere'),
        (
            "custom_imports = dict(imports=['part_with_typo'])\n",
            "part_with_typo.*because of ModuleNotFoundError: .*'nothing_here'",
        ),
        (
            "custom_imports = dict(imports=['part_with_option'])\n",
            "part_with_option.*because of ModuleNotFoundError: .*'nothing_here'",
        ),
        ("a = '{{$MMXPL_OF_NOBODY:}}'\n", 'KeyError: `MMXPL_OF_NOBODY` cannot be'),
    ],
)
def test_a_config_that_fails_is_named_with_the_line(tmp_path, monkeypatch, text, words):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'part_with_typo.py').write_text('import nothing_here\n')
    (tmp_path / 'part_with_option.py').write_text(
        'try:\n    import optional_one\nexcept ImportError:\n    import nothing_here\n'
    )
    (tmp_path / 'base.py').write_text('a = []\n')
    path = tmp_path / 'own.py'
    path.write_text(text)
    with pytest.raises(
        DataError, match=r"config '.*own\.py' cannot be read: "
    ) as caught:
        read_config(path)
    assert re.search(words, str(caught.value))
