import io
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from mmxpl.datasets.image_io import decode_frame, read_frame
from mmxpl.datasets.jpeg import scan_jpeg
from mmxpl.utils import DataError

KINDS = [
    {},
    {'progressive': True},
    {'optimize': True},
    {'subsampling': 0},
    {'restart_marker_blocks': 4},
]


def _jpeg(**options):
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_LINEAR)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'JPEG', quality=92, **options)
    return buffer.getvalue()


def _overwritten(data, count=35, length=300):
    for place in np.linspace(len(data) // 3, len(data) - 400, count).astype(int):
        yield data[:place] + bytes(length) + data[place + length :]


def _refused(path, read):
    try:
        read(str(path))
    except DataError as error:
        return 'truncated, corrupt' in str(error)
    return False


def _see(path):
    decode_frame(str(path))
    return read_frame(str(path), (32, 32))[0]


def test_jpeg_size_in_the_header():
    for options in ({}, {'progressive': True}, {'exif': b'Exif\0\0' + bytes(900)}):
        buffer = io.BytesIO()
        Image.fromarray(np.zeros((35, 77, 3), np.uint8)).save(buffer, 'JPEG', **options)
        found = scan_jpeg(buffer.getvalue())
        assert (found.size, found.is_whole) == ((35, 77), True)
        assert scan_jpeg(buffer.getvalue()[:100]) is None
    assert scan_jpeg(b'\x89PNG') is None
    assert scan_jpeg(b'\xff\xd8' + b'\xff' * 50) is None
    assert scan_jpeg(b'') is None


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


@pytest.mark.parametrize('options', KINDS, ids=str)
def test_whole_files_pass_every_check(tmp_path, options):
    path = tmp_path / 'a.jpg'
    path.write_bytes(_jpeg(**options) + b'the video of a motion photo')
    plain = decode_frame(str(path))
    np.testing.assert_array_equal(decode_frame(str(path), strict=True), plain)


def test_lost_restart_markers_are_seen_by_the_loader(tmp_path):
    data, path = _jpeg(restart_marker_blocks=4), tmp_path / 'a.jpg'
    assert scan_jpeg(data).is_whole
    for damaged in _overwritten(data):
        path.write_bytes(damaged)
        assert _refused(path, lambda name: read_frame(name, (32, 32)))


@pytest.mark.parametrize(
    ('options', 'least'), [({}, 32), ({'progressive': True}, 35), ({'optimize': 1}, 35)]
)
def test_what_libjpeg_warns_about_is_damaged(tmp_path, options, least):
    pytest.importorskip('simplejpeg', reason='simplejpeg is not installed')
    data, path, found = _jpeg(**options), tmp_path / 'a.jpg', 0
    for damaged in _overwritten(data):
        path.write_bytes(damaged)
        found += _refused(path, lambda name: decode_frame(name, strict=True))
    assert found >= least


def test_without_simplejpeg_strict_asks_for_no_more(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'simplejpeg', None)
    path = tmp_path / 'a.jpg'
    for damaged in _overwritten(_jpeg(progressive=True), count=5):
        path.write_bytes(damaged)
        assert _refused(path, decode_frame) == _refused(
            path, lambda name: decode_frame(name, strict=True)
        )
