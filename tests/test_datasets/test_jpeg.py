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
