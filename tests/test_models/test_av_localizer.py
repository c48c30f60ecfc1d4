import subprocess
import sys

import pytest
import torch

from mmxpl.registry import MODELS
from mmxpl.testing import tiny_model_cfg
from mmxpl.utils.errors import DataError


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
    localizer = make(visual_backbone={'out_indices': (3,), **backbone})
    assert localizer.visual_projection.levels[0].in_channels == channels
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
    return make(visual_backbone=backbone, channels_last=channels_last)


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


def train_a_step(localizer):
    optimizer = torch.optim.SGD(list(localizer.parameters()), lr=0.1)
    localizer.train()
    localizer(inputs()).logits.square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize(
    ('frozen', 'still'),
    [
        (True, ['visual_backbone', 'audio_encoder']),
        (['visual_backbone.layer1', 'audio_encoder'],) * 2,
    ],
)
def test_what_is_frozen_stays_as_it_is_and_the_rest_learns(frozen, still):
    localizer = make(frozen=frozen)
    before = {k: v.clone() for k, v in localizer.state_dict().items()}
    train_a_step(localizer)
    after = localizer.state_dict()
    for key in before:
        # buffers of batch normalisation included
        if key.startswith(tuple(still)):
            assert torch.equal(before[key], after[key]), key
    moved = [k for k in before if not torch.equal(before[k], after[k])]
    assert any(k.startswith('visual_projection') for k in moved)
    if 'visual_backbone' not in still:
        assert any(k.startswith('visual_backbone.layer2') for k in moved)
    assert all(localizer.get_submodule(name).training is False for name in still)


def test_a_part_that_cannot_be_frozen_is_named():
    with pytest.raises(
        ValueError, match=r"no module \['visual_backbone.stage9'\].*layer1"
    ):
        make(frozen=['visual_backbone.stage9'])


def test_maps_of_several_levels_are_fused_at_the_first():
    backbone = tiny_model_cfg()['localizers']['b']['visual_backbone']
    localizer = make(visual_backbone=dict(backbone, out_indices=(0, 1)), hidden_dim=12)
    data = inputs()
    assert localizer(data).logits.shape == (2, 12, 12)
    levels = localizer.encode_visual(data['img'])
    assert [x.shape[1] for x in levels] == [8, 16]
    fine, coarse = (
        level(x)
        for level, x in zip(localizer.visual_projection.levels, levels, strict=True)
    )
    coarse = torch.nn.functional.interpolate(coarse, (12, 12), mode='bilinear')
    wanted = localizer.visual_projection.output((fine + coarse).relu())
    torch.testing.assert_close(localizer.visual_projection(levels), wanted)


def test_features_in_place_of_media_give_the_same_maps():
    localizer = make(feature_norm=True).eval()
    data = inputs()
    features = {
        f'visual.{k}': x for k, x in enumerate(localizer.encode_visual(data['img']))
    }
    features['sound'] = localizer.encode_audio(data)
    torch.testing.assert_close(localizer(features).logits, localizer(data).logits)


def test_a_deaf_localizer_hears_nothing_and_still_learns():
    localizer = make(deaf=True, feature_norm=True).eval()
    data = inputs()
    other = dict(data, log_mel=torch.randn_like(data['log_mel']))
    assert torch.equal(localizer(data).logits, localizer(other).logits)
    localizer(data).logits.sum().backward()
    assert localizer.audio_projection.input.bias.grad.abs().sum() > 0


def test_features_are_standardised_by_what_training_saw():
    localizer = make(feature_norm=True)
    localizer.visual_projection.norms[0].momentum = 1.0
    levels = [5 + 3 * x for x in localizer.encode_visual(inputs(8)['img'])]
    localizer.visual_projection(levels)
    normed = localizer.eval().visual_projection.norms[0](levels[0])
    assert normed.mean().abs() < 1e-3
    assert (normed.std() - 1).abs() < 0.05


def test_channel_dropout_drops_whole_channels_in_training_alone():
    torch.manual_seed(0)
    localizer = make(channel_dropout=0.5)
    seen = []
    localizer.visual_projection.levels[0].register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    levels = [torch.ones(2, 16, 3, 3)]
    localizer.visual_projection(levels)
    assert set(seen[0].unique().tolist()) == {0.0, 2.0}
    assert (seen[0].amax((2, 3)) == seen[0].amin((2, 3))).all()
    localizer.eval().visual_projection(levels)
    assert torch.equal(seen[1], levels[0])


class Waveform(torch.nn.Module):
    reads_waveform, out_channels = True, 4

    def forward(self, wave):
        return wave[:, :4]


def test_an_encoder_with_its_own_front_end_reads_the_waveform():
    MODELS.register_module('WaveformForTest', module=Waveform, force=True)
    localizer = make(audio_encoder=dict(type='WaveformForTest'), audio_input=None)
    out = localizer(dict(img=torch.randn(2, 3, 48, 48), audio=torch.randn(2, 100)))
    assert out.logits.shape == (2, 6, 6)
    with pytest.raises(ValueError, match='log_mel.*no effect.*own spectrogram'):
        make(audio_encoder=dict(type='WaveformForTest'))
    with pytest.raises(ValueError, match='VGGishEncoder reads a spectrogram'):
        make(audio_input=None)
    with pytest.raises(DataError, match="is 'log_mel', and the inputs are img, audio"):
        make()(dict(img=torch.randn(2, 3, 48, 48), audio=torch.randn(2, 100)))
