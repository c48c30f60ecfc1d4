"""Thresholds by area, in real trainings on the tiny world."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook

import mmxpl.engine  # noqa: F401
from mmxpl.engine.hooks.area_calibration_hook import restore_thresholds
from mmxpl.registry import HOOKS, MODELS
from mmxpl.utils import DataError
from mmxpl.utils.checkpoint import read_checkpoint
from tests.test_engine.tiny_training import part, runner_of, shallow_model_cfg

CALIBRATION = 'localizers.{}.calibration'


class Record(Hook):
    """Keeps the thresholds at the begin of every epoch, and when validating."""

    priority = 'LOWEST'

    def __init__(self):
        self.trained, self.validated = [], []

    def before_train_epoch(self, runner):
        self.trained.append(thresholds(runner.model.state_dict()))

    def before_val_epoch(self, runner):
        self.validated.append(thresholds(runner.model.state_dict()))


class Stop(Hook):
    """Ends the training after the checkpoint of an epoch, before validation."""

    priority = 'LOWEST'

    def __init__(self, epoch):
        self.epoch = epoch

    def after_train_epoch(self, runner):
        if runner.epoch + 1 == self.epoch:
            raise KeyboardInterrupt


def thresholds(state):
    return [state[CALIBRATION.format(name)][0].item() for name in 'ab']


def make_runner(world, work_dir, *hooks, resume=False, validate=True, interval=2):
    torch.manual_seed(3)
    labeled = part(world, subset='labeled', labeled=True)
    evaluation = dict(
        val_dataloader=dict(
            batch_size=4,
            num_workers=0,
            dataset=dict(labeled, id_list='val.txt', subset='all', fraction=None),
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='pseudo_collate'),
        ),
        val_evaluator=dict(type='CIoUMetric', rules=('fixed',)),
        val_cfg=dict(type='ValLoop'),
    )
    checkpoint = dict(
        type='CheckpointHook', interval=1, published_keys=['meta', 'state_dict']
    )
    return runner_of(
        work_dir,
        MODELS.build(shallow_model_cfg()),
        [labeled, part(world, subset='unlabeled')],
        dict(labeled_per_batch=2, unlabeled_per_batch=2, num_batches=3),
        [dict(type='CrossPseudoLabelHook'), *hooks],
        (3, 1),
        f'{Path(work_dir).name}{resume}',
        val_interval=interval,
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-2)),
        default_hooks=dict(logger=None, checkpoint=checkpoint),
        randomness=dict(seed=3),
        resume=resume,
        **(evaluation if validate else {}),
    )


def coverage(runner):
    """Share of the validation clips' cells at 0.5 or more, by localizer."""
    runner.model.eval()
    samples = runner.val_loop.dataloader.dataset
    batch = [samples[k] for k in range(len(samples))]
    data = runner.train_dataloader.collate_fn(batch)
    with torch.no_grad():
        inputs = runner.model.data_preprocessor.prepare(data)['inputs']
        maps = runner.model.predict_maps(inputs)
    shares = [(m >= 0.5).float().mean().item() for m in maps.values()]
    return shares, maps['a'].numel()


@pytest.mark.parametrize('ratio', [0.8, 1.4])
def test_maps_cover_what_is_asked_for(tiny_world, tmp_path, ratio):
    hook = HOOKS.build(dict(type='AreaCalibrationHook', area_ratio=ratio))
    runner = make_runner(tiny_world, tmp_path, hook)
    runner.train()
    labeled = runner.train_dataloader.dataset.datasets[0]
    gt = [labeled[k]['data_samples'].gt_map.mean() for k in range(len(labeled))]
    wanted = ratio * torch.stack(gt).mean().item()
    assert hook.area == pytest.approx(wanted, rel=1e-5)
    shares, cells = coverage(runner)
    assert shares == pytest.approx([wanted, wanted], abs=1.5 / cells)


