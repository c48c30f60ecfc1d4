"""Every shipped config builds, and its learner learns from its preprocessor."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

import mmxpl.engine
import mmxpl.models  # noqa: F401
from mmxpl.datasets.dataset_wrappers import config_leaves
from mmxpl.registry import DATA_SAMPLERS, DATASETS, HOOKS, METRICS, MODELS, VISUALIZERS
from mmxpl.testing import tiny_batch

ROOT = Path(__file__).resolve().parents[2] / 'configs'
CONFIGS = sorted(
    str(path.relative_to(ROOT))
    for path in ROOT.glob('*/*.py')
    if path.parent.name not in ('_base_', 'methods')
)


def types_of(node):
    if isinstance(node, dict):
        if 'type' in node:
            yield node['type']
        for value in node.values():
            yield from types_of(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from types_of(value)


def first_of_each_model():
    """Leaves out configs that differ from another one in data or schedule alone."""
    seen = []
    for path in CONFIGS:
        cfg = Config.fromfile(ROOT / path)
        load = next(config_leaves(cfg.train_dataloader))['pipeline']
        key = (cfg.model, [step for step in load if step['type'].startswith('Load')])
        if key not in seen:
            seen.append(key)
            yield path


def test_configs_are_found():
    assert 'xpl/xpl_vggss.py' in CONFIGS
    assert 'xpl/xpl_synthetic.py' in CONFIGS


@pytest.mark.parametrize('path', list(first_of_each_model()))
def test_model_trains_on_the_config_s_input(path):
    cfg = Config.fromfile(ROOT / path)
    model = MODELS.build(cfg.model)
    load = next(config_leaves(cfg.train_dataloader))['pipeline']
    steps = [s for step in load for s in (step, step.get('frame'), step.get('audio'))]
    (frame,) = (step for step in steps if step and step['type'] == 'LoadFrame')
    (audio,) = (step for step in steps if step and step['type'] == 'LoadAudio')
    batch = tiny_batch(2, 1)
    batch['inputs'] = dict(
        img=torch.randint(0, 256, (3, 3, *frame['size'])).to(torch.uint8),
        audio=torch.randn(3, int(audio['sample_rate'] * audio['duration'])) / 10,
    )
    data = model.data_preprocessor(batch, True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    maps = model(**model.data_preprocessor(tiny_like(batch), False), mode='tensor')
    sizes = {tuple(m.shape[1:]) for m in maps.values()}
    assert len(sizes) == 1  # they label for each other
    rates = {getattr(m, 'sample_rate', None) for m in model.modules()} - {None}
    assert rates == {audio['sample_rate']}


def tiny_like(batch):
    return dict(
        inputs={k: v[:2] for k, v in batch['inputs'].items()},
        data_samples=batch['data_samples'][:2],
    )


@pytest.mark.parametrize('path', CONFIGS)
def test_every_type_is_registered(path):
    cfg = Config.fromfile(ROOT / path)
    for loader in ('train', 'val', 'test'):
        node = cfg[f'{loader}_dataloader']
        assert node.sampler.type in (*DATA_SAMPLERS.module_dict, 'DefaultSampler')
        for name in types_of(node.dataset):
            if name != 'ConcatDataset':
                from mmxpl.registry import TRANSFORMS

                assert DATASETS.get(name) or TRANSFORMS.get(name), name
    assert 'custom_hooks' not in cfg  # hooks have names
    for hook in cfg.default_hooks.values():
        assert HOOKS.get(hook['type']), hook
    metrics = cfg.test_evaluator
    for metric in metrics if isinstance(metrics, list) else [metrics]:
        assert METRICS.get(metric.type)
    assert VISUALIZERS.get(cfg.visualizer.type)
    assert 'batch_size' not in cfg.train_dataloader  # it follows from the sampler
    assert cfg.auto_scale_lr.base_batch_size == sum(
        cfg.train_dataloader.sampler[f'{half}_per_batch']
        for half in ('labeled', 'unlabeled')
    )


@pytest.mark.parametrize('path', CONFIGS)
def test_a_config_is_short(path):
    assert len((ROOT / path).read_text().splitlines()) <= 30
