import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.hooks import CheckpointHook

from mmxpl.engine.resume.checkpoint_hook import AtomicCheckpointHook
from mmxpl.engine.resume.loop import ResumableTrainLoop
from mmxpl.engine.runner import CheckedRunner, build_runner, check_settings
from mmxpl.evaluation import CIoUMetric
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_model_cfg
from mmxpl.utils.errors import DataError


def check(models):
    loop = SimpleNamespace(evaluator=Evaluator([CIoUMetric(models=models)]))
    runner = SimpleNamespace(
        model=MODELS.build(tiny_model_cfg()), _val_loop=loop, _test_loop=None
    )
    CheckedRunner._check_metrics(runner)


def test_metrics_of_unknown_models_are_refused_before_training():
    check(None)
    check(['a', 'ens'])
    with pytest.raises(DataError, match='CIoUMetric has zz, .* predicts a, b, ens'):
        check(['a', 'zz'])


@pytest.mark.parametrize(
    ('key', 'fits'),
    [('ens/AUC_fixed', True), ('auto', True), (None, True), ('ens/AUC_median', False)],
)
def test_a_best_score_that_is_not_computed_is_refused_before_training(key, fits):
    loop = SimpleNamespace(evaluator=Evaluator([CIoUMetric(rules=['fixed'])]))
    hook = CheckpointHook(save_best=key, rule='greater')
    runner = SimpleNamespace(hooks=[hook], _val_loop=loop)
    if fits:
        CheckedRunner._check_save_best(runner)
    else:
        with pytest.raises(DataError, match='scores of val_evaluator are CIoU@0.5_fix'):
            CheckedRunner._check_save_best(runner)
    loop.evaluator.metrics.append(object())  # of unknown scores
    CheckedRunner._check_save_best(runner)


@pytest.mark.parametrize(
    'hook',
    [
        AtomicCheckpointHook(),
        AtomicCheckpointHook(backend_args=dict(backend='local')),
        CheckpointHook(),
    ],
)
def test_a_run_that_has_nothing_to_resume_from_starts_from_load_from(tmp_path, hook):
    runner = object.__new__(CheckedRunner)
    runner._hooks, runner._work_dir, runner.model = [hook], str(tmp_path), None
    runner._train_loop = runner._val_loop = runner._test_loop = None
    runner.logger = logging.getLogger('x')
    runner._resume, runner._load_from = 'auto', 'heads.pth'
    runner.call_hook('before_run')
    assert (runner._resume, runner._load_from) == (False, 'heads.pth')
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(meta=dict(epoch=1, iter=5), optimizer={}, message_hub={}), path)
    (tmp_path / 'last_checkpoint').write_text(str(path))
    runner._resume = 'auto'
    runner.call_hook('before_run')
    assert runner._resume is True
    # MMEngine finds the checkpoint later
    assert runner._load_from in (None, str(path))
    assert runner._load_from or not getattr(hook, '_local', False)


def test_a_training_without_a_step_left_writes_its_config(tmp_path, monkeypatch):
    monkeypatch.setattr('mmxpl.engine.runner.describe_result', lambda runner: '')
    runner = object.__new__(CheckedRunner)
    runner._hooks, runner._work_dir, runner._resume = [], str(tmp_path), True
    runner._train_loop, runner._rank = object.__new__(ResumableTrainLoop), 0
    runner._config_is_written, runner._load_from = False, None
    (tmp_path / 'given').mkdir()
    (tmp_path / 'given/some.py').write_text('a = 1')
    runner.cfg = Config.fromfile(tmp_path / 'given/some.py')
    runner.call_hook('after_val_iter')  # perhaps one that the training owed
    assert not (tmp_path / 'some.py').exists()
    runner.call_hook('after_train')
    assert (tmp_path / 'some.py').read_text() == 'a = 1\n'


