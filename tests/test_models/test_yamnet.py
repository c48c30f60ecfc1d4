import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmxpl.models import AVLocalizer, YAMNet


def mel_of(hertz):
    return 1127 * np.log(1 + hertz / 700)


def expected_patches(wave):
    """YAMNet's front end as its authors describe it, step by step."""
    wave = wave.astype(np.float64)
    while len(wave) < 15600 or (len(wave) - 15600) % 7680:
        wave = np.append(wave, np.zeros(1))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    starts = range(0, len(wave) - 399, 160)
    spectrum = np.abs(
        [np.fft.rfft(wave[start : start + 400] * window, 512) for start in starts]
    )
    edges = np.linspace(mel_of(125), mel_of(7500), 66)
    weights = np.zeros((257, 64))
    for k in range(1, 257):
        mel = mel_of(k * 16000 / 512)
        for band in range(64):
            lower, center, upper = edges[band : band + 3]
            if lower < mel <= center:
                weights[k, band] = (mel - lower) / (center - lower)
            elif center < mel < upper:
                weights[k, band] = (upper - mel) / (upper - center)
    log_mel = np.log(spectrum @ weights + 0.001)
    return np.stack([log_mel[i : i + 96] for i in range(0, len(log_mel) - 95, 48)])


@pytest.fixture(scope='module')
def net():
    torch.manual_seed(0)
    return YAMNet().eval()


def noise(samples, batch=1):
    wave = np.random.default_rng(0).normal(0, 0.1, (batch, samples))
    return torch.from_numpy(wave.clip(-1, 1).astype(np.float32))


@pytest.mark.parametrize(
    ('samples', 'patches'),
    [(1, 1), (9000, 1), (15600, 1), (15601, 2), (23280, 2), (48000, 6)],
)
def test_front_end_is_the_authors(net, samples, patches):
    wave = noise(samples)
    found = net.front_end(wave)[0].numpy()
    assert found.shape == (patches, 96, 64)
    np.testing.assert_allclose(found, expected_patches(wave[0].numpy()), atol=1e-4)


def test_a_short_sound_is_followed_by_silence(net):
    wave = noise(5000)
    with torch.no_grad():
        torch.testing.assert_close(net(wave), net(F.pad(wave, (0, 10600))))


def test_front_end_is_exact_under_autocast(net):
    wave = noise(16000)
    with torch.autocast('cpu', torch.bfloat16):
        found = net.front_end(wave.bfloat16())
        assert net(wave).dtype == torch.bfloat16
    assert found.dtype == torch.float32
    assert torch.equal(found, net.front_end(wave.bfloat16().float()))


def test_embedding_is_the_mean_of_the_last_map_pooled_over_patches(net):
    wave = noise(31000, batch=2)
    patches = net.front_end(wave)
    assert patches.shape[:2] == (2, 4)  # of one sound after those of the other
    with torch.no_grad():
        each = torch.stack([net.layers(p[:, None]).mean((2, 3)) for p in patches])
        torch.testing.assert_close(net(wave), each.mean(1))
        loudest = YAMNet(pool='max').eval()
        loudest.load_state_dict(net.state_dict())
        torch.testing.assert_close(loudest(wave), each.amax(1))


def test_layers_are_mobilenet_v1_with_27_convolutions(net):
    convs = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convs) == 27
    assert all(conv.bias is not None for conv in convs)
    # Hershey's table of the model: 3.2 M weights before the classifier
    assert sum(p.numel() for p in net.parameters()) == 3_195_456
    x = torch.randn(1, 1, 96, 64)
    for layer, stride in zip(
        net.layers, (2, 1, 2, 1, 2, 1, 2, *[1] * 5, 2, 1), strict=True
    ):
        x, before = layer(x), x
        assert x.shape[2:] == tuple(n // stride for n in before.shape[2:])
    assert x.shape == (1, 1024, 3, 2)


@pytest.mark.parametrize('index', [0, 2])
def test_strided_convolutions_pad_at_the_end(net, index):
    layer = net.layers[index]
    conv = (layer if index == 0 else layer.depthwise_conv).conv
    x = torch.randn(1, conv.in_channels, 6, 4)
    padded = F.pad(x, (0, 1, 0, 1))
    expected = F.conv2d(padded, conv.weight, conv.bias, 2, groups=conv.groups)
    torch.testing.assert_close(conv(x), expected)


def test_a_localizer_hands_it_the_waveform():
    localizer = AVLocalizer(
        dict(type='EfficientNetLite', out_indices=(3,)),
        dict(type='YAMNet'),
        embed_dim=8,
    )
    inputs = dict(img=torch.randn(2, 3, 32, 32), audio=noise(16000, batch=2))
    logits = localizer(inputs).logits
    assert logits.shape == (2, 4, 4)
    logits.sum().backward()
    stem = localizer.audio_encoder.layers[0].conv.weight.grad
    assert stem.abs().sum() > 0


def test_another_pool_is_refused():
    with pytest.raises(ValueError, match="'sum'"):
        YAMNet(pool='sum')
