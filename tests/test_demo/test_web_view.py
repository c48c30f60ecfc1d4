import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from demo import web_view as view
from mmxpl.utils import DataError


@pytest.fixture(scope='module')
def pair(tiny_world):
    return (
        str(tiny_world / 'frames/clip-03.jpg'),
        str(tiny_world / 'audio/clip-03.wav'),
    )


@pytest.fixture(scope='module')
def scene(inferencer, pair):
    return view.localize_pair(inferencer, *pair)


def test_a_pair_is_localized_as_by_the_inferencer(inferencer, pair, scene):
    (sample,) = inferencer(pair, return_datasamples=True)['predictions']
    assert list(scene.maps) == ['a', 'b', 'ens']
    for name, prob in scene.maps.items():
        assert torch.equal(prob, sample.pred_map.get(name))
    assert {k: v.shape[:2] for k, v in scene.spectrograms.items()} == {
        'log_spectrogram': (1, 65),
        'log_mel': (1, 16),
    }


def test_pictures_and_rows(scene):
    pictures, rows = view.draw_scene(scene, 0.5)
    captions = [caption.split(',')[0] for _, caption in pictures]
    assert captions == [
        'Frame',
        'Localizer A',
        'Localizer B',
        'Ensemble',
        'Spectrogram: log_mel',
        'Spectrogram: log_spectrogram',
    ]
    assert {picture.shape for picture, _ in pictures} == {scene.frame.shape}
    assert {len(row) for row in rows} == {len(view.COLUMNS)}
    # everything reaches 0: one box, the whole frame (48 x 64)
    _, rows = view.draw_scene(scene, 0.0)
    assert [row[4:] for row in rows] == [[0, 0, 64, 48]] * 3
    pictures, rows = view.draw_scene(scene, 1.0)
    assert [row[2] for row in rows] == ['none'] * 3


def test_a_moment_of_a_clip(inferencer, make_video, tmp_path):
    clip = make_video(tmp_path / 'v.mkv', seconds=2.0)
    scene = view.localize_clip(inferencer, str(clip), 0.5)
    assert scene.time == pytest.approx(0.9, abs=0.01)
    (_, second, _) = inferencer(clip, every=0.9, return_datasamples=True)['predictions']
    assert torch.equal(scene.maps['ens'], second.pred_map.ens)
    for share in (0.0, 1.0):  # the ends have frames, too
        view.localize_clip(inferencer, str(clip), share)


def write_png_header(path: Path, width: int, height: int) -> None:
    """A PNG of any size that holds no pixels."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n'
    for kind, content in ((b'IHDR', header), (b'IDAT', b''), (b'IEND', b'')):
        crc = struct.pack('>I', zlib.crc32(kind + content))
        data += struct.pack('>I', len(content)) + kind + content + crc
    path.write_bytes(data)


def test_uploads_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    def write(name, data=b'x'):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    large, huge = tmp_path / 'large.png', tmp_path / 'huge.png'
    write_png_header(large, 6000, 6000)
    write_png_header(huge, 60000, 60000)
    long = tmp_path / 'long.wav'
    soundfile.write(long, np.zeros(121 * 8000), 8000)
    playlist = b'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n'
    for path, kind, message in [
        (None, 'image', 'No image is given'),
        (write('a.svg'), 'image', 'is no image of the types .jpg'),
        (write('a.pth'), 'clip', 'is no clip of the types'),
        (write('a.png'), 'image', 'frame is truncated, corrupt or not an image'),
        (
            str(large),
            'image',
            'frame of 6000 x 6000 exceeds the limit of 33554432 pixels',
        ),
        (str(huge), 'image', 'frame of 60000 x 60000 exceeds the limit'),
        (str(long), 'sound', 'has 121 s, at most 120 s pass'),
        (write('a.mp4', playlist), 'clip', 'is no MP4'),
        (write('b.avi', b'ffconcat version 1.0\n'), 'clip', 'is no MP4'),
    ]:
        with pytest.raises(DataError, match=message):
            view.check_upload(path, kind)
    monkeypatch.setattr(view, 'MAX_BYTES', 10)
    with pytest.raises(DataError, match=r'c\.wav: has 0 MB, more than'):
        view.check_upload(write('c.wav', b'0' * 11), 'sound')


def test_examples_can_be_localized(inferencer, tmp_path):
    examples = view.write_examples(tmp_path, count=2, size=64)
    maps = [view.localize_pair(inferencer, *pair).maps['ens'] for pair in examples]
    assert not torch.equal(*maps)
