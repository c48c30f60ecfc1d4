"""Every method makes of every config what it says, and trains."""

import math
import re
from argparse import ArgumentParser
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict

import mmxpl.engine  # noqa: F401
from mmxpl.datasets.dataset_wrappers import config_leaves
from mmxpl.engine.runner import drop_hooks
from mmxpl.registry import DATASETS, HOOKS, MODELS
from mmxpl.utils import config_overrides as module
from mmxpl.utils.cli import add_config_options, load_config
from mmxpl.utils.config_overrides import apply_method, find_shipped, method_names
from mmxpl.utils.errors import DataError

ROOT = Path(__file__).resolve().parents[2] / 'configs'
CONFIGS = sorted((ROOT / 'xpl').glob('*.py'))
XPL = ROOT / 'xpl/xpl_synthetic.py'
LABELING = ('dmt', 'hard', 'mean_teacher', 'soft')
SELF_SUPERVISED = ('ezvsl', 'fnac', 'lvs', 'slavc')
ABLATIONS = [name for name in method_names() if name.startswith('xpl-')]
DEPARTURES = ('xpl-aligned', 'xpl-votes')
METHODS = [name for name in method_names() if name not in ABLATIONS]
# models that were built before
BUILT: set[str] = set()


def leaves(node, key=''):
    """Dotted key and value of all that is in dictionaries."""
    if isinstance(node, dict) and node:
        for name, part in node.items():
            yield from leaves(part, f'{key}.{name}' if key else name)
    else:
        yield key, node


def difference(one, other):
    """Keys by which two configs differ, but for their method's title."""
    one, other = (dict(leaves(c._cfg_dict.to_dict())) for c in (one, other))
    keys = {k for k in {*one, *other} if one.get(k, ...) != other.get(k, ...)}
    return {key: one.get(key) for key in keys - {'method'}}


def test_the_methods_are_found():
    plain = {'supervised', 'deaf', 'supcon', 'xpl'}
    assert set(METHODS) == {*plain, *LABELING, *SELF_SUPERVISED}
    assert set(DEPARTURES) < set(ABLATIONS)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_method_builds_on_every_config(path, read_as):
    for method in (None, *method_names()):
        cfg = read_as(path, method)
        key = repr((cfg.model.type, cfg.model.to_dict()))
        if key not in BUILT:
            BUILT.add(key)
            model = MODELS.build(cfg.model)
            assert isinstance(model, torch.nn.Module)
        drop_hooks(cfg)
        hooks = {name: HOOKS.build(hook) for name, hook in cfg.default_hooks.items()}
        makes_labels = method is None or method in LABELING or 'xpl' in method
        assert ('pseudo_label' in hooks) == makes_labels, method
        assert ('pseudo_label_monitor' in hooks) == makes_labels, method
        labeled, unlabeled = config_leaves(cfg.train_dataloader)
        assert labeled['labeled']
        assert not unlabeled.get('labeled')
        for leaf in (labeled, unlabeled):
            assert DATASETS.get(leaf['type'])
        # what the run leaves behind is whole: it reads back as it is
        if path == XPL and method in (None, 'dmt', 'slavc'):
            left = Config(cfg._cfg_dict, format_python_code=False).pretty_text
            assert Config.fromstring(left, '.py')._cfg_dict == cfg._cfg_dict


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_xpl_as_the_paper_has_it(path, read_as):
    assert difference(read_as(path), read_as(path, 'xpl')) == {}
    hook = read_as(path).default_hooks.pseudo_label
    assert (hook.exchange, hook.soft, hook.align_area) == ('cross', True, False)
    assert 0 < hook.temperature < 1
    assert 0 < hook.momentum < 1
    sampler = read_as(path).train_dataloader.sampler
    assert 0 < sampler.curriculum.start < sampler.curriculum.end
    model = read_as(path).model
    for name in ('supervised', 'pseudo', 'contrastive'):
        assert model[f'loss_{name}'].get('loss_weight', 1) > 0


@pytest.mark.parametrize('method', METHODS)
def test_a_method_undoes_what_a_config_departs_in(method, read_as):
    """All that tells methods apart is stated by each; the config keeps the rest."""
    # a config's own
    kept = {'default_hooks.pseudo_label.momentum', 'model.loss_pseudo.loss_weight'}
    kept |= {'default_hooks.calibration.enable'}  # of no method, like a metric
    for departure in DEPARTURES:
        cfg = read_as(XPL, departure)
        del cfg._cfg_dict['method']
        apply_method(cfg, method)
        assert set(difference(cfg, read_as(XPL, method))) <= kept, departure


