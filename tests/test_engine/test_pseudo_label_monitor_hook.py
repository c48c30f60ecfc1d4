import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

import mmxpl.engine
import mmxpl.models
import mmxpl.visualization
from mmxpl.datasets import VGGSSDataset
from mmxpl.engine.hooks import CrossPseudoLabelHook, PseudoLabelStripHook
from mmxpl.pseudo_labels import PseudoLabelBank
from mmxpl.registry import HOOKS, MODELS
from tests.test_engine.tiny_training import LOAD, part, runner_of, shallow_model_cfg


def train(world, work_dir, *hooks, visualizer=None, cross=True):
    torch.manual_seed(3)
    runner = runner_of(
        work_dir,
        MODELS.build(shallow_model_cfg()),
        [part(world, subset='labeled', labeled=True), part(world, subset='unlabeled')],
        dict(labeled_per_batch=2, unlabeled_per_batch=2, curriculum=dict(start=0.5)),
        [*([dict(type='CrossPseudoLabelHook')] if cross else []), *hooks],
        (3, 1),
        work_dir.name,
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-2)),
        default_hooks=dict(checkpoint=None),
        visualizer=visualizer
        or dict(type='AVLocVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
        randomness=dict(seed=3),
    )
    runner.train()
    return runner


def monitor(world, **options):
    truth = part(world, subset='unlabeled', labeled=True)
    return dict(type='PseudoLabelMonitorHook', truth=truth, **options)


def records(runner):
    text = Path(runner.log_dir, 'vis_data', 'scalars.json').read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return [line for line in lines if 'pseudo_label/agreement' in line]


def test_what_is_logged_and_that_it_is_true(tiny_world, tmp_path):
    runner = train(tiny_world, tmp_path / 'run', monitor(tiny_world, num_clips=2))
    logged = records(runner)
    assert [line['step'] for line in logged] == [1, 2, 3]
    assert [line['pseudo_label/selected_fraction'] for line in logged] == [
        0.5,
        0.75,
    ] + [0.75]
    last = logged[-1]
    (bank,) = (h.bank for h in runner.hooks if hasattr(h, 'bank'))
    labels = bank.labels.double().numpy()
    assert last['pseudo_label/a_area'] == pytest.approx(labels[:, 0].mean(), abs=1e-5)
    sharpness = np.abs(2 * labels[:, 1] - 1).mean()
    assert last['pseudo_label/b_sharpness'] == pytest.approx(sharpness, abs=1e-5)
    # the truth of those very clips, drawn by the labeled set's own pipeline
    unlabeled = runner.train_dataloader.dataset.datasets[1]
    everything = mmxpl.datasets.AVJsonDataset(
        str(tiny_world), labeled=True, pipeline=LOAD
    )
    ids = everything.sample_ids
    ious, areas = [], []
    for label, sample_id in zip(labels[:, 0], unlabeled.sample_ids, strict=True):
        gt = everything[ids.index(sample_id)]['data_samples'].gt_map.double()
        cells = torch.nn.functional.interpolate(gt[None, None], (6, 6), mode='area')
        cells = cells[0, 0].numpy()
        ious.append(np.minimum(label, cells).sum() / np.maximum(label, cells).sum())
        areas.append(gt.mean())
    assert last['pseudo_label/a_soft_iou'] == pytest.approx(np.mean(ious), abs=1e-4)
    assert last['pseudo_label/true_area'] == pytest.approx(np.mean(areas), abs=1e-5)
    assert 0 <= last['pseudo_label/b_CIoU@0.5_adaptive'] <= 100
    assert 'pseudo_label/selected/b_soft_iou' in last
    pictures = f'{runner.log_dir}/vis_data/vis_image'
    for step in (1, 2, 3):
        assert cv2.imread(f'{pictures}/reliability_{step}.png').shape == (300, 500, 3)
        assert cv2.imread(f'{pictures}/pseudo_labels_{step}.png') is not None


def test_training_is_bit_for_bit_the_same_without_it(tiny_world, tmp_path):
    runs = [
        train(tiny_world, tmp_path / 'without'),
        train(tiny_world, tmp_path / 'with', monitor(tiny_world)),
    ]
    states = [
        {**r.model.state_dict(), **_flat(r.optim_wrapper.state_dict())} for r in runs
    ]
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key
    banks = [h.bank for r in runs for h in r.hooks if hasattr(h, 'bank')]
    assert torch.equal(banks[0].labels, banks[1].labels)


def _flat(state):
    return {
        f'optim.{n}.{key}': value
        for n, values in state['state'].items()
        for key, value in values.items()
    }


def test_without_truth_nothing_about_truth(tiny_world, tmp_path):
    hook = dict(type='PseudoLabelMonitorHook', num_clips=0)
    runner = train(
        tiny_world,
        tmp_path / 'run',
        hook,
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
    )
    keys = {key for line in records(runner) for key in line}
    assert not {key for key in keys if 'iou' in key.lower() or 'true' in key}
    assert 'pseudo_label/selected/reliability' in keys


def test_without_the_labeling_hook_it_says_so(tiny_world, tmp_path):
    hook = dict(type='PseudoLabelMonitorHook')
    with pytest.raises(TypeError, match='CrossPseudoLabelHook'):
        train(tiny_world, tmp_path / 'run', hook, cross=False)


def test_a_visualizer_that_cannot_draw_is_named(tiny_world, tmp_path):
    hook = dict(type='PseudoLabelMonitorHook')
    with pytest.raises(TypeError, match='AVLocVisualizer'):
        train(tiny_world, tmp_path / 'run', hook, visualizer=dict(type='Visualizer'))


def test_within_an_epoch_nothing_is_logged_over_its_record():
    hook = HOOKS.build(dict(type='PseudoLabelMonitorHook', num_clips=0))
    # without hooks to look for labels in, logging would fail
    runner = SimpleNamespace(iter=3, epoch=1, train_dataloader=range(2), hooks=[])
    hook.before_train_epoch(runner)
    hook.after_train(runner)
    runner.iter = 2
    with pytest.raises(TypeError, match='CrossPseudoLabelHook'):
        hook.before_train_epoch(runner)


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


def test_strips_without_the_labeling_hook_say_so(runner):
    runner.hooks = []
    with pytest.raises(TypeError, match='CrossPseudoLabelHook'):
        PseudoLabelStripHook().after_train_epoch(runner)


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='PseudoLabelMonitorHook', num_clips=-1),
        dict(type='PseudoLabelStripHook', num_clips=-1),
        dict(type='PseudoLabelStripHook', max_panels=0),
    ],
)
def test_numbers_of_pictures_out_of_range_are_refused(cfg):
    with pytest.raises(ValueError, match=r'must (not be negative|be positive)'):
        HOOKS.build(cfg)
