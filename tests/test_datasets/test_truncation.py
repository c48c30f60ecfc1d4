"""Lengths that headers promise against what is stored, in sounds and videos."""

import struct

import numpy as np
import pytest
import soundfile

from mmxpl.datasets.audio_io import read_sound, read_waveform, sound_header
from mmxpl.datasets.truncation import flac_facts
from mmxpl.datasets.video_sound import read_video_clip
from mmxpl.utils import DataError

RATE = 16000
TIME = np.arange(4 * RATE) / RATE
# noise, so that codecs write about as much for each second
WAVE = np.random.default_rng(0).uniform(-0.4, 0.4, (4 * RATE, 2))
FORMATS = {
    'wav': {},
    'flac': {},
    'ogg': dict(subtype='VORBIS'),
    'opus': dict(format='OGG', subtype='OPUS'),
    'mp3': {},
    'aiff': {},
    'au': {},
    'w64': {},
    'rf64': {},
}


def _hear(path):
    return read_waveform(str(path), RATE, 0.5)


@pytest.mark.parametrize('suffix', FORMATS)
def test_a_sound_that_is_cut_is_refused_wherever_one_listens(tmp_path, suffix):
    whole = tmp_path / f'whole.{suffix}'
    soundfile.write(whole, WAVE, RATE, **FORMATS[suffix])
    for read in (sound_header, read_sound, _hear):
        read(str(whole))
    data = whole.read_bytes()
    for keep in (1 / 3, 0.55, 0.9, 0.97):
        cut = tmp_path / f'cut.{suffix}'
        cut.write_bytes(data[: int(keep * len(data))])
        for read in (sound_header, read_sound, _hear):
            with pytest.raises(
                DataError, match='its header promises .*, .* are (not )?stored'
            ):
                read(str(cut))


@pytest.mark.parametrize(
    ('suffix', 'message'),
    [
        ('wav', r'promises 4\.00 s, 2\.20 s are'),
        ('mp3', r'promises 4\.\d\d s, 2\.[12]\d s are'),
        ('flac', r'promises 4\.00 s, 2\.[0-4]\d s are'),
    ],
)
def test_both_lengths_are_named(tmp_path, suffix, message):
    path = tmp_path / f'a.{suffix}'
    soundfile.write(path, WAVE, RATE)
    data = path.read_bytes()
    path.write_bytes(data[: int(0.55 * len(data))])
    with pytest.raises(DataError, match=message):
        _hear(path)


def test_a_wav_that_claims_gigabytes(tmp_path):
    path = tmp_path / 'a.wav'
    soundfile.write(path, WAVE, RATE)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack('<I', 4_000_000_000)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r'promises 62,500\.00 s, 4\.00 s are stored'):
        sound_header(str(path))


def _without_length(path):
    """Takes the length out of the header of a FLAC, as a pipe leaves it."""
    data = bytearray(path.read_bytes())
    data[21:26] = bytes([data[21] & 0xF0]) + bytes(4)
    path.write_bytes(data)


@pytest.mark.parametrize('samples', [5000, 4 * RATE])
def test_a_flac_that_names_no_length_is_whole(tmp_path, samples):
    wave = WAVE[:samples]
    path = tmp_path / 'a.flac'
    soundfile.write(path, wave, RATE, subtype='PCM_16')
    wanted = read_sound(str(path)), _hear(path), sound_header(str(path))
    with open(path, 'rb') as file:
        facts = flac_facts(file)
    assert facts == (RATE, samples, samples)
    _without_length(path)
    assert soundfile.info(path).frames > 2**62  # the library does not know
    np.testing.assert_array_equal(read_sound(str(path)), wanted[0])
    np.testing.assert_array_equal(_hear(path), wanted[1])
    assert sound_header(str(path)) == wanted[2]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r'a\.flac: the sound'):
        read_sound(str(path))


def test_an_mp3_without_a_header_of_its_length(tmp_path):
    path = tmp_path / 'a.mp3'
    soundfile.write(path, WAVE, RATE, bitrate_mode='CONSTANT', compression_level=0.5)
    data = path.read_bytes()
    place = max(data.find(b'Xing', 0, 100), data.find(b'Info', 0, 100))
    bare = data[:place] + b'none' + data[place + 4 :]
    path.write_bytes(bare)
    assert _hear(path).shape == (RATE // 2,)
    soundfile.write(path, WAVE, RATE, bitrate_mode='VARIABLE', compression_level=0.5)
    data = path.read_bytes()
    assert _hear(path).shape == (RATE // 2,)
    place = data.find(b'Xing', 0, 100)
    path.write_bytes(data[:place] + b'none' + data[place + 4 :])
    with pytest.raises(DataError, match='variable rate that does not name its length'):
        _hear(path)


@pytest.mark.parametrize(
    'kind',
    [('a.mp4', 'libx264'), ('a.mkv', 'ffv1'), ('a.avi', 'mjpeg'), ('a.webm', 'libvpx')],
)
def test_a_video_that_is_cut(make_video, tmp_path, kind):
    name, codec = kind
    path = tmp_path / name
    if name == 'a.webm':
        av = pytest.importorskip('av')
        make_video(tmp_path / 'source.mkv', 1.0)
        with (
            av.open(str(tmp_path / 'source.mkv')) as source,
            av.open(str(path), 'w') as out,
        ):
            stream = out.add_stream('libvpx', rate=10)
            stream.width = stream.height = 32
            stream.pix_fmt = 'yuv420p'
            for frame in source.decode(video=0):
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    else:
        make_video(path, 1.0, codec=codec)
        read_video_clip(str(path), 8000)
    data = path.read_bytes()
    path.write_bytes(data[: int(0.8 * len(data))])
    with pytest.raises(
        DataError, match='is truncated: its header promises .* bytes, .* are stored'
    ):
        read_video_clip(str(path), 8000)
