import pytest
import torch

from mmxpl.models.encoders import SpectrogramEncoder, VGGishEncoder

RESNET = dict(
    type='mmdet.ResNet',
    depth=18,
    in_channels=1,
    num_stages=1,
    strides=(1,),
    dilations=(1,),
    out_indices=(0,),
    base_channels=8,
    stem_channels=8,
)


@pytest.mark.parametrize('pool', ['max', 'avg'])
def test_spectrogram_encoder_pools_the_last_output(pool):
    encoder = SpectrogramEncoder(RESNET, out_channels=8, pool=pool).eval()
    x = torch.randn(2, 1, 33, 40)
    features = encoder.backbone(x)[-1].flatten(2)
    expected = features.max(dim=2).values if pool == 'max' else features.mean(dim=2)
    torch.testing.assert_close(encoder(x), expected)


def test_spectrogram_encoder_refuses_another_pool():
    with pytest.raises(ValueError, match="'sum'"):
        SpectrogramEncoder(RESNET, out_channels=8, pool='sum')


@pytest.mark.parametrize('frames', [3, 96, 301])
def test_vggish_reads_any_duration(frames):
    encoder = VGGishEncoder(channels=(4, 8), depths=(1, 2))
    assert encoder(torch.randn(2, 1, 64, frames)).shape == (2, encoder.out_channels)
    assert encoder.out_channels == 8


def test_vggish_has_six_convolutions_by_default():
    convs = [m for m in VGGishEncoder().modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convs] == [64, 128, 256, 256, 512, 512]


def test_vggish_names_a_mismatch():
    with pytest.raises(ValueError, match='differ in'):
        VGGishEncoder(channels=(4, 8), depths=(1,))
