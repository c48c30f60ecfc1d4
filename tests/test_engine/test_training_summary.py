from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import CosineAnnealingLR, LinearLR

from mmxpl.datasets.samplers import CurriculumSampler
from mmxpl.engine.training_summary import (
    describe_result,
    describe_training,
    short_schedules,
)

ROOT = Path(__file__).parents[2]


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
    assert 'one step, of 56 clips' in line
    assert 'num_batches' in line


def description(sampler, model=None, hooks=None, val=None, processes=1, warmup=1):
    if isinstance(sampler, CurriculumSampler):
        sampler.set_schedule(warmup, 4)  # as the hook does, which knows of a resume
    loader = Loader(steps=5, sampler=sampler, dataset=range(40))
    runner = SimpleNamespace(
        train_dataloader=loader,
        train_loop=SimpleNamespace(max_epochs=4, warmup_epochs=1),
        val_loop=val,
        val_dataloader=SimpleNamespace(dataset=range(7)),
        world_size=processes,
        cfg=ConfigDict(model=model or {}, default_hooks=hooks or {}),
        log_dir='work_dirs/x/1',
    )
    return describe_training(runner)


def curriculum(**settings):
    data = SimpleNamespace(datasets=[range(10), range(30)])
    settings = dict(labeled_per_batch=2, unlabeled_per_batch=3, **settings)
    return CurriculumSampler(data, num_batches=5, seed=0, **settings)


def test_clips_steps_and_sources_are_said():
    model = dict(loss_supervised={}, loss_contrastive=dict(type='X'))
    hooks = dict(pseudo_label=dict(type='CrossPseudoLabelHook', exchange='self'))
    sampler = curriculum(curriculum=dict(start=0.5, end=0.8))
    text = description(sampler, model, hooks, val=True, processes=2)
    assert 'Clips: 10 labeled, 30 unlabeled, 7 for validation.' in text
    assert '4 epochs of 5 steps on 2 processes of 2 labeled + 3 unlabeled' in text
    # 4 epochs x 5 steps x 2 processes x 2 of 10 clips, x 3 of 30
    assert 'each labeled one 8.0 times, each unlabeled one 4.0 times' in text
    assert 'labels of 10 clips' in text
    assert 'pairing of frame and sound' in text
    assert 'soft pseudo-labels (exchange: self)' in text
    assert 'the most reliable 50% to 80%, from epoch 2 on' in text


def test_a_resumed_run_says_the_warm_up_that_it_had():
    hooks = dict(pseudo_label=dict(type='CrossPseudoLabelHook'))
    assert 'from epoch 4 on' in description(curriculum(), None, hooks, warmup=3)


def test_one_localizer_learns_from_its_own_labels():
    model = dict(localizers=dict(a=dict(type='X')))
    sampler = curriculum(curriculum=dict(start=0.5, end=0.8))
    hook = dict(type='CrossPseudoLabelHook')
    text = description(sampler, model, dict(pseudo_label=hook))
    assert 'pseudo-labels (its own labels) of unlabeled clips, from epoch' in text
    hook['reliability'] = ['confidence']
    text = description(sampler, model, dict(pseudo_label=hook))
    assert 'the most reliable 50% to 80%' in text


def result(tmp_path, **info):
    runner = SimpleNamespace(
        message_hub=SimpleNamespace(runtime_info=info),
        cfg=SimpleNamespace(
            filename='configs/tiny.py', get=dict(test_dataloader=True).get
        ),
        work_dir=str(tmp_path),
    )
    return describe_result(runner)


def test_what_a_training_leaves_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'w').mkdir()
    for name in ('w/epoch_3.pth', 'w/best_ens_x_epoch_2.pth', 'l', 'a.pth'):
        (tmp_path / name).touch()
    assert result(tmp_path) == ''
    text = result(tmp_path, last_ckpt='w/epoch_3.pth')
    tool = f'python {ROOT / "tools/test.py"}'
    assert text.endswith(f'{tool} configs/tiny.py w/epoch_3.pth')
    (tmp_path / 'tiny.py').touch()
    best = 'w/best_ens_x_epoch_2.pth'
    text = result(tmp_path, last_ckpt='l', best_score=61.25, best_ckpt=best)
    assert 'Best ens_x: 61.25, w/best' in text
    assert 'Last checkpoint: l\n' in text
    assert text.endswith(f'tools/test.py {tmp_path}/tiny.py {best}')
    two = dict(best_score_a=1.0, best_ckpt_a='a.pth')
    assert 'Best a: 1, a.pth' in result(tmp_path, last_ckpt='l', **two)


def test_files_of_the_folder_that_a_run_was_resumed_from_are_not_said(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    (tmp_path / 'l').touch()
    elsewhere = dict(best_ckpt=str(tmp_path / 'gone.pth'), best_score=1.0)
    text = result(tmp_path, last_ckpt=str(tmp_path / 'l'), **elsewhere)
    assert text.endswith(f'python tools/test.py configs/tiny.py {tmp_path}/l')
    assert 'Best' not in text
    assert result(tmp_path, last_ckpt=str(tmp_path / 'gone.pth')) == ''


def test_what_is_not_learnt_from_is_not_said():
    model = dict(loss_supervised=dict(loss_weight=0.0))
    text = description(curriculum(), model, dict(pseudo_label=None))
    assert 'Learnt from' not in text
    assert 'validation' not in text


def test_another_sampler_s_training_is_described_too():
    text = description(object())
    assert 'Clips: 40.' in text
    assert '4 epochs of 5 steps of 56 clips' in text
