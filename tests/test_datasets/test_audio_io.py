from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmxpl.datasets.audio_io import (
    excerpt_waveform,
    read_sound,
    read_waveform,
    sound_header,
)
from mmxpl.utils import DataError

RATE = 8000


@pytest.fixture
def ramp(tmp_path):
    """Two seconds of two channels whose mean rises from 0 to 1."""
    mono = np.linspace(0, 1, 2 * RATE, dtype=np.float32)
    wave = np.stack([mono / 2, mono * 3 / 2 - 0.01], axis=1).clip(-1, 1)
    path = tmp_path / 'ramp.wav'
    soundfile.write(path, wave, RATE, subtype='FLOAT')
    return str(path), wave


@pytest.mark.parametrize(
    ('offset', 'first'),
    [('center', 0.5), (0, 0), (0.25, 0.25), (1.5, 1), (9, 1), (-1, 0)],
)
def test_the_excerpt_lies_where_it_should(ramp, offset, first):
    path, wave = ramp
    found = read_waveform(path, RATE, 1.0, offset)
    start = round(first * RATE)
    assert found.dtype == np.float32
    assert np.array_equal(found, wave[start : start + RATE].mean(1))
    memory = excerpt_waveform(wave, RATE, RATE, 1.0, offset)
    assert np.array_equal(memory, found)


def test_a_short_sound_is_repeated(ramp):
    path, wave = ramp
    found = read_waveform(path, RATE, 5.0)
    mono = wave.mean(1)
    assert np.array_equal(found, np.concatenate([mono, mono, mono])[: 5 * RATE])


@pytest.mark.parametrize('rate', [16000, 11025, 7999])
def test_another_rate_keeps_length_and_pitch(tmp_path, rate):
    path = str(tmp_path / 'tone.wav')
    time = np.arange(2 * RATE) / RATE
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 400 * time), RATE)
    wave = read_waveform(path, rate, 1.0)
    assert wave.shape == (rate,)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(rate)))
    assert spectrum.argmax() == pytest.approx(400, abs=1)
    assert np.abs(wave[rate // 4 : -rate // 4]).max() == pytest.approx(0.5, abs=0.02)


def test_header_and_whole_sound(ramp):
    path, wave = ramp
    assert sound_header(path) == (RATE, 2.0)
    assert np.array_equal(read_sound(path), wave)


def test_a_cut_off_file_is_refused_though_the_library_reads_it(ramp, tmp_path):
    data = Path(ramp[0]).read_bytes()
    cut = tmp_path / 'cut.wav'
    cut.write_bytes(data[: len(data) // 2])
    assert soundfile.info(cut).frames > 0
    for read in (sound_header, read_sound, lambda p: read_waveform(p, RATE, 1.0)):
        with pytest.raises(DataError, match=r'cut\.wav: the sound is truncated'):
            read(str(cut))


def test_what_is_no_sound_is_said(tmp_path):
    wave = np.zeros(100, np.float32)
    wave[3] = np.nan
    soundfile.write(tmp_path / 'nan.wav', wave, RATE, subtype='FLOAT')
    loud = np.full(100, 32767, np.float32)
    soundfile.write(tmp_path / 'loud.wav', loud, RATE, subtype='FLOAT')
    soundfile.write(tmp_path / 'none.wav', wave[:0], RATE)
    soundfile.write(tmp_path / 'slow.wav', wave[:3], 100)
    (tmp_path / 'text.wav').write_text('no sound')
    for name, message in (
        ('nan', 'not finite'),
        ('loud', r'floats up to 32767, not in \[-1, 1\]'),
        ('none', 'holds no samples'),
        ('slow', 'rate of 100 Hz'),
        ('text', 'not a sound'),
        ('gone', 'cannot be read'),
    ):
        with pytest.raises(DataError, match=rf'{name}\.wav: the sound .*{message}'):
            read_waveform(str(tmp_path / f'{name}.wav'), RATE, 1.0)
