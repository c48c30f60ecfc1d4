import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mmxpl.datasets.image_io import decode_frame, image_size, read_frame
from mmxpl.datasets.media import MAX_PIXELS
from mmxpl.utils import DataError


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
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, 'JPEG')
    data = bytearray(buffer.getvalue())
    place = data.index(b'\xff\xc0') + 5
    data[place : place + 4] = struct.pack('>HH', 30000, 30000)
    (tmp_path / 'bomb.jpg').write_bytes(data)
    monkeypatch.setattr(cv2, 'imdecode', None)
    for name in ('bomb.png', 'bomb.jpg'):
        for read in (decode_frame, image_size, lambda p: read_frame(p, (32, 32))):
            with pytest.raises(DataError, match=rf'{name}: .*{MAX_PIXELS} pixels'):
                read(str(tmp_path / name))
