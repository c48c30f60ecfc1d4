import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.hooks import CheckpointHook
from torch import nn

from mmxpl.engine.resume.checkpoint_hook import AtomicCheckpointHook
from mmxpl.engine.resume.loop import ResumableTrainLoop
from mmxpl.engine.runner import CheckedRunner, build_runner
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
    [
        ('ens/AUC_fixed', True),
        ('a+ogl/size=small/AUC_fixed', True),
        ('auto', True),
        (None, True),
        ('ens/AUC_median', False),
        ('AUC_fixed', False),
        ('zz/AUC_fixed', False),
    ],
)
def test_a_best_score_that_is_not_computed_is_refused_before_training(key, fits):
    loop = SimpleNamespace(evaluator=Evaluator([CIoUMetric(rules=['fixed'])]))
    hook = CheckpointHook(save_best=key, rule='greater')
    model = MODELS.build(tiny_model_cfg())
    runner = SimpleNamespace(hooks=[hook], _val_loop=loop, model=model)
    if fits:
        CheckedRunner._check_save_best(runner)
    else:
        with pytest.raises(DataError, match='no score .*, as .*ens/AUC_fixed.* are'):
            CheckedRunner._check_save_best(runner)
    runner.model = nn.Identity()  # of unknown localizers
    CheckedRunner._check_save_best(runner)
    runner.model = model
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