@pytest.mark.parametrize('method', [*METHODS, *ABLATIONS])
def test_nets_data_and_budget_are_the_config_s(method, read_as):
    changed = difference(read_as(XPL, method), read_as(XPL))
    allowed = ('model.loss_', 'default_hooks.pseudo_label', 'default_hooks.calibration')
    sampler = 'train_dataloader.sampler.'
    allowed += (f'{sampler}curriculum', 'model.target_momentum')
    allowed += ('model.negative_audio', 'model.mixed_audio')
    if method in ('supervised', 'deaf'):  # without use for unlabeled clips
        allowed += (f'{sampler}unlabeled_per_batch', 'model.deaf')
    if method in ('slavc', 'fnac'):
        allowed += tuple(f'model.localizers.{x}.visual_dropout' for x in 'ab')
    if method == 'xpl-same_nets':
        allowed += ('model.localizers.b',)
    assert [key for key in changed if not key.startswith(allowed)] == []
    assert bool(changed) == (method != 'xpl')


@pytest.mark.slow
@pytest.mark.parametrize('method', METHODS)
def test_what_a_method_learns_from(method, train_shortly):
    runner, record = train_shortly(XPL, method)
    losses = record.losses
    assert all(math.isfinite(value) for value in losses.values())
    supervised, contrastive, pseudo = (
        losses.get(f'a.loss_{part}', 0) > 0
        for part in ('supervised', 'contrastive', 'pseudo')
    )
    assert supervised == (method not in SELF_SUPERVISED)
    assert contrastive == (method not in ('supervised', 'deaf'))
    assert all(x.deaf == (method == 'deaf') for x in runner.model.localizers.values())
    makes_labels = method in (*LABELING, 'xpl')
    assert len(record.labels) == (3 if makes_labels else 0)
    if method != 'dmt':  # whose teachers need not agree so early
        assert pseudo == makes_labels
    values = {float(v) for label in record.labels for v in label[0].flatten()}
    assert (values <= {0.0, 1.0}) == (method not in ('mean_teacher', 'soft', 'xpl'))
    hooks = {type(hook).__name__: hook for hook in runner.hooks}
    assert ('CrossPseudoLabelHook' in hooks) == makes_labels
    if makes_labels:
        teacher = hooks['CrossPseudoLabelHook'].labeler.teacher
        assert (teacher is not None) == (method in ('dmt', 'mean_teacher'))
    if method == 'dmt':
        assert 'a.util_ratio' in losses
        assert all(torch.equal(*label) for label in record.labels)


OPTIONS = [
    ('default_hooks.pseudo_label.reliability', ['agreement', 'confidence']),
    ('default_hooks.pseudo_label.align_area', True),
    ('train_dataloader.sampler.curriculum.start', 0.8),
    ('model.loss_pseudo.loss_weight', 1.0),
    ('model.loss_contrastive.loss_weight', 0.1),
    ('train_dataloader.dataset.labeled_fraction', 0.1),
    ('default_hooks.calibration.enable', True),
]


def reached(key, value, hook, model, sampler, losses):
    """Whether a run was made with the value."""
    *_, name = key.split('.')
    if name == 'temperature' and value is None:
        return not hook.labeler.soft
    if name in ('soft', 'temperature', 'teacher_momentum', 'align_area'):
        return getattr(hook.labeler, name) == value
    if name in ('momentum', 'exchange', 'view', 'min_confidence', 'reliability'):
        return getattr(hook, name) == value and (
            name != 'min_confidence' or 'a.util_ratio' in losses
        )
    if name == 'share':
        return model.negative_audio.share == value and 'a.loss_negative' in losses
    if key == 'model.mixed_audio.loss_weight':
        return model.mixed_audio.loss_weight == value and 'a.loss_mixed' in losses
    if name == 'start':
        return sampler.curriculum == (value, 1.0)
    if name in ('curriculum', 'end'):
        return sampler.curriculum == (1.0, 1.0)
    if name == 'b':
        a, b = (
            {k: v.shape for k, v in localizer.named_parameters()}
            for localizer in model.localizers.values()
        )
        first, second = (
            x.visual_backbone.conv1.weight for x in model.localizers.values()
        )
        return a == b and not first.equal(second)
    if value is None:
        return getattr(model, name) is None and f'a.{name}' not in losses
    if name == 'loss_weight':
        return getattr(model, key.split('.')[1]).loss_weight == value
    raise AssertionError(key)