def test_the_layout_of_the_written_config_changes_no_value(monkeypatch):
    cfg = Config(dict(a=dict(b=(1, 'x'), c=[None, dict(d=2)]), e={'f.g': 0.1, 'h': {}}))
    formatted = cfg.pretty_text
    monkeypatch.setattr(CheckedRunner, 'from_cfg', lambda cfg: cfg)
    assert build_runner(cfg) is cfg
    assert cfg.pretty_text != formatted
    for text in (formatted, cfg.pretty_text, cfg.copy().pretty_text):
        assert Config.fromstring(text, '.py').to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(randomness=dict(seed=-1)), 'randomness.seed is None or a whole number'),
        (dict(randomness=dict(seed='1')), "got '1'"),
        (dict(log_level='LOUD'), "log_level is .* got 'LOUD'"),
        (
            dict(
                default_hooks=dict(
                    pseudo_label=dict(type='CrossPseudoLabelHook'),
                    psuedo_label=dict(momentum=0.3),
                )
            ),
            'default_hooks.psuedo_label has no type; did you mean pseudo_label?',
        ),
        (
            dict(custom_hooks=[dict(type='CheckpointGuardHook', partial='no')]),
            "custom_hooks.0.partial has the type bool, got 'no'",
        ),
        (
            dict(
                default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval='1'))
            ),
            'checkpoint.interval has the type int',
        ),
        (
            dict(val_evaluator=dict(type='mmxpl.CIoUMetric', rules='fixed')),
            r"rules has the type Sequence\[str\], got 'fixed'",
        ),
        (
            dict(model=dict(type='XPL', data_preprocessor=None)),
            'model.data_preprocessor has the type dict, got None',
        ),
        (dict(load_from=5), r'^load_from has the type Optional\[str\], got 5'),
        (dict(randomness=None), '^randomness has the type Dict, got None'),
        (dict(randomness='abc'), "^randomness has the type Dict, got 'abc'"),
        (dict(default_hooks='abc'), "^default_hooks has the type .*, got 'abc'"),
        (
            dict(env_cfg=dict(cudnn_benchmark='no')),
            "^env_cfg.cudnn_benchmark has the type bool, got 'no'",
        ),
        (dict(env_cfg=dict(mp_cfg=None)), '^env_cfg.mp_cfg has the type dict, got'),
        (
            dict(env_cfg=dict(mp_cfg=dict(opencv_num_threads='x'))),
            '^env_cfg.mp_cfg.opencv_num_threads has the type int',
        ),
        (
            dict(env_cfg=dict(dist_cfg=dict(timeout='1 h'))),
            "^env_cfg.dist_cfg.timeout has the type float, got '1 h'",
        ),
        (dict(auto_scale_lr=dict(enable='no')), 'auto_scale_lr.enable has .* bool'),
        (
            dict(val_dataloader=dict(persistent_workers='no')),
            '^val_dataloader.persistent_workers has the type bool',
        ),
        (dict(find_unused_parameters='no'), 'find_unused_parameters has .* bool'),
        # an argument without a type has that of its default
        (
            dict(log_processor=dict(type='LogProcessor', by_epoch='no')),
            "^log_processor.by_epoch has the type bool, got 'no'",
        ),
        (
            dict(log_processor=dict(type='LogProcessor', window_size='x')),
            "^log_processor.window_size has the type int, got 'x'",
        ),
        (
            dict(log_processor=dict(window_size=0)),
            '^log_processor.window_size must be positive, got 0',
        ),
        (
            dict(optim_wrapper=dict(clip_grad=dict(max_norm=-1))),
            '^optim_wrapper.clip_grad.max_norm must be positive, got -1',
        ),
        (
            dict(optim_wrapper=dict(clip_grad=dict(max_norm=None))),
            'clip_grad.max_norm has the type float, got None',
        ),
        (dict(optim_wrapper='x'), r'^optim_wrapper has the type .*, got .x'),
        (dict(test_evaluator=3), r'^test_evaluator has the type .*, got 3'),
        (dict(resume='yes'), "^resume is True, False or 'auto', got 'yes'"),
        (dict(test_dataloader=dict(dataset='x')), 'test_dataloader.dataset has the'),
        (dict(val_dataloader=dict(sampler='x')), 'val_dataloader.sampler has the'),
        (dict(model=dict(a=[dict(type='')])), r"model\.a\.0\.type is '': name a"),
        (dict(optim_wrapper=dict(type=None)), 'optim_wrapper.type is None: name a'),
    ],
)
def test_settings_of_a_wrong_type_are_refused(settings, words):
    with pytest.raises(DataError, match=words):
        check_settings(Config(settings))


def test_settings_that_may_have_several_types_pass():
    hook = dict(type='CheckpointHook', save_best=['a', 'b'], max_keep_ckpts=3)
    loss = dict(type='MaxMILContrastiveLoss', loss_weight=1, temperature=0.1)
    metric = dict(type='CIoUMetric', rules=('fixed',), models=None, prior='x.npy')
    other = dict(type='mmdet.ResNet', depth='18')  # refused by its own class
    wrong = dict(type='nothing.')  # refused by the registry
    check_settings(
        Config(dict(a=[hook, loss], b=dict(c=metric, d=other, e=wrong), log_level=20))
    )
    xavier = dict(type='Xavier', gain=0.5, distribution='uniform', bias=0)
    check_settings(Config(dict(a=xavier, compile=dict(backend='inductor'))))
    steps = dict(type='MultiStepLR', milestones=range(2, 9, 3))
    check_settings(Config(dict(param_scheduler=[steps], resume='auto')))


def test_values_that_a_lazy_config_imports_are_checked_themselves(tmp_path):
    path = tmp_path / 'lazy.py'
    path.write_text(
        'from math import pi\n'
        'from mmengine.hooks import LoggerHook\n'
        "a = dict(type='MapBCELoss', pos_weight=pi)\n"
        'b = dict(type=LoggerHook, interval=2)\n'
    )
    cfg = Config.fromfile(path, lazy_import=True)
    check_settings(cfg)
    cfg.b.interval = 'two'
    with pytest.raises(DataError, match=r"b\.interval has the type int, got 'two'"):
        check_settings(cfg)
