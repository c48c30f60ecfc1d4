"""Reading of frames: image files of any format, resized to what the model takes.

A file that is missing, empty, truncated, damaged, no image, or larger than
:data:`~mmxpl.datasets.media.MAX_PIXELS` is a DataError that names it.
"""

import io
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from mmxpl.utils import DataError

from .jpeg import PAD, Jpeg, is_damaged, scan_jpeg
from .media import REMEDY, check_pixels, check_regular

_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
_PNG = b'\x89PNG\r\n\x1a\n'
# formats whose EXIF rotation OpenCV does not apply, and its tag
_NOT_TURNED, _ORIENTATION = ('WEBP', 'AVIF'), 0x0112


def read_frame(path: str, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Reads an image file and resizes it to (H, W) without keeping the aspect ratio.

    Grey, CMYK, palette and 16-bit images become 8-bit BGR, transparency is dropped, and
    EXIF rotation is applied. A JPEG at least twice as large as needed is decoded at a
    fraction of its size, in a fraction of the time.

    Returns:
        tuple[np.ndarray, tuple[int, int]]: uint8 image of shape (H, W, 3), BGR, and
        height and width of the image in the file, after rotation.
    """
    data = _read_bytes(path, 'frame')
    jpeg = scan_jpeg(data)
    stored = jpeg.size if jpeg else (0, 0)
    # the rotation is not known yet, so both sides are judged by the shorter one
    factor = next((f for f in (8, 4, 2) if min(stored) // f >= max(size)), 1)
    image = _decode(path, data, 'frame', _REDUCED[factor], jpeg)
    height, width = image.shape[:2]
    resized = resize_frame(image, size)
    if factor > 1:
        h, w = stored
        rotated = (height, width) != (-(-h // factor), -(-w // factor))
        height, width = (w, h) if rotated else (h, w)
    return resized, (height, width)


def resize_frame(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a frame, uint8 (h, w, 3), to (H, W) without keeping the aspect ratio."""
    height, width = image.shape[:2]
    # below a factor of 2 bilinear weights skip no pixel, at a fifth of the cost
    shrinks = height >= 2 * size[0] or width >= 2 * size[1]
    return cv2.resize(
        image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )


def decode_frame(path: str, strict: bool = False) -> np.ndarray:
    """Decodes an image file at its own size, see :func:`read_frame`.

    JPEGs are decoded twice to find those of which bytes were overwritten
    (:func:`~mmxpl.datasets.jpeg.is_damaged`); with ``strict`` also those that libjpeg
    warns about, if the package simplejpeg is installed.
    """
    data = _read_bytes(path, 'frame')
    jpeg = scan_jpeg(data)
    content = bytes(data)  # _decode() replaces the end
    image = _decode(path, data, 'frame', cv2.IMREAD_COLOR, jpeg)
    if jpeg is not None and is_damaged(content, jpeg, strict):
        raise _no_image(path, 'frame')
    return image


def _read_bytes(path: str, what: str) -> bytearray:
    """Reads an image file, with capacity for :data:`~mmxpl.datasets.jpeg.PAD`."""
    data = bytearray(check_regular(path, what) + len(PAD))
    try:
        with open(path, 'rb', buffering=0) as file:
            del data[file.readinto(data) :]
    except OSError as error:
        raise DataError(
            f'{path}: the {what} cannot be read ({error.strerror}). {REMEDY}'
        ) from error
    if not data:
        raise DataError(f'{path}: the {what} has zero bytes. {REMEDY}')
    return data


def decode_image(path: str, what: str, flags: int) -> np.ndarray:
    """Decodes an image of any format, rotated as its EXIF data say.

    ``what`` is the kind of image for messages; ``flags`` are those of ``cv2.imdecode``.
    """
    data = _read_bytes(path, what)
    return _decode(path, data, what, flags, scan_jpeg(data))


def image_size(path: str) -> tuple[int, int]:
    """Reads height and width of an image as displayed, without decoding it."""
    check_regular(path, 'frame')
    (height, width), orientation, kind = _read_header(path, path, 'frame')
    # Pillow rotates TIFF itself
    turned = orientation in (5, 6, 7, 8) and kind != 'TIFF'
    return (width, height) if turned else (height, width)


def same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Tells whether two sizes differ by scaling and rounding to a pixel only."""
    (h, w), (height, width) = sorted([one, other])
    return abs(width * h / height - w) <= 1 or abs(height * w / width - h) <= 1


def check_image(path: str) -> None:
    """Checks an image without decoding it; some damage is seen by decoding alone."""
    data = _read_bytes(path, 'frame')
    _look(path, data, 'frame', scan_jpeg(data))


def _decode(
    path: str, data: bytearray, what: str, flags: int, jpeg: Jpeg | None
) -> np.ndarray:
    """Decodes an image; ``jpeg`` is its header if it is a JPEG."""
    orientation = _look(path, data, what, jpeg)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise _no_image(path, what)
    return _turn(image, orientation)


def _look(path: str, data: bytearray, what: str, jpeg: Jpeg | None) -> int:
    """Checks the size, cuts a JPEG to its end, and returns the orientation."""
    orientation = 1
    if jpeg is not None:
        check_pixels(path, *jpeg.size, what)
        if not jpeg.is_whole:
            raise _no_image(path, what)
        if jpeg.is_padded:
            data[jpeg.end :] = PAD
        else:
            del data[jpeg.end + 2 :]
    elif data[:2] == b'\xff\xd8':  # a JPEG with a damaged header
        raise _no_image(path, what)
    elif data[:8] == _PNG and len(data) > 24:
        width, height = (int.from_bytes(data[n : n + 4], 'big') for n in (16, 20))
        check_pixels(path, height, width, what)
    else:
        _, orientation, kind = _read_header(path, io.BytesIO(data), what)
        if kind not in _NOT_TURNED:
            orientation = 1
    return orientation


def _no_image(path: str, what: str) -> DataError:
    return DataError(
        f'{path}: the {what} is truncated, corrupt or not an image. {REMEDY}'
    )


def _read_header(
    path: str, file: str | BinaryIO, what: str
) -> tuple[tuple[int, int], int, str]:
    """Reads height and width, EXIF orientation and format with Pillow."""
    height = width = 0
    try:
        with Image.open(file) as image:
            width, height = image.size
            orientation, kind = image.getexif().get(_ORIENTATION, 1), image.format
    except Image.DecompressionBombError:
        pass  # too many pixels, as 0 are
    except Exception as error:  # Pillow raises many kinds
        raise _no_image(path, what) from error
    check_pixels(path, height, width, what)
    return (height, width), orientation, kind


def _turn(image: np.ndarray, orientation: int) -> np.ndarray:
    """Rotates and mirrors an image by its orientation as TIFF 6.0 numbers them."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
