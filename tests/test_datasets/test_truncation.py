"""What a header promises against what is stored, in sounds, videos and pictures."""

import io
import os
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest
import soundfile
from PIL import Image

from mmxpl.datasets.audio_io import read_sound, read_waveform, sound_header
from mmxpl.datasets.image_io import decode_frame, image_size, read_frame
from mmxpl.datasets.media import MAX_PIXELS
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


def _jpeg(**options):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_LINEAR)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'JPEG', quality=92, **options)
    return buffer.getvalue()


def _see(path):
    decode_frame(str(path))
    return read_frame(str(path), (32, 32))[0]


@pytest.mark.parametrize(
    'options', [{}, {'progressive': True}, {'restart_marker_rows': 1}]
)
def test_a_jpeg_ends_at_its_first_real_end(tmp_path, options):
    data, rng = _jpeg(**options), np.random.default_rng(1)
    path = tmp_path / 'a.jpg'
    path.write_bytes(data)
    wanted = _see(path)
    for n in range(100):
        tail = rng.bytes(2000)
        if n % 4 == 0:  # as the still of a video in a motion photo
            tail += data[: 10 * n]
        path.write_bytes(data + tail)
        np.testing.assert_array_equal(_see(path), wanted)


@pytest.mark.parametrize(
    'options', [{}, {'progressive': True}, {'restart_marker_rows': 1}]
)
@pytest.mark.parametrize('keep', [0.3, 0.6, 0.9])
def test_a_jpeg_that_is_cut_is_refused(tmp_path, options, keep):
    data = _jpeg(**options)
    cut = data[: int(keep * len(data))]
    if 'progressive' in options and keep == 0.9:
        # an end within the last scan takes the finest detail alone, which no one sees
        cut = cut[: cut.rfind(b'\xff\xda') - 40]
    path = tmp_path / 'a.jpg'
    for end in (b'', b'\xff\xd9', bytes(len(data) - len(cut) - 2) + b'\xff\xd9'):
        path.write_bytes(cut + end)
        with pytest.raises(DataError, match=r'a\.jpg: the frame is truncated, corrupt'):
            read_frame(str(path), (32, 32))


def test_a_jpeg_with_bytes_overwritten(tmp_path):
    data, path, found = _jpeg(), tmp_path / 'a.jpg', 0
    for place in np.linspace(len(data) // 3, len(data) - 400, 35).astype(int):
        path.write_bytes(data[:place] + bytes(300) + data[place + 300 :])
        try:
            decode_frame(str(path))
        except DataError:
            found += 1
    # libjpeg decodes the others without a warning: their bytes are valid codes
    assert found >= 30


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp'])
def test_exif_turns_every_format(tmp_path, suffix, orientation):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20, :20] = 255  # the corner that tells them apart
    picture[:20, 20:40] = 128
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = str(tmp_path / f'a.{suffix}')
    options = {'webp': {'lossless': True}, 'jpg': {'quality': 98}}.get(suffix, {})
    Image.fromarray(picture).save(path, exif=exif, **options)
    flips = {1: picture, 2: picture[:, ::-1], 3: picture[::-1, ::-1], 4: picture[::-1]}
    turned = picture.swapaxes(0, 1)
    flips |= {5: turned, 6: turned[:, ::-1], 7: turned[::-1, ::-1], 8: turned[::-1]}
    found = decode_frame(path)
    assert found.shape == flips[orientation].shape
    assert np.abs(found.astype(int) - flips[orientation]).max() < 12
    assert image_size(path) == found.shape[:2]


def write_png(path, width, height):
    """A PNG of one colour, small however many pixels it has."""
    header = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    data = b'\x89PNG\r\n\x1a\n'
    for kind, content in ((b'IHDR', header), (b'IDAT', pixels), (b'IEND', b'')):
        crc = struct.pack('>I', zlib.crc32(kind + content))
        data += struct.pack('>I', len(content)) + kind + content + crc
    path.write_bytes(data)


def test_pictures_of_too_many_pixels_are_not_decoded(tmp_path, monkeypatch):
    write_png(tmp_path / 'bomb.png', 30000, 30000)
    data = bytearray(_jpeg())
    place = data.index(b'\xff\xc0') + 5
    data[place : place + 4] = struct.pack('>HH', 30000, 30000)
    (tmp_path / 'bomb.jpg').write_bytes(data)
    monkeypatch.setattr(cv2, 'imdecode', None)
    for name in ('bomb.png', 'bomb.jpg'):
        for read in (decode_frame, image_size, lambda p: read_frame(p, (32, 32))):
            with pytest.raises(DataError, match=rf'{name}: .*{MAX_PIXELS} pixels'):
                read(str(tmp_path / name))


def test_clips_of_too_many_pixels_are_not_decoded(make_video, tmp_path, monkeypatch):
    path = str(make_video(tmp_path / 'a.mkv', 0.5, size=64))
    read_video_clip(path, 8000)
    monkeypatch.setattr('mmxpl.datasets.media.MAX_PIXELS', 64 * 63)
    with pytest.raises(
        DataError, match=r'picture of 64 x 64 exceeds the limit of 4032'
    ):
        read_video_clip(path, 8000)


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'a.pipe')
    for path in (tmp_path / 'a.pipe', '/dev/zero', tmp_path):
        for read in (decode_frame, _hear, lambda p: read_video_clip(p, 8000)):
            with pytest.raises(DataError, match='it is a folder, pipe or device'):
                read(str(path))


def test_opening_does_not_depend_on_the_ending(make_video, tmp_path):
    path = make_video(tmp_path / 'a.mkv', 0.5)
    shutil.copy(path, tmp_path / 'b.mp4')
    np.testing.assert_array_equal(
        read_video_clip(str(path), 8000).wave,
        read_video_clip(str(tmp_path / 'b.mp4'), 8000).wave,
    )
