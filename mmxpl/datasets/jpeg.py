"""Markers of JPEG files (ITU-T T.81), and damage that decoders do not report."""

import re
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

# what is neither an entropy-coded byte nor a restart marker
_MARKER = re.compile(rb'\xff[^\x00\xd0-\xd7]')
_RESTART = re.compile(rb'\xff([\xd0-\xd7])')
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
# warnings of libjpeg that mean damage
_DAMAGE = ('Corrupt JPEG data', 'Premature end', 'Inconsistent progression')
PAD = b'\xfe' * 8
"""bytes: replaces the end marker; decoders read ahead by up to eight bytes."""


class Jpeg(NamedTuple):
    """What the markers of a JPEG say."""

    size: tuple[int, int]  # height and width before any EXIF rotation
    # whether the file ends, its scans hold every coefficient, and restart markers
    # follow each other
    is_whole: bool
    end: int = 0  # place of the end marker
    # whether to decode with PAD in place of the end marker: decoders then fail where
    # samples are missing; with the marker they paint them grey
    is_padded: bool = False


def scan_jpeg(data: bytes | bytearray) -> Jpeg | None:
    """Walks along the markers of a JPEG to its first end marker.

    What follows, such as the video of a motion photo, does not belong to the picture;
    thumbnails before it are within segments.

    Returns:
        Jpeg | None: None if this is no JPEG or its header is damaged.
    """
    if data[:2] != b'\xff\xd8':
        return None
    size, process, lacking, restarts = None, 0, {}, False
    place, scans, is_whole = 2, 0, True
    while (found := _MARKER.search(data, place)) is not None:
        if scans and restarts:
            is_whole = is_whole and _is_in_order(data, place, found.start())
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
            # what the scans must bring: by component, DC (0) and AC (1 and 63)
            bands = (0, 1, 63) if process in _PROGRESSIVE else (0,)
            lacking = {(name, n): 1 for name in segment[6::3][:parts] for n in bands}
        elif marker == 0xDA:
            scans += 1
            _note_scan(segment, process, lacking)
        elif marker == 0xDD:
            restarts = any(segment[:2])
    if size is None:
        return None
    if found is None or lacking or not scans or not is_whole:
        return Jpeg(size, False)
    # decoders need the end marker to combine several scans
    is_padded = process in (0xC0, 0xC1) and scans == 1 and _ends_are_seen()
    return Jpeg(size, True, found.start(), is_padded)


def is_damaged(data: bytes, jpeg: Jpeg, strict: bool = False) -> bool:
    """Tells whether the samples of a JPEG that decodes are damaged.

    Finds baseline files whose samples end before their bytes do; with ``strict``, also
    those that libjpeg warns about, if the package simplejpeg is installed. Overwritten
    bytes that are valid codes of as many samples are not found.
    """
    if strict and _first_warning(data[: jpeg.end + 2]).startswith(_DAMAGE):
        return True
    if not jpeg.is_padded:
        return False
    shorter = np.frombuffer(data, np.uint8)[: jpeg.end - 1]
    return cv2.imdecode(shorter, cv2.IMREAD_REDUCED_COLOR_8) is not None


def _first_warning(data: bytes) -> str:
    """First warning of libjpeg; '' if there is none or simplejpeg is missing."""
    try:
        import simplejpeg
    except ImportError:
        return ''
    try:
        simplejpeg.decode_jpeg(data, 'GRAY', min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        return str(error)
    return ''


def _is_in_order(data: bytes | bytearray, start: int, end: int) -> bool:
    """Whether restart markers count from 0 to 7, over and over."""
    numbers = [found[1][0] & 7 for found in _RESTART.finditer(data, start, end)]
    return numbers == [n % 8 for n in range(len(numbers))]


def _note_scan(segment: bytes, process: int, lacking: dict) -> None:
    """Removes from ``lacking`` what a scan holds in full precision."""
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
    """Whether this OpenCV decodes a whole scan without an end marker.

    It then fails where samples are missing, instead of painting them grey.
    """
    _, data = cv2.imencode('.jpg', np.zeros((8, 8, 3), np.uint8))
    data = np.frombuffer(data.tobytes()[:-2] + PAD, np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR) is not None
