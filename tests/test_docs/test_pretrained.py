"""Every encoder that docs/pretrained.md names can be built and run."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

import mmxpl.models  # noqa: F401
from mmxpl.datasets.dataset_wrappers import config_leaves
from mmxpl.models.localizers.av_localizer import channels_of
from mmxpl.models.pretrained import without_init_cfg
from mmxpl.registry import MODELS
from mmxpl.utils.cli import load_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'docs' / 'pretrained.md').read_text(encoding='utf-8')
EXAMPLES = [
    (key, eval(value))
    for key, value in re.findall(
        r'^```text\n(visual_backbone|audio_encoder)=(.*?)```', TEXT, re.S | re.M
    )
]
PACKAGES = {
    'TimmBackbone': 'timm',
    'HFVisionBackbone': 'transformers',
    'HFAudioEncoder': 'transformers',
    'mmpretrain.ConvNeXt': 'mmpretrain',
}
# what the pages' names have on the hub
CONFIGS = {
    'facebook/dinov2-small': dict(
        model_type='dinov2', hidden_size=384, num_attention_heads=6
    ),
    'MIT/ast-finetuned-audioset-10-10-0.4593': dict(
        model_type='audio-spectrogram-transformer'
    ),
}


def test_fine_tuning_is_a_config(tmp_path, monkeypatch):
    code, command = re.search(
        r'## Frozen or fine.*?```python\n(.*?)```.*?```bash\n(.*?)```', TEXT, re.S
    ).groups()
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    monkeypatch.chdir(tmp_path)
    Path('finetune.py').write_text(code)
    places = re.search(r'{(.*)}(\S+)=None', command)
    options = {place + places[2]: None for place in places[1].split(',')}
    cfg = load_config('finetune.py', options)
    loaders = [cfg[f'{split}_dataloader'] for split in ('train', 'val', 'test')]
    caches = [leaf['pipeline'][0]['cache'] for leaf in config_leaves(loaders)]
    assert caches == [None] * 4
    learner = MODELS.build(without_init_cfg(cfg.model))
    for localizer in learner.localizers.values():
        trained = {
            name.split('.')[1]
            for name, weight in localizer.visual_backbone.named_parameters()
            if weight.requires_grad
        }
        assert trained == {'4', '5'}


def test_all_kinds_are_there():
    assert {cfg['type'] for _, cfg in EXAMPLES} >= set(PACKAGES)


@pytest.mark.parametrize(
    ('key', 'cfg'),
    EXAMPLES,
    ids=[f'{cfg["type"]}{i}' for i, (_, cfg) in enumerate(EXAMPLES)],
)
def test_example_gives_maps_or_embeddings(key, cfg):
    package = PACKAGES.get(cfg['type'])
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f'{package} is not installed')
    cfg = dict(cfg)
    if cfg['type'].startswith('HF'):
        # no network: the weights are not asked for, and a few layers do
        cfg['config'] = cfg.get('config') or CONFIGS[cfg['pretrained']]
        cfg['config'] = dict(cfg['config'], num_hidden_layers=1)
    encoder = MODELS.build(cfg)
    encoder.eval()  # which of OpenMMLab's return None from
    with torch.no_grad():
        if key == 'audio_encoder':
            rate = cfg.get('sample_rate', 16000)
            assert encoder.reads_waveform
            embedding = encoder(torch.randn(2, rate))
            assert embedding.shape == (2, encoder.out_channels)
        else:
            maps = encoder(torch.randn(2, 3, 112, 112))
            assert [x.shape[1] for x in maps] == channels_of(encoder)
            assert all(x.dim() == 4 for x in maps)
