import io
import struct
import wave
from fractions import Fraction

import cv2
import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from PIL import Image

from mmxpl.datasets import LoadAudio, LoadFrame
from mmxpl.utils import DataError

RATE = 16000


def _picture(height=120, width=160):
    """A smooth RGB picture, so that JPEG changes little."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def _save(path, picture, **options):
    Image.fromarray(picture).save(path, **options)
    return str(path)


def _load(path, size):
    return LoadFrame(size)({'img_path': str(path)})


def _difference(img, picture):
    """Mean difference of a loaded BGR image from an RGB picture."""
    height, width = img.shape[:2]
    wanted = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.abs(img[..., ::-1].astype(float) - wanted).mean()


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_frame_is_bgr_and_resized_without_aspect(tmp_path, suffix):
    picture = _picture()
    path = _save(tmp_path / f'a.{suffix}', picture)
    results = _load(path, (56, 64))
    assert results['img'].shape == (56, 64, 3)
    assert results['img'].dtype == np.uint8
    assert results['ori_shape'] == (120, 160)
    assert results['img_shape'] == (56, 64)
    assert _difference(results['img'], picture) < 2


def test_small_frames_are_enlarged(tmp_path):
    picture = _picture(30, 40)
    results = _load(_save(tmp_path / 'a.png', picture), 64)
    wanted = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_LINEAR)
    assert (results['img'][..., ::-1] == wanted).all()
    assert results['ori_shape'] == (30, 40)


def test_shrinking_does_not_alias(tmp_path):
    stripes = np.zeros((160, 160, 3), np.uint8)
    stripes[:, ::2] = 254
    for size in (32, (64, 33)):
        img = _load(_save(tmp_path / 'a.png', stripes), size)['img']
        assert np.abs(img.astype(int) - 127).max() < 30


def test_all_kinds_of_jpeg_and_png(tmp_path):
    picture = _picture()
    grey = np.asarray(Image.fromarray(picture).convert('L'))
    assert _difference(
        _load(_save(tmp_path / 'g.jpg', grey), 48)['img'], np.stack([grey] * 3, -1)
    ) < (2)
    image = Image.fromarray(picture)
    image.convert('CMYK').save(tmp_path / 'c.jpg', quality=95)
    assert _difference(_load(tmp_path / 'c.jpg', 48)['img'], picture) < 3
    image.save(tmp_path / 'p.jpg', progressive=True, quality=95)
    assert _difference(_load(tmp_path / 'p.jpg', 48)['img'], picture) < 2
    image.convert('RGBA').save(tmp_path / 'a.png')
    assert _difference(_load(tmp_path / 'a.png', 48)['img'], picture) < 1
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    deep.save(tmp_path / 'd.png')
    assert (
        _difference(_load(tmp_path / 'd.png', 48)['img'], np.stack([grey] * 3, -1)) < 2
    )


@pytest.mark.parametrize('size', [(20, 24), (100, 90)])
@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_exif_rotation_is_applied(tmp_path, orientation, size):
    picture = _picture(200, 301)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = _save(tmp_path / 'a.jpg', picture, exif=exif, quality=95)
    turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    upright = np.ascontiguousarray(np.rot90(picture, turns))
    results = _load(path, size)
    assert results['ori_shape'] == upright.shape[:2]
    assert _difference(results['img'], upright) < 3


@pytest.mark.parametrize('size', [24, 40, 100, 112])
def test_large_jpegs_are_decoded_at_a_fraction(tmp_path, size, monkeypatch):
    picture = _picture(401, 643)
    path = _save(tmp_path / 'a.jpg', picture, quality=95)
    decoded = []
    imdecode = cv2.imdecode

    def spy(buffer, flags):
        decoded.append(imdecode(buffer, flags))
        return decoded[-1]

    monkeypatch.setattr(cv2, 'imdecode', spy)
    results = _load(path, size)
    assert results['ori_shape'] == (401, 643)
    assert _difference(results['img'], picture) < 4
    height = decoded[0].shape[0]
    assert size <= height < 401  # reduced, but never below what is wanted
    assert height < 2 * size or height == 51


def _bad_frames():
    buffer = io.BytesIO()
    Image.fromarray(_picture()).save(buffer, 'JPEG')
    jpeg = buffer.getvalue()
    buffer = io.BytesIO()
    Image.fromarray(_picture()).save(buffer, 'PNG')
    png = buffer.getvalue()
    # cut inside the scan, behind a thumbnail that has an end of its own
    thumbnail = b'\xff\xd8\xff\xd9'
    app = b'\xff\xe1' + struct.pack('>H', 2 + len(thumbnail)) + thumbnail
    return {
        'zero': b'',
        'text': b'hello, this is no picture',
        'short': b'\xff\xd8',
        'jpeg-half': jpeg[: len(jpeg) // 2],
        'jpeg-last-byte': jpeg[:-1],
        'jpeg-thumbnail': jpeg[:2] + app + jpeg[2:-300],
        'jpeg-header': jpeg[:100],
        'png-half': png[: len(png) // 2],
        'png-damaged': png[:200] + bytes(40) + png[240:],
    }


@pytest.mark.parametrize('name', list(_bad_frames()))
def test_bad_frames_are_named(tmp_path, name):
    path = tmp_path / f'{name}.jpg'
    path.write_bytes(_bad_frames()[name])
    with pytest.raises(DataError, match=f'{name}.jpg: the frame'):
        _load(path, 32)


@pytest.mark.parametrize('name', ['half', 'last-byte', 'thumbnail'])
def test_a_lenient_decoder_does_not_hide_truncation(tmp_path, name, monkeypatch):
    # as older OpenCV releases do
    grey = np.full((120, 160, 3), 128, np.uint8)
    monkeypatch.setattr(cv2, 'imdecode', lambda buffer, flags: grey)
    path = tmp_path / 'a.jpg'
    path.write_bytes(_bad_frames()[f'jpeg-{name}'])
    with pytest.raises(DataError, match=r'a\.jpg: the frame is truncated'):
        _load(path, 32)


def test_missing_frame_and_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r'gone\.jpg: the frame cannot be read'):
        _load(tmp_path / 'gone.jpg', 32)
    with pytest.raises(DataError, match='cannot be read'):
        _load(tmp_path, 32)


@pytest.mark.parametrize('size', [0, (8,), (8, 8, 3), (8, -1), (8.0, 8), 'big'])
def test_bad_sizes_are_refused(size):
    with pytest.raises(ValueError, match='size must be'):
        LoadFrame(size)


# sounds


def _ramp(seconds, rate=RATE):
    """Every sample tells its own place."""
    return np.linspace(-0.9, 0.9, int(seconds * rate), dtype=np.float32)


def _hear(path, rate=RATE, duration=1.0, offset='center'):
    return LoadAudio(rate, duration, offset)({'audio_path': str(path)})['audio']


def _write(path, data, rate=RATE, **options):
    soundfile.write(path, data, rate, **options)
    return path


@pytest.mark.parametrize(
    ('offset', 'start'),
    [('center', 32000), (0, 0), (0.5, 8000), (3, 48000), (4.5, 64000), (99, 64000)],
)
def test_the_excerpt_is_where_it_should_be(tmp_path, offset, start):
    ramp = _ramp(5)
    path = _write(tmp_path / 'a.wav', ramp, subtype='FLOAT')
    heard = _hear(path, offset=offset)
    assert heard.dtype == np.float32
    assert (heard == ramp[start : start + RATE]).all()


def test_only_the_excerpt_is_read(tmp_path, monkeypatch):
    path = _write(tmp_path / 'a.wav', _ramp(30))
    counts = []
    read = soundfile.SoundFile.read
    monkeypatch.setattr(
        soundfile.SoundFile,
        'read',
        lambda self, frames=-1, **k: counts.append(frames) or read(self, frames, **k),
    )
    _hear(path)
    assert counts == [RATE]


def test_short_sounds_are_repeated(tmp_path):
    ramp = _ramp(0.3)
    heard = _hear(_write(tmp_path / 'a.wav', ramp, subtype='FLOAT'))
    assert (heard == np.tile(ramp, 4)[:RATE]).all()
    one = _hear(_write(tmp_path / 'b.wav', ramp[:1], subtype='FLOAT'))
    assert one.shape == (RATE,)


def test_stereo_is_mixed_and_8_bit_and_other_formats_work(tmp_path):
    ramp = _ramp(1)
    both = np.stack([ramp, ramp * 0.5], axis=1)
    heard = _hear(_write(tmp_path / 'a.wav', both, subtype='FLOAT'))
    np.testing.assert_allclose(heard, both.mean(axis=1), atol=1e-6)
    six = np.stack([ramp] * 6, axis=1)
    assert np.abs(_hear(_write(tmp_path / 's.wav', six)) - ramp).max() < 1e-3
    for subtype, tolerance in (('PCM_U8', 0.02), ('PCM_24', 1e-6), ('ULAW', 0.05)):
        heard = _hear(_write(tmp_path / 'b.wav', ramp, subtype=subtype))
        assert np.abs(heard - ramp).max() < tolerance
    flac = _write(tmp_path / 'c.wav', ramp, format='FLAC')
    assert np.abs(_hear(flac) - ramp).max() < 1e-3


def test_loud_floats_are_clipped(tmp_path):
    heard = _hear(_write(tmp_path / 'a.wav', _ramp(1) * 3, subtype='FLOAT'))
    assert (heard.min(), heard.max()) == (-1, 1)


@pytest.mark.parametrize('rate', [8000, 11025, 22050, 44100, 48000])
@pytest.mark.parametrize('duration', [0.7, 1.0])
def test_other_rates_are_converted(tmp_path, rate, duration):
    time = np.arange(3 * rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * time).astype(np.float32)
    path = _write(tmp_path / 'a.wav', tone, rate, subtype='FLOAT')
    heard = _hear(path, duration=duration, offset=1.0)
    assert heard.shape == (round(RATE * duration),)
    excerpt = torch.from_numpy(tone[rate : rate + round(duration * rate)])
    expected = torchaudio.functional.resample(excerpt, rate, RATE).numpy()
    np.testing.assert_allclose(heard, expected[: len(heard)], atol=2e-5)
    # and it is still the same tone
    spectrum = np.abs(np.fft.rfft(heard))
    assert abs(spectrum.argmax() / duration - 440) < 2


@pytest.mark.parametrize('rate', [22254, 44101, 8011])
def test_odd_rates_cost_no_memory(tmp_path, rate):
    from mmxpl.datasets.audio_io import _resampler

    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    heard = _hear(_write(tmp_path / 'a.wav', tone, rate))
    assert heard.shape == (RATE,)
    assert np.abs(np.fft.rfft(heard)).argmax() == 440
    weights = sum(part[2].numel() for part in _resampler(rate, RATE)._parts)
    assert 0 < weights < 2e5


@pytest.mark.parametrize('channels', [1, 2, 3])
def test_samples_of_16_bits_are_the_same_as_floats(tmp_path, channels):
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, (RATE, channels))
    for name, subtype in (('short', 'PCM_16'), ('float', 'FLOAT')):
        path = tmp_path / f'{name}.wav'
        soundfile.write(path, (samples / 2**15), RATE, subtype)
    short, expected = (_hear(tmp_path / f'{n}.wav') for n in ('short', 'float'))
    assert np.array_equal(short, expected)
    assert np.allclose(short, samples.mean(1) / 2**15, atol=1e-7)


@pytest.mark.parametrize('rates', [(44100, 16000), (11025, 16000), (22254, 16000)])
def test_resampling_is_that_of_torchaudio(rates):
    from mmxpl.datasets.audio_io import _resampler

    wave = torch.rand(rates[0] // 3) * 2 - 1
    ratio = Fraction(*rates).limit_denominator(640)
    resample = torchaudio.transforms.Resample(ratio.numerator, ratio.denominator)
    expected = resample(wave)
    found = _resampler(*rates)(wave)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize('rate', [100, 2_000_000])
def test_senseless_rates_are_refused(tmp_path, rate):
    path = _write(tmp_path / 'a.wav', _ramp(0.1), rate)
    with pytest.raises(DataError, match=f'has a sample rate of {rate} Hz'):
        _hear(path)


def test_the_rate_is_not_touched_if_it_fits(tmp_path, monkeypatch):
    from mmxpl.datasets import audio_io

    monkeypatch.setattr(audio_io, '_resampler', None)
    assert _hear(_write(tmp_path / 'a.wav', _ramp(1))).shape == (RATE,)


def _wav_bytes(samples=RATE):
    buffer = io.BytesIO()
    with wave.open(buffer, 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((_ramp(samples / RATE) * 32767).astype('<i2').tobytes())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('zero', b'', 'is empty, corrupt or'),
        ('text', b'hello, no sound here' * 9, 'is empty, corrupt or'),
        ('short', _wav_bytes()[:20], 'is empty, corrupt or'),
        ('header', _wav_bytes(0), 'holds no samples'),
        ('header-only', _wav_bytes()[:44], 'is truncated'),
        ('half', _wav_bytes()[:16000], 'is truncated'),
        ('last-byte', _wav_bytes()[:-1], 'is truncated'),
    ],
)
def test_bad_sounds_are_named(tmp_path, name, content, message):
    path = tmp_path / f'{name}.wav'
    path.write_bytes(content)
    with pytest.raises(DataError, match=f'{name}.wav: the sound {message}'):
        _hear(path)


def test_missing_sound_is_named(tmp_path):
    with pytest.raises(DataError, match=r'gone\.wav: the sound cannot be read'):
        _hear(tmp_path / 'gone.wav')


def test_values_that_are_not_finite_are_refused(tmp_path):
    ramp = _ramp(1)
    ramp[500] = np.nan
    with pytest.raises(DataError, match='not finite'):
        _hear(_write(tmp_path / 'a.wav', ramp, subtype='FLOAT'))


def test_further_chunks_and_unknown_sizes_are_no_truncation(tmp_path):
    content = _wav_bytes()
    data = content.index(b'data')
    listed = content[:data] + b'LIST\x03\0\0\0abc\0' + content[data:] + b'junk'
    (tmp_path / 'list.wav').write_bytes(listed)
    assert _hear(tmp_path / 'list.wav').shape == (RATE,)
    (tmp_path / 'cut.wav').write_bytes(listed[:-100])
    with pytest.raises(DataError, match='truncated'):
        _hear(tmp_path / 'cut.wav')
    # as written to a pipe by a program that cannot go back to the header
    unknown = b'\xff\xff\xff\xff'
    piped = content[: data + 4] + unknown + content[data + 8 :]
    piped = content[:4] + unknown + piped[8:]
    (tmp_path / 'pipe.wav').write_bytes(piped)
    assert np.abs(_hear(tmp_path / 'pipe.wav') - _ramp(1)).max() < 1e-3


@pytest.mark.parametrize(
    'options',
    [
        {'sample_rate': 0},
        {'duration': 0},
        {'offset': 'start'},
        {'offset': -1},
    ],
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match='must be'):
        LoadAudio(**options)