def test_annotations_of_validation_clips_are_not_read(spoilable_world, tmp_path):
    path, hook = spoilable_world / 'annotations.json', dict(type='AreaCalibrationHook')
    val = (spoilable_world / 'val.txt').read_text().split()
    moved, truth = [], []
    for name in ('as_it_is', 'smaller'):
        record = Record()
        runner = make_runner(spoilable_world, tmp_path / name, hook, record)
        runner.train()
        moved.append(record.validated)
        truth.append(runner.val_loop.dataloader.dataset[0]['data_samples'].gt_map)
        annotations = json.loads(path.read_text())
        for clip in annotations['data_list']:
            if clip['sample_id'] in val:
                clip.pop('mask', None)
                clip['bboxes'] = [[0.0, 0.0, 0.1, 0.1]]
        path.write_text(json.dumps(annotations))
    assert moved[0] == moved[1]
    assert truth[0].sum() > 2 * truth[1].sum()


def test_the_training_is_what_it_would_be_without(tiny_world, tmp_path):
    record, plain = Record(), Record()
    hook = dict(type='AreaCalibrationHook')
    runner = make_runner(tiny_world, tmp_path / 'with', hook, record)
    runner.train()
    other = make_runner(tiny_world, tmp_path / 'without', plain)
    other.train()
    got, want = runner.model.state_dict(), other.model.state_dict()
    for name, value in want.items():
        if 'calibration' not in name:
            assert torch.equal(got[name], value), name
    assert record.trained == plain.trained
    # validated with thresholds of their own: after epochs 2 and 3
    assert len(record.validated) == len(plain.validated) == 2
    for moved, trained in zip(record.validated, plain.validated, strict=True):
        assert all(m != t for m, t in zip(moved, trained, strict=True))
    # what is kept is what was validated, and what would be trained on with
    last = read_checkpoint(str(tmp_path / 'with/epoch_3.pth'), 'cpu')
    assert thresholds(last['state_dict']) == record.validated[-1]
    kept = [last['area_calibration'][name] for name in 'ab']
    assert kept == plain.validated[-1]
    restore_thresholds(last)
    assert thresholds(last['state_dict']) == plain.validated[-1]
    assert 'area_calibration' not in last
    # an epoch without validation is saved as it is trained
    first = read_checkpoint(str(tmp_path / 'with/epoch_1.pth'), 'cpu')
    assert 'area_calibration' not in first
    assert thresholds(first['state_dict']) == record.trained[1]


def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tiny_world, tmp_path):
    hook, straight, rest = dict(type='AreaCalibrationHook'), Record(), Record()
    whole = make_runner(tiny_world, tmp_path / 'whole', hook, straight)
    whole.train()
    cut = make_runner(tiny_world, tmp_path / 'cut', hook, Stop(2))
    with pytest.raises(KeyboardInterrupt):
        cut.train()
    resumed = make_runner(tiny_world, tmp_path / 'cut', hook, rest, resume=True)
    resumed.train()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
    assert rest.trained == straight.trained[2:]
    assert rest.validated[-1] == straight.validated[-1]


def test_what_cannot_be_calibrated_is_said(tiny_world, tmp_path):
    with pytest.raises(ValueError, match='area_ratio must be positive'):
        HOOKS.build(dict(type='AreaCalibrationHook', area_ratio=0))
    with pytest.raises(ValueError, match='num_clips must be positive'):
        HOOKS.build(dict(type='AreaCalibrationHook', num_clips=0))
    hook = dict(type='AreaCalibrationHook', area_ratio=20)
    with pytest.raises(DataError, match=r'which is no share of a frame\. Set another'):
        make_runner(tiny_world, tmp_path, hook).train()
    hook = dict(type='AreaCalibrationHook')
    with pytest.raises(TypeError, match='has none: set val_dataloader, or remove'):
        make_runner(tiny_world, tmp_path, hook, validate=False).train()
    runner = make_runner(tiny_world, tmp_path, dict(type='AreaCalibrationHook'))
    runner.train_dataloader.dataset.datasets[0].pipeline.transforms.pop(2)
    with pytest.raises(TypeError, match='has no such step: add it, or remove the hook'):
        runner.call_hook('before_train')
