import importlib.util
import json

import pytest
import torch
from mmengine.logging import MMLogger

from mmxpl.models import HFVisionBackbone
from mmxpl.models.pretrained import Renormalize, import_optional
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg
from mmxpl.utils.errors import DataError

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec('transformers') is None,
    reason='transformers is not installed',
)
TINY = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
VIT = dict(TINY, intermediate_size=32, image_size=32, patch_size=16)
DINO = dict(TINY, model_type='dinov2', image_size=28, patch_size=14)
HALF = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3)


def make(model, **config):
    """A model of transformers with random weights."""
    transformers = import_optional('transformers')
    read = transformers.AutoConfig.for_model(**config)
    return getattr(transformers, model)(read).eval()


def save(model, folder, **processor):
    """Writes a pretrained folder."""
    model.save_pretrained(folder)
    if processor:
        processor['image_processor_type'] = 'ViTImageProcessor'
        (folder / 'preprocessor_config.json').write_text(json.dumps(processor))
    return str(folder)


@needs_transformers
@pytest.mark.parametrize(
    ('config', 'channels', 'strides'),
    [
        (DINO, (16, 16), (14, 14)),
        (dict(DINO, model_type='dinov2_with_registers'), (16, 16), (14, 14)),
        (dict(VIT, model_type='dinov3_vit'), (16, 16), (16, 16)),
        (dict(VIT, model_type='clip_vision_model'), (16, 16), (16, 16)),
        (dict(VIT, model_type='vit'), (16, 16), (16, 16)),
        (
            dict(
                model_type='swin',
                embed_dim=8,
                depths=[1, 1],
                num_heads=[2, 2],
                window_size=4,
            ),
            (8, 16),
            (4, 8),
        ),
        (
            dict(model_type='convnext', hidden_sizes=[4, 8, 16, 32], depths=[1] * 4),
            (16, 32),
            (16, 32),
        ),
    ],
    ids=lambda x: x['model_type'] if isinstance(x, dict) else '',
)
def test_levels_are_maps_of_any_size(config, channels, strides):
    backbone = HFVisionBackbone(config=config, out_indices=(-2, -1))
    assert (backbone.out_channels, backbone.strides) == (channels, strides)
    maps = backbone(torch.randn(2, 3, 112, 224))
    # convolutions without padding leave out a rest
    sides = [(112 // stride, 224 // stride) for stride in strides]
    assert [tuple(x.shape) for x in maps] == [
        (2, c, *side) for c, side in zip(channels, sides, strict=True)
    ]
    # the last level alone is that of both
    alone = HFVisionBackbone(config=config)
    alone.net.load_state_dict(backbone.net.state_dict(), strict=False)
    img = torch.randn(1, 3, 112, 112)
    both = backbone.eval()(img)
    torch.testing.assert_close(alone.eval()(img)[0], both[-1])


@needs_transformers
def test_cells_are_patches_in_order(tmp_path):
    model = make('ViTModel', **VIT, model_type='vit')
    backbone = HFVisionBackbone(pretrained=save(model, tmp_path, **HALF)).eval()
    backbone.init_weights()
    frames = torch.rand(2, 3, 48, 32)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        (features,) = backbone((frames - mean) / std)
        own = model(2 * frames - 1, interpolate_pos_encoding=True).last_hidden_state
    assert features.shape == (2, 16, 3, 2)
    expected = own[:, 1:].transpose(1, 2).unflatten(2, (3, 2))
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


@needs_transformers
def test_the_tower_of_a_whole_clip_is_loaded(tmp_path):
    text = dict(TINY, intermediate_size=32, vocab_size=9, bos_token_id=0)
    whole = make('CLIPModel', model_type='clip', vision_config=VIT, text_config=text)
    backbone = HFVisionBackbone(pretrained=save(whole, tmp_path, **HALF))
    drawn = backbone.net.encoder.layers[0].mlp.fc1.weight.clone()
    backbone.init_weights()
    loaded = backbone.net.encoder.layers[0].mlp.fc1.weight
    assert not torch.equal(loaded, drawn)
    assert torch.equal(loaded, whole.vision_model.encoder.layers[0].mlp.fc1.weight)


@needs_transformers
def test_a_learner_is_built_without_the_folder_and_trains_with_it(tmp_path):
    folder = save(make('Dinov2Model', **DINO), tmp_path / 'dino')
    backbone = dict(type='HFVisionBackbone', config=dict(DINO), out_indices=(-1,))
    cfg = tiny_model_cfg()
    for localizer in cfg['localizers'].values():
        localizer.update(visual_backbone=dict(backbone, pretrained=folder))
    learner = MODELS.build(cfg)
    learner.init_weights()
    a, b = (x.visual_backbone.net for x in learner.localizers.values())
    torch.testing.assert_close(a.state_dict(), b.state_dict())
    batch = learner.data_preprocessor(tiny_batch(), True)
    loss, _ = learner.parse_losses(learner(**batch, mode='loss'))
    loss.backward()
    assert a.encoder.layer[0].norm1.weight.grad.abs().sum() > 0
    # a trained checkpoint needs no folder
    cfg['localizers']['a']['visual_backbone']['pretrained'] = 'gone'
    MODELS.build(cfg).load_state_dict(learner.state_dict())


@needs_transformers
def test_weights_of_a_config_stay_as_drawn(monkeypatch):
    backbone = HFVisionBackbone(config=DINO)
    drawn = {name: p.clone() for name, p in backbone.named_parameters()}
    backbone.init_weights()
    torch.testing.assert_close(dict(backbone.named_parameters()), drawn)


@needs_transformers
def test_normalisation_of_the_folder_is_compared(tmp_path):
    folder = save(make('Dinov2Model', **DINO), tmp_path, **HALF)
    assert HFVisionBackbone(pretrained=folder).normalize.mean == (0.5,) * 3
    backbone = HFVisionBackbone(pretrained=folder, config=DINO)
    with pytest.raises(DataError, match=r'has mean \(0.5.*Set mean and std'):
        backbone.init_weights()
    half = dict(mean=(0.5,) * 3, std=(0.5,) * 3)
    HFVisionBackbone(pretrained=folder, config=DINO, **half).init_weights()


@needs_transformers
@pytest.mark.parametrize(
    ('processor', 'mean', 'std'),
    [
        (dict(HALF, do_rescale=False), 0.5 / 255, 0.5 / 255),
        (dict(HALF, do_normalize=False), 0.0, 1.0),
        (dict(HALF, rescale_factor=1 / 127.5), 0.25, 0.25),
    ],
)
def test_switches_of_the_image_processor_count(tmp_path, processor, mean, std):
    folder = save(make('Dinov2Model', **DINO), tmp_path, **processor)
    normalize = HFVisionBackbone(pretrained=folder).normalize
    assert normalize.mean == pytest.approx([mean] * 3)
    assert normalize.std == pytest.approx([std] * 3)


@needs_transformers
def test_a_folder_without_image_processor_is_told(tmp_path, monkeypatch):
    folder = save(make('Dinov2Model', **DINO), tmp_path)
    lines = []
    monkeypatch.setattr(MMLogger, 'warning', lambda _, line: lines.append(line))
    assert HFVisionBackbone(pretrained=folder).normalize.mean[0] == 0.485
    assert len(lines) == 1
    assert f"'{folder}' has no image processor" in lines[0]


@needs_transformers
def test_changes_to_a_pretrained_config(tmp_path):
    folder = save(make('Dinov2Model', **DINO), tmp_path, **HALF)
    config = dict(hidden_dropout_prob=0.25)
    backbone = HFVisionBackbone(pretrained=folder, config=config)
    assert backbone.net.config.hidden_dropout_prob == 0.25
    assert backbone.net.config.hidden_size == 16
    with pytest.raises(ValueError, match="Dinov2Config has no \\['hiden_size'\\]"):
        HFVisionBackbone(pretrained=folder, config=dict(hiden_size=3))


@needs_transformers
@pytest.mark.parametrize('fault', ['folder', 'weights', 'other', 'part', 'shape'])
def test_what_cannot_be_loaded_is_named(tmp_path, fault):
    folder = save(make('Dinov2Model', **DINO), tmp_path / 'dino', **HALF)
    config = DINO
    if fault == 'folder':
        folder, config = str(tmp_path / 'nothing'), None
    elif fault == 'weights':
        (tmp_path / 'dino' / 'model.safetensors').unlink()
    elif fault == 'other':
        config = dict(VIT, model_type='vit')
    elif fault == 'part':
        config = dict(DINO, num_hidden_layers=3)
    else:
        config = dict(DINO, hidden_size=32)
    half = dict(mean=(0.5,) * 3, std=(0.5,) * 3)
    with pytest.raises(DataError, match=folder) as caught:
        HFVisionBackbone(pretrained=folder, config=config, **half).init_weights()
    if fault in ('folder', 'weights'):
        assert 'pretrained=FOLDER' in str(caught.value)
        assert 'config=dict(model_type=...)' in str(caught.value)
    else:
        assert 'are not in it' in str(caught.value)


@needs_transformers
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(), 'Which model'),
        (dict(config=dict(hidden_size=3)), 'Which model'),
        (dict(config=DINO, mean=(0, 0, 0)), 'Give mean and std'),
        (dict(pretrained='x', init_cfg=dict(type='Pretrained')), 'give one'),
        (dict(config=dict(VIT, model_type='vit_mae')), 'do not form a map'),
        (dict(config=dict(TINY, model_type='hubert')), 'does not read images'),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        HFVisionBackbone(**arguments)


def test_without_transformers_the_command_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match='pip install "torch==.*" transformers'):
        HFVisionBackbone(config=DINO)


def test_imagenet_normalisation_is_left_alone():
    img = torch.randn(1, 3, 2, 2)
    same = Renormalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert same(img) is img
    assert not same.state_dict()
