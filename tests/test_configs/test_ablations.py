"""Every ablation of XPL is one key, and that key reaches what it is said to change."""

import math
import re
from argparse import ArgumentParser
from pathlib import Path

import pytest
from mmengine.config import Config

from mmxpl.registry import DATASETS
from mmxpl.utils.cli import add_config_options

ROOT = Path(__file__).resolve().parents[2] / 'configs'
XPL, README = ROOT / 'xpl/xpl_synthetic.py', ROOT / 'xpl/README.md'
ABLATIONS = [
    ('custom_hooks.3.soft', True),
    ('custom_hooks.3.temperature', 1.0),
    ('custom_hooks.3.momentum', 0.0),
    ('custom_hooks.3.exchange', 'self'),
    ('custom_hooks.3.exchange', 'ensemble'),
    ('custom_hooks.3.exchange', 'intersection'),
    ('custom_hooks.3.view', 'train'),
    ('custom_hooks.3.align_area', False),
    ('custom_hooks.3.min_confidence', 0.2),
    ('custom_hooks.3.reliability', ['agreement']),
    ('custom_hooks.3.teacher_momentum', 0.99),
    ('train_dataloader.sampler.curriculum.start', 0.5),
    ('train_dataloader.sampler.curriculum', None),
    ('model.localizers.b', 'a'),
    ('model.loss_pseudo.loss_weight', 1.0),
    ('model.loss_contrastive.loss_weight', 0.1),
    ('model.loss_contrastive', None),
]


def checks(key, value, hook, model, sampler, losses):
    """What must hold of a run with the option."""
    *_, name = key.split('.')
    if name in ('soft', 'temperature', 'teacher_momentum', 'align_area'):
        return [getattr(hook.source, name) == value]
    if name in ('momentum', 'exchange', 'view', 'min_confidence', 'reliability'):
        taught = ['a.taught' in losses] if name == 'min_confidence' else []
        return [getattr(hook, name) == value, *taught]
    if name == 'start':
        return [sampler.curriculum[0] == value]
    if name == 'curriculum':
        return [sampler.share == 1]
    if name == 'b':
        a, b = (
            {k: v.shape for k, v in localizer.named_parameters()}
            for localizer in model.localizers.values()
        )
        first, second = (next(x.parameters()) for x in model.localizers.values())
        return [a == b, not first.equal(second)]
    if value is None:
        return [getattr(model, name) is None, f'a.{name}' not in losses]
    return [getattr(model, key.split('.')[1]).loss_weight == value]


@pytest.mark.slow
@pytest.mark.parametrize(('key', 'value'), ABLATIONS)
def test_one_iteration(key, value, one_iteration):
    runner, record = one_iteration(XPL, {key: value})
    assert all(math.isfinite(loss) for loss in record.losses.values())
    assert record.losses['a.loss_pseudo'] > 0 or 'min_confidence' in key
    assert len(record.labels) == 3
    (hook,) = (h for h in runner.hooks if type(h).__name__ == 'CrossPseudoLabelHook')
    sampler = runner.train_dataloader.sampler
    assert all(checks(key, value, hook, runner.model, sampler, record.losses))


def test_the_options_of_the_readme_are_these_and_no_defaults():
    rows = re.findall(r'^\|.*\| `(.*)` \|$', README.read_text(), re.MULTILINE)
    parser = ArgumentParser()
    add_config_options(parser)
    options = [
        (key, value)
        for row in rows
        if '=' in row
        for key, value in parser.parse_args(['--cfg-options', row]).cfg_options.items()
    ]
    assert sorted(map(str, options)) == sorted(map(str, ABLATIONS))
    for key, value in ABLATIONS:
        node = Config.fromfile(XPL)
        for part in key.split('.'):
            node = node[int(part)] if isinstance(node, list) else node[part]
        assert node != value, key


@pytest.mark.parametrize('name', ['xpl_synthetic', 'xpl_custom'])
@pytest.mark.parametrize(
    ('fraction', 'soft', 'momentum', 'weight'),
    [('0.05', False, 0.8, 2.0), ('0.1', True, 0.5, 1.0)],
)
def test_few_labels_are_joined_by_votes_of_a_larger_weight(
    name, fraction, soft, momentum, weight, monkeypatch
):
    monkeypatch.setenv('MMXPL_LABELLED_FRACTION', fraction)
    cfg = Config.fromfile(ROOT / f'xpl/{name}.py')
    (hook,) = (h for h in cfg.custom_hooks if h.type == 'CrossPseudoLabelHook')
    assert (hook.soft, hook.momentum) == (soft, momentum)
    assert cfg.model.loss_pseudo.loss_weight == weight


@pytest.mark.parametrize('fraction', [0.25, 0.5])
def test_labelled_fraction(fraction, tiny_world, monkeypatch):
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(tiny_world))
    monkeypatch.setenv('MMXPL_LABELLED_FRACTION', str(fraction))
    parts = Config.fromfile(XPL).train_dataloader.dataset.datasets
    sizes = [len(DATASETS.build(part)) for part in parts]
    assert sizes == [8 * fraction, 8 - 8 * fraction]
