"""Decodes one frame."""

import io
import re
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from mmxpl.utils import DataError

from .media import check_pixels, check_regular

_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
_PNG = b'\x89PNG\r\n\x1a\n'
# formats whose EXIF rotation OpenCV leaves to others, and the tag of it
_NOT_TURNED, _ORIENTATION = ('WEBP', 'AVIF'), 0x0112
# of a JPEG: what no entropy-coded byte and no restart marker is
_MARKER = re.compile(rb'\xff[^\x00\xd0-\xd7]')
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
# decoders read ahead by up to eight bytes
_PAD = b'\xfe' * 8


def read_frame(path: str, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Reads an image file and resizes it, without keeping the aspect.

    Grey, CMYK, palette and 16-bit images become 8-bit BGR, transparency is
    dropped, and EXIF rotation is applied. A JPEG that is at least
    twice as large as needed is decoded at a fraction of its size, which costs
    a fraction of the time.

    Args:
        path (str): the file.
        size (tuple[int, int]): height and width wanted.

    Returns:
        tuple[np.ndarray, tuple[int, int]]: uint8 image of shape (H, W, 3), BGR,
        and height and width of the image in the file, after rotation.

    Raises:
        DataError: If the file is missing, empty, truncated, too large or no image.
    """
    data = read_media_bytes(path, 'frame')
    jpeg = scan_jpeg(data)
    stored = jpeg.size if jpeg else None
    factor = _reduction(stored, size) if stored else 1
    image = _decode(path, data, 'frame', _REDUCED[factor], jpeg)
    height, width = image.shape[:2]
    resized = resize_frame(image, size)
    if factor > 1:
        h, w = stored
        rotated = (height, width) != (-(-h // factor), -(-w // factor))
        height, width = (w, h) if rotated else (h, w)
    return resized, (height, width)


def resize_frame(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a frame, without keeping the aspect.

    Args:
        image (np.ndarray): uint8 image of shape (H, W, 3).
        size (tuple[int, int]): height and width wanted.

    Returns:
        np.ndarray: uint8 image of shape (*size, 3).
    """
    height, width = image.shape[:2]
    # below a factor of 2 bilinear weights leave no pixel out, at a fifth of the cost
    shrinks = height >= 2 * size[0] or width >= 2 * size[1]
    return cv2.resize(
        image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )


def decode_frame(path: str) -> np.ndarray:
    """Decodes an image file at its own size; see :func:`read_frame`.

    It takes twice as long as needed, to find a JPEG some of whose bytes were
    overwritten: its samples end before its bytes do.

    Args:
        path (str): the file.

    Returns:
        np.ndarray: uint8 image of shape (H, W, 3), BGR.

    Raises:
        DataError: If the file is missing, empty, damaged, too large or no image.
    """
    data = read_media_bytes(path, 'frame')
    jpeg = scan_jpeg(data)
    image = _decode(path, data, 'frame', cv2.IMREAD_COLOR, jpeg)
    if jpeg is not None and jpeg.is_padded:
        shorter = np.frombuffer(data, np.uint8)[: -len(_PAD) - 1]
        if cv2.imdecode(shorter, cv2.IMREAD_REDUCED_COLOR_8) is not None:
            raise _no_image(path, 'frame')
    return image


def read_media_bytes(path: str, what: str) -> bytearray:
    """Reads an image file, which must be a file and hold something.

    Args:
        path (str): the file.
        what (str): what it is, for the message: 'frame' or 'mask'.

    Returns:
        bytearray: Its content, with room for :data:`_PAD` behind it.

    Raises:
        DataError: If it is missing, empty, or no regular file.
    """
    data = bytearray(check_regular(path, what) + len(_PAD))
    try:
        with open(path, 'rb', buffering=0) as file:
            del data[file.readinto(data) :]
    except OSError as error:
        raise DataError(
            f'{path}: the {what} cannot be read ({error.strerror}). Restore the file '
            'or take its id out of the list.'
        ) from error
    if not data:
        raise DataError(
            f'{path}: the {what} has zero bytes. Restore the file or take its id out '
            'of the list.'
        )
    return data


def decode_image(
    path: str, data: bytearray, what: str, flags: int = cv2.IMREAD_COLOR
) -> np.ndarray:
    """Decodes an image of any format, after a look at its size.

    Args:
        path (str): the file, for messages.
        data (bytearray): its content; what does not belong to it is cut off.
        what (str): what it is, for messages: 'frame' or 'mask'.
        flags (int): of ``cv2.imdecode``. Defaults to ``cv2.IMREAD_COLOR``.

    Returns:
        np.ndarray: The image, turned as its EXIF data say.

    Raises:
        DataError: If it is truncated, damaged, no image, or has more than
            :data:`~mmxpl.datasets.media.MAX_PIXELS`.
    """
    return _decode(path, data, what, flags, scan_jpeg(data))


def image_size(path: str) -> tuple[int, int]:
    """Reads the size of an image, without decoding it.

    Args:
        path (str): the file.

    Returns:
        tuple[int, int]: Height and width as it is displayed, after EXIF rotation.

    Raises:
        DataError: If the file is missing, no image, or has more than
            :data:`~mmxpl.datasets.media.MAX_PIXELS`.
    """
    check_regular(path, 'frame')
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            # Pillow turns TIFF itself
            turned = turned and image.format != 'TIFF'
    except Image.DecompressionBombError:
        width = height = 0
        turned = False
    except Exception as error:  # Pillow raises many kinds
        raise _no_image(path, 'frame') from error
    check_pixels(path, height, width, 'frame')
    return (width, height) if turned else (height, width)


def same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes are of one picture, perhaps scaled.

    Args:
        one (tuple[int, int]): height and width.
        other (tuple[int, int]): the same.

    Returns:
        bool: True if the sides are in proportion, but for the rounding of a pixel.
    """
    (h, w), (height, width) = sorted([one, other])
    return abs(width * h / height - w) <= 1 or abs(height * w / width - h) <= 1


def check_image(path: str) -> None:
    """Looks at an image as far as that is possible without decoding it.

    Args:
        path (str): the file.

    Raises:
        DataError: As of :func:`decode_frame`, but for damage that the header does not
            show.
    """
    data = read_media_bytes(path, 'frame')
    _look(path, data, 'frame', scan_jpeg(data))


def _decode(
    path: str, data: bytearray, what: str, flags: int, jpeg: 'Jpeg | None'
) -> np.ndarray:
    """Decodes an image whose header may be known to be that of a JPEG."""
    orientation = _look(path, data, what, jpeg)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise _no_image(path, what)
    return _turn(image, orientation)


def _look(path: str, data: bytearray, what: str, jpeg: 'Jpeg | None') -> int:
    """Looks at the size, cuts a JPEG to its end, and tells how to turn the image."""
    orientation = 1
    if jpeg is not None:
        check_pixels(path, *jpeg.size, what)
        if not jpeg.is_whole:
            raise _no_image(path, what)
        if jpeg.is_padded:
            data[jpeg.end :] = _PAD
        else:
            del data[jpeg.end + 2 :]
    elif data[:2] == b'\xff\xd8':  # a JPEG with a damaged header
        raise _no_image(path, what)
    elif data[:8] == _PNG and len(data) > 24:
        width, height = (int.from_bytes(data[n : n + 4], 'big') for n in (16, 20))
        check_pixels(path, height, width, what)
    else:
        (height, width), orientation = _look_at_header(path, data, what)
        check_pixels(path, height, width, what)
    return orientation


def _no_image(path: str, what: str) -> DataError:
    return DataError(
        f'{path}: the {what} is truncated, corrupt or not an image. Restore the '
        'file or take its id out of the list.'
    )


def _look_at_header(path: str, data: bytes, what: str) -> tuple[tuple[int, int], int]:
    """Finds size and EXIF orientation of what is neither JPEG nor PNG."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            orientation = 1
            if image.format in _NOT_TURNED:
                orientation = image.getexif().get(_ORIENTATION, 1)
            return image.size[::-1], orientation
    except Image.DecompressionBombError:
        check_pixels(path, 0, 0, what)
    except Exception as error:  # Pillow raises many kinds
        raise _no_image(path, what) from error


def _turn(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turns and mirrors an image as TIFF 6.0 numbers orientations."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


class Jpeg(NamedTuple):
    """What the markers of a JPEG say (ITU-T T.81, annex B).

    Attributes:
        size (tuple[int, int]): height and width before any EXIF rotation.
        is_whole (bool): whether it ends, and its scans hold every coefficient.
        end (int): where its end marker is.
        is_padded (bool): whether it is decoded with :data:`_PAD` in place of the end
            marker. Decoders fail then where samples are missing; with the marker they
            paint them grey.
    """

    size: tuple[int, int]
    is_whole: bool
    end: int = 0
    is_padded: bool = False


def scan_jpeg(data: bytes | bytearray) -> Jpeg | None:
    """Walks along the markers of a JPEG, to its first real end.

    What follows, as the video of a motion photo, does not belong to it; thumbnails in
    front are within segments.

    Args:
        data (bytes | bytearray): the file.

    Returns:
        Jpeg | None: None if this is no JPEG or its header is damaged.
    """
    if data[:2] != b'\xff\xd8':
        return None
    size, parts, process, lacking = None, 0, 0, {}
    place, scans = 2, 0
    while (found := _MARKER.search(data, place)) is not None:
        marker, place = data[found.end() - 1], found.end()
        if marker == 0xFF:  # a fill byte
            place -= 1
            continue
        if marker == 0x01:
            continue
        if marker == 0xD9:
            break
        length = int.from_bytes(data[place : place + 2], 'big')
        segment = data[place + 2 : place + length]
        if marker == 0xD8 or length < 2 or len(segment) < length - 2:
            found = None
            break
        place += length
        # start of frame, except for the markers DHT, JPG and DAC among them
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if len(segment) < 6 or size is not None:
                return None
            height, width = (int.from_bytes(segment[n : n + 2], 'big') for n in (1, 3))
            size, process, parts = (height, width), marker, segment[5]
            if not (height and width and parts):
                return None
            lacking = _coefficients(segment, process)
        elif marker == 0xDA:
            scans += 1
            _note_scan(segment, process, lacking)
    if size is None:
        return None
    if found is None or lacking or not scans:
        return Jpeg(size, False)
    # decoders need the end where several scans are put together
    is_padded = process in (0xC0, 0xC1) and scans == 1 and _ends_are_seen()
    return Jpeg(size, True, found.start(), is_padded)


def _coefficients(segment: bytes, process: int) -> dict[tuple[int, int], int]:
    """Lists what the scans must bring: by component, DC (0) and AC (1 and 63)."""
    names = segment[6::3][: segment[5]]
    bands = (0, 1, 63) if process in _PROGRESSIVE else (0,)
    return {(name, band): 1 for name in names for band in bands}


def _note_scan(segment: bytes, process: int, lacking: dict) -> None:
    """Strikes out what a scan brings in full precision."""
    count = segment[0] if segment else 0
    if len(segment) < 4 + 2 * count:
        return
    first, last, low = segment[-3], segment[-2], segment[-1] & 15
    for name in segment[1 : 1 + 2 * count : 2]:
        for band in (0, 1, 63):
            inside = first <= band <= last and not low
            if inside or process not in _PROGRESSIVE:
                lacking.pop((name, band), None)


@lru_cache(maxsize=1)
def _ends_are_seen() -> bool:
    """Whether this OpenCV decodes a whole scan without an end behind it.

    It then fails where samples are missing, instead of painting them grey.
    """
    _, data = cv2.imencode('.jpg', np.zeros((8, 8, 3), np.uint8))
    data = np.frombuffer(data.tobytes()[:-2] + _PAD, np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR) is not None


def _reduction(stored: tuple[int, int], size: tuple[int, int]) -> int:
    """Largest reduction after which a JPEG is no smaller than wanted.

    The rotation is not known yet, so the shorter side must do for both.
    """
    return next(
        (f for f in (8, 4, 2) if min(stored) // f >= max(size)),
        1,
    )
