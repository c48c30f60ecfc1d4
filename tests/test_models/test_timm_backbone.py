import copy
import importlib.util

import pytest
import torch

from mmxpl.models import TimmBackbone
from mmxpl.models.pretrained import import_optional
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_batch, tiny_model_cfg
from mmxpl.utils.errors import DataError

needs_timm = pytest.mark.skipif(
    importlib.util.find_spec('timm') is None, reason='timm is not installed'
)
# two blocks of 16 channels, patches of 14 pixels
VIT = dict(embed_dim=16, depth=2, num_heads=2)


def create(name, **options):
    """timm's own model."""
    return import_optional('timm').create_model(name, **options)


@pytest.fixture
def imagenet():
    """Frames in [0, 1], and the same with ImageNet's mean and deviation."""
    frames = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    mean = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
    std = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
    return frames, (255 * frames - mean) / std


@needs_timm
def test_convolutions_give_the_levels_asked_for():
    backbone = TimmBackbone('tf_efficientnet_lite0', out_indices=(-2, -1)).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(2, 3, 64, 96))
    assert [tuple(x.shape) for x in maps] == [(2, 112, 4, 6), (2, 320, 2, 3)]
    assert backbone.out_channels == (112, 320)
    assert backbone.strides == (16, 32)


@needs_timm
@pytest.mark.parametrize(
    ('name', 'mean', 'std'),
    [
        ('vit_small_patch14_reg4_dinov2', (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        (
            'vit_base_patch16_clip_224.openai',
            (0.48145466, 0.4578275, 0.40821073),
            (0.26862954, 0.26130258, 0.27577711),
        ),
    ],
)
def test_tokens_become_a_map_of_patches(imagenet, name, mean, std):
    backbone = TimmBackbone(name, **VIT).eval()
    frames, normalised = imagenet
    with torch.no_grad():
        (features,) = backbone(normalised)
        # the model on what it expects, at a size that it was not built for
        own = (frames - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(
            3, 1, 1
        )
        model = create(name, num_classes=0, dynamic_img_size=True, **VIT).eval()
        model.load_state_dict(backbone.net.model.state_dict(), strict=False)
        tokens = model.forward_features(own)[:, model.num_prefix_tokens :]
    assert model.num_prefix_tokens == (5 if 'reg4' in name else 1)
    side = 112 // backbone.strides[0]
    assert features.shape == (2, 16, side, side)
    assert backbone.out_channels == (16,)
    expected = tokens.transpose(1, 2).unflatten(2, (side, side))
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)


@needs_timm
def test_channels_last_models_give_maps_with_channels_first():
    swin = TimmBackbone(
        'swin_tiny_patch4_window7_224', embed_dim=8, depths=(1, 1), num_heads=(2, 2)
    )
    (features,) = swin(torch.randn(1, 3, 64, 64))
    assert features.shape == (1, *swin.out_channels, 8, 8)


@needs_timm
def test_spectrograms_are_taken_as_they_are():
    encoder = MODELS.build(
        dict(
            type='SpectrogramEncoder',
            backbone=dict(type='TimmBackbone', model_name='test_resnet', in_chans=1),
            out_channels=256,
        )
    ).eval()
    x = torch.randn(2, 1, 65, 40)
    expected = encoder.backbone.net(x)[-1].amax(dim=(2, 3))
    torch.testing.assert_close(encoder(x), expected)


@needs_timm
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_a_file_is_loaded_with_the_weights_not_before(tmp_path, suffix):
    model = create('test_resnet', num_classes=7).eval()
    path = tmp_path / f'model{suffix}'
    if suffix == '.pth':
        torch.save(dict(state_dict=model.state_dict()), path)
    else:
        import safetensors.torch

        safetensors.torch.save_file(model.state_dict(), path)
    backbone = TimmBackbone('test_resnet', checkpoint_path=str(path)).eval()
    weight = backbone.net.model.conv1[0].weight
    assert not torch.equal(weight, model.conv1[0].weight)
    state = torch.get_rng_state()
    backbone.init_weights()
    assert torch.equal(torch.get_rng_state(), state)
    x = torch.randn(1, 3, 64, 64)
    own = backbone.normalize(x)  # to a mean and deviation of 0.5
    torch.testing.assert_close(backbone(x)[0], model.forward_features(own))


@needs_timm
def test_a_learner_loads_it(tmp_path):
    path = tmp_path / 'model.pth'
    model = create('test_resnet')
    torch.save(model.state_dict(), path)
    cfg = tiny_model_cfg()
    cfg['localizers']['a']['visual_backbone'] = dict(
        type='TimmBackbone', model_name='test_resnet', out_indices=(2,)
    )
    cfg['localizers']['b']['visual_backbone'] = dict(
        type='TimmBackbone',
        model_name='test_resnet',
        checkpoint_path=str(path),
        out_indices=(2,),
    )
    learner = MODELS.build(cfg)
    learner.init_weights()
    nets = [learner.localizers[name].visual_backbone.net.model for name in 'ab']
    same = [torch.equal(net.conv1[0].weight, model.conv1[0].weight) for net in nets]
    assert same == [False, True]
    batch = learner.data_preprocessor(tiny_batch(), True)
    loss, _ = learner.parse_losses(learner(**batch, mode='loss'))
    loss.backward()
    assert all(p.grad is not None for p in nets[0].parameters())
    copy.deepcopy(learner)


@needs_timm
@pytest.mark.parametrize('content', ['missing', 'broken', 'other', 'part'])
def test_a_wrong_file_is_named(tmp_path, content):
    path = tmp_path / 'model.pth'
    state = create('test_resnet').state_dict()
    if content == 'broken':
        path.write_bytes(b'no checkpoint')
    elif content == 'other':
        torch.save({f'body.{key}': value for key, value in state.items()}, path)
    elif content == 'part':
        del state['layer3.0.conv1.weight']
        torch.save(state, path)
    backbone = TimmBackbone('test_resnet', checkpoint_path=str(path))
    with pytest.raises(DataError, match=str(path)) as caught:
        backbone.init_weights()
    if content == 'part':
        assert "1 are not in it, such as 'layer3.0.conv1.weight'" in str(caught.value)


@needs_timm
def test_without_a_network_both_remedies_are_named(monkeypatch):
    timm = import_optional('timm')
    real = timm.create_model

    def offline(*args, pretrained=False, **options):
        if pretrained:
            raise ConnectionError('Name or service not known')
        return real(*args, **options)

    monkeypatch.setattr(timm, 'create_model', offline)
    backbone = TimmBackbone('resnet18', pretrained=True)
    with pytest.raises(DataError) as caught:
        backbone.init_weights()
    for part in (
        'ConnectionError: Name or service not known',
        'https://huggingface.co/timm/resnet18',
        'checkpoint_path=FILE',
        'pretrained=False',
    ):
        assert part in str(caught.value)


@needs_timm
@pytest.mark.parametrize('second', ['checkpoint_path', 'init_cfg'])
def test_two_sources_of_weights_are_refused(second):
    with pytest.raises(ValueError, match='give resnet18 one of them'):
        TimmBackbone('resnet18', pretrained=True, **{second: 'model.pth'})


def test_without_timm_the_command_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match='pip install "torch==.*" timm'):
        TimmBackbone('resnet18')
