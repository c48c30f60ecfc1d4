import subprocess
import sys

import pytest
import torch

from mmxpl.registry import MODELS
from mmxpl.testing import tiny_model_cfg


def make(**kwargs):
    import mmxpl.models  # noqa: F401

    return MODELS.build(dict(tiny_model_cfg()['localizers']['b'], **kwargs))


def inputs(batch=2, size=48):
    return dict(
        img=torch.randn(batch, 3, size, size), log_mel=torch.randn(batch, 1, 16, 20)
    )


def test_map_is_the_calibrated_cosine():
    localizer = make(threshold=0.2, temperature=0.05).eval()
    with torch.no_grad():
        out = localizer(inputs())
    assert out.logits.shape == (2, 6, 6)
    for i in range(2):
        for r, c in ((0, 0), (3, 5)):
            cosine = (out.visual[i, :, r, c] * out.audio[i]).sum()
            torch.testing.assert_close(
                out.logits[i, r, c], (cosine - 0.2) / 0.05, atol=1e-4, rtol=1e-4
            )
    torch.testing.assert_close(out.audio.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(out.visual.norm(dim=1), torch.ones(2, 6, 6))


@pytest.mark.parametrize('learn', [True, False])
def test_calibration_is_learnt_if_asked(learn):
    localizer = make(learn_calibration=learn)
    localizer(inputs()).logits.sum().backward()
    assert (localizer.calibration.grad is not None) == learn


BACKBONES = dict(
    swin=(dict(type='mmdet.SwinTransformer', embed_dims=24, depths=(1, 1, 1, 1)), 192),
    mobilenet=(dict(type='mmdet.MobileNetV2', out_indices=(7,)), 1280),
    pvt=(
        dict(
            type='mmdet.PyramidVisionTransformerV2',
            embed_dims=8,
            num_layers=[1, 1, 1, 1],
        ),
        64,
    ),
    regnet=(
        dict(type='mmdet.RegNet', arch='regnetx_400mf', norm_eval=False),
        384,
    ),
    resnet50=(dict(type='mmdet.ResNet', depth=50, norm_eval=False), 2048),
)


@pytest.mark.parametrize('name', BACKBONES)
def test_mmdet_backbones_build_and_learn(name):
    backbone, channels = BACKBONES[name]
    localizer = make(visual_backbone=backbone, visual_channels=channels)
    localizer.init_weights()
    optimizer = torch.optim.SGD(localizer.parameters(), lr=0.01)
    data = inputs(size=96)
    before = [p.clone() for p in localizer.visual_backbone.parameters()]
    out = localizer(data)
    assert out.logits.shape == (2, 3, 3)
    out.logits.square().mean().backward()
    optimizer.step()
    after = localizer.visual_backbone.parameters()
    assert any(not torch.equal(b, a) for b, a in zip(before, after, strict=True))


def narrow(channels=8, avg_down=False, channels_last=True):
    """A localizer whose second stage has a strided 1x1 shortcut, or a pooled one."""
    backbone = dict(tiny_model_cfg()['localizers']['b']['visual_backbone'])
    backbone.update(base_channels=channels, avg_down=avg_down)
    return make(
        visual_backbone=backbone,
        visual_channels=2 * channels,
        channels_last=channels_last,
    )


def lies_channels_last(localizer):
    weight = localizer.visual_backbone.layer2[0].conv1.weight
    return weight.is_contiguous(memory_format=torch.channels_last)


def test_narrow_strided_pointwise_convolutions_are_not_channels_last(logged):
    assert not lies_channels_last(narrow())
    assert 'visual_backbone.layer2.0.downsample.0' in logged()
    assert 'channels_last=False' in logged()


def test_others_are_channels_last_without_a_warning(logged):
    assert lies_channels_last(narrow(16))
    assert lies_channels_last(narrow(avg_down=True))
    assert not lies_channels_last(narrow(channels_last=False))
    assert 'channels_last' not in logged()


NARROW_TRAINING = """
import torch
import mmxpl.models
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_model_cfg
torch.set_num_threads(2)
cfg = tiny_model_cfg()['localizers']['b']
localizer = MODELS.build(dict(cfg, channels_last=True))
data = dict(img=torch.randn(16, 3, 256, 256), log_mel=torch.randn(16, 1, 16, 20))
for _ in range(3):
    localizer(data).logits.square().mean().backward()
print('trained')
"""


@pytest.mark.slow
def test_gradients_of_a_narrow_localizer_do_not_overrun_memory():
    # in a process of its own, which the overrun would end
    done = subprocess.run(
        [sys.executable, '-c', NARROW_TRAINING],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith('trained\n')