@pytest.mark.slow
@pytest.mark.parametrize('method', [m for m in ABLATIONS if m not in DEPARTURES])
def test_an_ablation_reaches_what_it_changes(method, read_as, train_shortly):
    changed = difference(read_as(XPL, method), read_as(XPL))
    runner, record = train_shortly(XPL, method)
    assert all(math.isfinite(loss) for loss in record.losses.values())
    assert record.losses['a.loss_pseudo'] > 0 or method == 'xpl-threshold'
    assert len(record.labels) == 3
    (hook,) = (h for h in runner.hooks if type(h).__name__ == 'CrossPseudoLabelHook')
    sampler = runner.train_dataloader.sampler
    changed = {
        key: value
        for key, value in changed.items()
        if not key.startswith(('model.loss_contrastive.', 'model.localizers.b.'))
        and not key.endswith(('curriculum.start', 'curriculum.end'))
    }
    assert changed
    for key, value in changed.items():
        args = (hook, runner.model, sampler, record.losses)
        assert reached(key, value, *args), key


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'method'),
    [
        ('xpl_synthetic', 'xpl-votes'),
        ('xpl_synthetic_openset', 'fnac'),
        ('xpl_custom_vggss', 'mean_teacher'),
        ('xpl_vggss', 'supervised'),
        ('xpl_flickr_144k', 'dmt'),
    ],
)
def test_pairs_train_two_steps(name, method, data, train_shortly, monkeypatch):
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(data))
    monkeypatch.setenv('MMXPL_RESNET18', 'none')
    runner, record = train_shortly(ROOT / f'xpl/{name}.py', method, steps=2)
    assert runner.iter == 2 * runner.max_epochs
    assert all(math.isfinite(loss) for loss in record.losses.values())


def test_the_readmes_list_every_method_and_option():
    listed = (ROOT / 'methods/README.md').read_text()
    for name in method_names():
        assert f'`{name}`' in listed, name
    rows = re.findall(
        r'^\|.*\| `(.*)` \|$', (ROOT / 'xpl/README.md').read_text(), re.MULTILINE
    )
    parser = ArgumentParser()
    add_config_options(parser)
    options = [
        (key, value)
        for row in rows
        if '=' in row
        for key, value in parser.parse_args(['--cfg-options', row]).cfg_options.items()
    ]
    assert sorted(map(str, options)) == sorted(map(str, OPTIONS))
    for key, value in OPTIONS:
        node = load_config(str(XPL), {key: value})
        plain = load_config(str(XPL))
        for part in key.split('.'):
            node, plain = node[part], plain[part]
        assert node == value != plain, key


def test_what_is_no_method_is_said(tmp_path, read_as):
    with pytest.raises(DataError, match='dtm: is neither a file nor one of .*dmt'):
        apply_method(read_as(XPL), 'dtm')
    cfg = read_as(XPL, 'dmt')
    with pytest.raises(DataError, match="the config is one of method 'DMT' already"):
        apply_method(cfg, 'xpl')
    based = tmp_path / 'based.py'
    based.write_text(f"_base_ = '{XPL}'\n")
    with pytest.raises(DataError, match='a method has no _base_'):
        apply_method(read_as(XPL), str(based))
    broken = tmp_path / 'broken.py'
    broken.write_text('model = dict(\n')
    with pytest.raises(DataError, match=r'broken\.py.* SyntaxError'):
        apply_method(read_as(XPL), str(broken))
    typo = tmp_path / 'typo.py'
    typo.write_text('modle = dict(map_size=8)\n')
    with pytest.raises(DataError, match=r"typo\.py.*'modle' .* mean model"):
        apply_method(read_as(XPL), str(typo))
    unfit = tmp_path / 'unfit.py'
    unfit.write_text('train_cfg = dict(max_epochs=dict(a=1))\n')
    with pytest.raises(DataError, match=r'unfit\.py: does not fit .*max_epochs'):
        apply_method(read_as(XPL), str(unfit))


def test_a_method_of_one_s_own_reaches_every_localizer(tmp_path, read_as):
    own = tmp_path / 'own.py'
    own.write_text(
        "model = dict(localizers={'*': dict(threshold=0.3), 'b': dict(threshold=1)})\n"
        'default_hooks = dict(pseudo_label=dict(_delete_=True, type="TimerHook"))\n'
        'randomness = dict(_delete_=True, seed=3)\n'
    )
    cfg = read_as(XPL, str(own))
    assert cfg.method == 'own'
    assert [x.threshold for x in cfg.model.localizers.values()] == [0.3, 1]
    assert cfg.model.localizers.a.embed_dim == 128  # the rest stays
    assert cfg.default_hooks.pseudo_label == dict(type='TimerHook')
    assert cfg.randomness == dict(seed=3)


def test_methods_of_an_installed_package_are_found(tmp_path, monkeypatch):
    folder = tmp_path / 'configs/methods'
    folder.mkdir(parents=True)
    (folder / 'only.py').write_text('method = "Only"\n')
    monkeypatch.setattr(module, '_FOLDERS', (tmp_path / 'absent', tmp_path))
    assert method_names() == ['only']
    cfg = Config(ConfigDict())
    apply_method(cfg, 'only')
    assert cfg.method == 'Only'
    with pytest.raises(DataError, match=r'absent/tools/train.py: is missing: mmxpl is'):
        find_shipped('tools/train.py')
