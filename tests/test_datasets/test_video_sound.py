import numpy as np
import pytest
import soundfile

from mmxpl.datasets.video_sound import SoundReader, read_video_clip, read_video_sound
from mmxpl.utils import DataError

av = pytest.importorskip('av', reason='videos are read with PyAV')


@pytest.fixture(scope='module')
def lossless(make_video, tmp_path_factory):
    return str(make_video(tmp_path_factory.mktemp('video') / 'a.mkv'))


@pytest.mark.parametrize('rate', [16000, 22050])
def test_sound_is_mixed_and_resampled(lossless, rate):
    wave = read_video_sound(lossless, rate)
    assert wave.dtype == np.int16
    assert abs(len(wave) - 3 * rate) <= 32
    spectrum = np.abs(np.fft.rfft(wave / 32768.0))
    assert np.argmax(spectrum) * rate / len(wave) == pytest.approx(440, abs=1)
    # half of one of two channels
    assert np.abs(wave[rate : 2 * rate]).max() == pytest.approx(8000, rel=0.02)


@pytest.mark.parametrize('rate', [44100, 48000])
@pytest.mark.parametrize(
    ('layout', 'channels', 'least'),
    [('mono', [0], 15000), ('stereo', [0, 1], 15000), ('5.1', [2], 2000)]
    + [('5.1', [0, 1, 2, 4, 5], 12000)],
)
def test_all_channels_are_mixed(make_video, tmp_path, rate, layout, channels, least):
    path = tmp_path / 'a.mkv'
    make_video(path, 1.0, rate=rate, layout=layout, channels=channels)
    wave = read_video_sound(str(path), 16000).astype(float)
    assert len(wave) == pytest.approx(16000, abs=32)
    spectrum = np.abs(np.fft.rfft(wave[:16000] * np.hanning(len(wave[:16000]))))
    assert np.argmax(spectrum) == pytest.approx(440, abs=1)
    # loud enough, and not clipped: nothing but the tone
    assert least < np.abs(wave).max() < 16500
    assert spectrum[500:].max() < 0.01 * spectrum.max()


def test_what_is_not_stored_is_silence(lossless):
    whole = read_video_sound(lossless, 16000)
    with SoundReader(lossless, 16000) as sound:
        before = sound.read(-800, 800)
        assert not sound.stored
        assert not before.any()
        window = sound.read(-400, 1200)
        assert sound.stored
    assert not window[:400].any()
    np.testing.assert_array_equal(window[400:], whole[:800])


def test_a_frame_lies_in_the_sound_where_it_is_shown(lossless):
    clip = read_video_clip(lossless, 16000, 1.0)
    assert clip.frame_time == pytest.approx(1.0, abs=0.05)
    assert clip.note == ''
    assert clip.image.shape == (32, 32, 3)
    np.testing.assert_array_equal(
        clip.wave[:8000], read_video_sound(lossless, 16000)[:8000]
    )


def test_floats_of_another_scale_are_refused(tmp_path):
    path, wave = tmp_path / 'a.wav', np.sin(np.arange(8000) / 9)
    soundfile.write(path, wave, 8000, subtype='FLOAT')
    assert np.abs(read_video_sound(str(path), 8000)).max() > 30000
    soundfile.write(path, 32767 * wave, 8000, subtype='FLOAT')
    with pytest.raises(DataError, match=r'a\.wav: the file holds floats up to 3276'):
        read_video_sound(str(path), 8000)
