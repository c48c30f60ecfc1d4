"""Decodes one frame."""

import cv2
import numpy as np

from mmxpl.utils import DataError

_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}


def read_frame(path: str, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Reads an image file and resizes it, without keeping the aspect.

    Grey, CMYK, palette and 16-bit images become 8-bit BGR, transparency is
    dropped, and a JPEG's EXIF rotation is applied. A JPEG that is at least
    twice as large as needed is decoded at a fraction of its size, which costs
    a fraction of the time.

    Args:
        path (str): the file.
        size (tuple[int, int]): height and width wanted.

    Returns:
        tuple[np.ndarray, tuple[int, int]]: uint8 image of shape (H, W, 3), BGR,
        and height and width of the image in the file, after rotation.

    Raises:
        DataError: If the file is missing, empty, truncated or no image.
    """
    data = _read_bytes(path)
    stored = jpeg_size(data)
    factor = _reduction(stored, size) if stored else 1
    image = _decode(path, data, factor)
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

    Args:
        path (str): the file.

    Returns:
        np.ndarray: uint8 image of shape (H, W, 3), BGR.

    Raises:
        DataError: If the file is missing, empty, truncated or no image.
    """
    return _decode(path, _read_bytes(path), 1)


def _read_bytes(path: str) -> bytes:
    """Reads a file that must hold something."""
    try:
        with open(path, 'rb') as file:
            data = file.read()
    except OSError as error:
        raise DataError(
            f'{path}: the frame cannot be read ({error.strerror}). Restore the file or '
            'take its id out of the list.'
        ) from error
    if not data:
        raise DataError(
            f'{path}: the frame has zero bytes. Restore the file or take its id out '
            'of the list.'
        )
    return data


def _decode(path: str, data: bytes, factor: int) -> np.ndarray:
    """Decodes an image at a fraction of its size: 1, or of a JPEG 2, 4 or 8."""
    image = None
    if jpeg_size(data) is None or _is_complete_jpeg(data):
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), _REDUCED[factor])
        except cv2.error:  # for example more pixels than OpenCV allows
            image = None
    if image is None:
        raise DataError(
            f'{path}: the frame is truncated, corrupt or not an image. Restore the '
            'file or take its id out of the list.'
        )
    return image


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Finds the size of a JPEG in its header (ITU-T T.81, annex B).

    Args:
        data (bytes): the file.

    Returns:
        tuple[int, int] | None: Height and width before any EXIF rotation; None
        if this is no JPEG or its header is damaged.
    """
    if data[:2] != b'\xff\xd8':
        return None
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        # start of frame, except for the markers DHT, JPG and DAC among them
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(data[position + 5 : position + 7], 'big')
            width = int.from_bytes(data[position + 7 : position + 9], 'big')
            return (height, width) if height and width else None
        if marker in (0xD9, 0xDA):  # end of image, start of scan
            return None
        position += 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
    return None


def _is_complete_jpeg(data: bytes) -> bool:
    """Tells whether a JPEG has its end: some decoders fill the rest with grey."""
    end = data.rfind(b'\xff\xd9')
    return end > data.rfind(b'\xff\xda') >= 0


def _reduction(stored: tuple[int, int], size: tuple[int, int]) -> int:
    """Largest reduction after which a JPEG is no smaller than wanted.

    The rotation is not known yet, so the shorter side must do for both.
    """
    return next(
        (f for f in (8, 4, 2) if min(stored) // f >= max(size)),
        1,
    )
