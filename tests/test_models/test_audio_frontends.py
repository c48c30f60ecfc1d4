import pytest
import torch
from torchaudio import transforms

from mmxpl.models.data_preprocessors import AVDataPreprocessor
from mmxpl.models.data_preprocessors.audio_frontends import LogMel, LogSpectrogram
from mmxpl.testing import tiny_batch, tiny_model_cfg
from mmxpl.utils.errors import DataError


def make():
    cfg = tiny_model_cfg()['data_preprocessor']
    cfg.pop('type')
    return AVDataPreprocessor(**cfg)


def test_spectrograms_of_a_tone_peak_at_its_frequency():
    batch = tiny_batch(1, 0)
    time = torch.arange(4000) / 8000
    batch['inputs']['audio'] = torch.sin(2 * torch.pi * 1000 * time)[None]
    inputs = make()(batch)['inputs']
    linear = inputs['log_spectrogram']
    assert linear.shape[:3] == (1, 1, 65)
    assert linear[0, 0].mean(dim=1).argmax() == 1000 // (8000 // 128)
    assert inputs['log_mel'].shape[:3] == (1, 1, 16)
    assert linear.dtype == torch.float32


@pytest.mark.parametrize(
    ('front_end', 'name'),
    [(LogSpectrogram, 'n_fft'), (LogMel, 'hop_length'), (LogMel, 'n_mels')],
)
def test_sizes_that_are_not_positive_are_refused(front_end, name):
    with pytest.raises(ValueError, match=f'^{name} must be positive, got -1'):
        front_end(**{name: -1})


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(f_min=7500.0), 'f_min must be from 0 to below f_max, got 7500'),
        (dict(f_min=-1.0), 'f_min must be'),
        (dict(n_fft=256), r'win_length \(400\) is above n_fft \(256\)'),
    ],
)
def test_bands_and_windows_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        LogMel(**settings)


def test_sounds_shorter_than_half_a_window_are_refused():
    sound = torch.rand(1, 257)
    assert LogSpectrogram()(sound).isfinite().all()
    with pytest.raises(DataError, match='of 256 samples are too short for n_fft=512'):
        LogSpectrogram()(sound[:, 1:])


def test_silence_is_finite():
    batch = tiny_batch(1, 0)
    batch['inputs']['audio'].zero_()
    inputs = make()(batch)['inputs']
    assert torch.isfinite(inputs['log_spectrogram']).all()
    assert torch.isfinite(inputs['log_mel']).all()


def with_those_of_torchaudio():
    sizes = dict(n_fft=512, hop_length=160)
    mel = dict(sample_rate=16000, win_length=400, n_mels=20, f_min=125.0, f_max=7500.0)
    yield LogSpectrogram(**sizes), transforms.Spectrogram(**sizes)
    yield LogMel(**sizes, **mel), transforms.MelSpectrogram(**sizes, **mel)


@pytest.mark.parametrize('length', [257, 4001])
def test_values_are_those_of_torchaudio(length):
    wave = torch.rand(2, length) * 2 - 1
    wave[0, : length // 2] = 0
    for front_end, transform in with_those_of_torchaudio():
        power = transform(wave)
        torch.testing.assert_close(front_end.power(wave), power, atol=0, rtol=1e-6)
        expected = (torch.log(power + 1e-7) - front_end.mean) / front_end.std
        torch.testing.assert_close(front_end(wave)[:, 0], expected, atol=2e-6, rtol=0)


def test_gradients_are_those_of_torchaudio():
    wave = torch.rand(2, 900, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for front_end, transform in with_those_of_torchaudio():
        inputs = wave.clone().requires_grad_(), wave.double().requires_grad_()
        maps = front_end(inputs[0])[:, 0]
        power = transform.double()(inputs[1])
        expected = (torch.log(power + 1e-7) - front_end.mean) / front_end.std
        # by power, since the logarithm of a quiet cell enlarges rounding
        weights = power.detach() * torch.linspace(-1, 1, maps.numel()).view_as(maps)
        (maps * weights).sum().backward()
        (expected * weights).sum().backward()
        found, wanted = (x.grad / inputs[1].grad.abs().max() for x in inputs)
        torch.testing.assert_close(found, wanted, atol=2e-6, rtol=0, check_dtype=False)
