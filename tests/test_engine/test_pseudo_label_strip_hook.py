from types import SimpleNamespace

import cv2
import pytest
import torch

from mmxpl.datasets import VGGSSDataset
from mmxpl.engine.hooks import CrossPseudoLabelHook, PseudoLabelStripHook
from mmxpl.pseudo_labels import PseudoLabelBank


@pytest.fixture
def runner(tiny_world, tmp_path):
    pipeline = [
        dict(type='LoadFrame', size=48),
        dict(type='LoadAudio', sample_rate=8000, duration=0.5),
        dict(type='PackAVInputs'),
    ]
    dataset = VGGSSDataset(str(tiny_world), id_list='train.txt', pipeline=pipeline)
    cross = CrossPseudoLabelHook()
    cross.bank = PseudoLabelBank(dataset.sample_ids, ['a', 'b'])
    loader = SimpleNamespace(dataset=SimpleNamespace(datasets=[None, dataset]))
    return SimpleNamespace(
        hooks=[cross], train_dataloader=loader, work_dir=str(tmp_path), _resume=True
    )


def visit(runner):
    bank = runner.hooks[0].bank
    bank.update(torch.arange(len(bank)), torch.rand(len(bank), 2, 6, 6))


def test_a_strip_per_clip_that_grows_with_the_epochs(runner, tmp_path):
    hook = PseudoLabelStripHook(num_clips=3)
    hook.after_train_epoch(runner)  # warm-up: no label yet
    assert not (tmp_path / 'pseudo_labels').exists()
    widths = []
    for _ in range(2):
        visit(runner)
        hook.after_train_epoch(runner)
        files = sorted((tmp_path / 'pseudo_labels').glob('*.png'))
        assert len(files) == 3
        widths.append(cv2.imread(str(files[0])).shape[1])
    assert widths[1] > widths[0]
    assert hook.visits == [1, 2]


def test_a_resumed_run_keeps_the_earlier_labels(runner):
    hook, other = PseudoLabelStripHook(num_clips=2), PseudoLabelStripHook(num_clips=2)
    visit(runner)
    hook.after_train_epoch(runner)
    checkpoint = {}
    hook.before_save_checkpoint(runner, checkpoint)
    other.after_load_checkpoint(runner, checkpoint)
    assert other.visits == [1]
    assert torch.equal(other.labels[0], hook.labels[0])


def test_without_the_labeling_hook_it_says_so(runner):
    runner.hooks = []
    with pytest.raises(TypeError, match='CrossPseudoLabelHook'):
        PseudoLabelStripHook().after_train_epoch(runner)
