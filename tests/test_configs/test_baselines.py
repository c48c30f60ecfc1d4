"""Every baseline trains, on XPL's nets and budget, from what it says it learns from."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2] / 'configs'
BASELINES = sorted(path.stem for path in (ROOT / 'baselines').glob('*_synthetic.py'))
LABELLING = ('dmt', 'hard', 'mean_teacher', 'soft')
SELF_SUPERVISED = ('ezvsl', 'fnac', 'lvs', 'slavc')


def load(name):
    return Config.fromfile(ROOT / 'baselines' / f'{name}_synthetic.py')


@pytest.mark.slow
@pytest.mark.parametrize('name', BASELINES)
def test_one_iteration(name, one_iteration):
    runner, record = one_iteration(ROOT / 'baselines' / f'{name}.py')
    losses = record.losses
    assert all(math.isfinite(value) for value in losses.values())
    name = name.removesuffix('_synthetic')
    supervised, contrastive, pseudo = (
        losses.get(f'a.loss_{part}', 0) > 0
        for part in ('supervised', 'contrastive', 'pseudo')
    )
    assert supervised == (name not in SELF_SUPERVISED)
    assert contrastive == (name != 'supervised')
    assert len(record.labels) == (3 if name in LABELLING else 0)
    if name != 'dmt':  # whose teachers need not agree so early
        assert pseudo == (name in LABELLING)
    values = {float(v) for label in record.labels for v in label.a.flatten()}
    assert (values <= {0.0, 1.0}) == (name not in ('mean_teacher', 'soft'))
    hooks = {type(hook).__name__: hook for hook in runner.hooks}
    teacher = (
        hooks['CrossPseudoLabelHook'].source.teacher if name in LABELLING else None
    )
    assert (teacher is not None) == (name in ('dmt', 'mean_teacher'))
    if name == 'dmt':
        assert 'a.taught' in losses
        assert all(torch.equal(label.a, label.b) for label in record.labels)


@pytest.mark.parametrize('name', [n.removesuffix('_synthetic') for n in BASELINES])
def test_nets_and_budget_are_those_of_xpl(name):
    xpl, other = Config.fromfile(ROOT / 'xpl/xpl_synthetic.py'), load(name)
    for key in ('train_cfg', 'optim_wrapper', 'param_scheduler', 'val_dataloader'):
        assert other[key] == xpl[key]
    localizers = other.model.localizers.to_dict()
    for localizer in localizers.values():
        dropout = localizer.pop('visual_dropout', 0)
        assert (dropout > 0) == (name in ('slavc', 'fnac'))
    assert localizers == xpl.model.localizers.to_dict()
    assert other.model.data_preprocessor == xpl.model.data_preprocessor
    ours, theirs = (cfg.train_dataloader.sampler for cfg in (xpl, other))
    assert theirs.num_batches == ours.num_batches
    assert theirs.labelled_per_batch == ours.labelled_per_batch
    if name != 'supervised':
        assert theirs.unlabelled_per_batch == ours.unlabelled_per_batch
    if name in LABELLING:
        ours, theirs = xpl.model.to_dict(), other.model.to_dict()
        assert theirs['loss_pseudo'].pop('loss_weight') == 1.0
        assert ours['loss_pseudo'].pop('loss_weight') == xpl.pseudo_label_weight
        assert theirs == ours
        (hook,) = (h for h in other.custom_hooks if 'CrossPseudo' in h['type'])
        (own,) = (h for h in xpl.custom_hooks if 'CrossPseudo' in h['type'])
        assert hook.warmup_epochs == own.warmup_epochs


@pytest.mark.parametrize('name', [n.removesuffix('_synthetic') for n in BASELINES])
def test_maps_are_calibrated_alike_by_whoever_has_annotations(name):
    xpl, other = (
        [h for h in cfg.custom_hooks if h['type'] == 'AreaCalibrationHook']
        for cfg in (Config.fromfile(ROOT / 'xpl/xpl_synthetic.py'), load(name))
    )
    assert len(xpl) == 1
    assert other == ([] if name in SELF_SUPERVISED else xpl)


def test_every_baseline_is_listed_with_its_source():
    listed = (ROOT / 'baselines/README.md').read_text()
    for name in BASELINES:
        assert f'`{name}.py`' in listed


def test_dmt_is_the_same_on_the_open_set():
    closed, open_set = (
        load('dmt'),
        Config.fromfile(ROOT / 'baselines/dmt_synthetic_openset.py'),
    )
    for cfg in (closed, open_set):
        for hook in cfg.custom_hooks:
            hook.pop('truth', None)
    assert open_set.custom_hooks == closed.custom_hooks
    for key in ('model', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        assert open_set[key] == closed[key]
    parts = open_set.train_dataloader.dataset.datasets
    assert {part.id_list for part in parts} == {'train_heard.txt'}
