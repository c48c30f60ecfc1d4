"""Detection of truncated media files by their headers.

Decoders silently read a truncated file as a shorter one and often report the length in
its header. The functions here compare that length with what is stored; they read the
header and the end of a file only.
"""

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

# sizes in a RIFF header written to a pipe: 0xFFFFFFFF by FFmpeg, one of the range by
# SoX and arecord
_UNKNOWN_SIZES = {0xFFFFFFFF, *range(0x7FFFF000, 0x80000001)}
# share by which an MP3 may be shorter than its header says, as after a change of tags
_MP3_SLACK = 0.01
# bytes at the end of a FLAC or Ogg file that are searched for the last frame or page
_TAIL = 1 << 17
_EBML, _SEGMENT = b'\x1a\x45\xdf\xa3', b'\x18\x53\x80\x67'
_W64 = b'riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00'


class Shortfall(NamedTuple):
    """Lengths of a truncated file by its header and as stored, in bytes or s."""

    promised: float
    stored: float
    unit: str = 'bytes'

    def __str__(self) -> str:
        form = ',.2f' if self.unit == 's' else ',.0f'
        return (
            f'its header promises {self.promised:{form}} {self.unit}, '
            f'{self.stored:{form}} {self.unit} are stored'
        )


def container_shortfall(file: BinaryIO) -> Shortfall | None:
    """Checks whether an MP4, MOV, Matroska, WebM or AVI file is truncated.

    Returns:
        Shortfall | None: Lengths in bytes; None if the file is complete or its
        container names no length, as MPEG-TS and live recordings.
    """
    stored = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] == _EBML:
        ends = _ends(file, stored, _matroska_length)
    elif head[:4] == b'RIFF':
        ends = _ends(file, stored, _riff_length, align=2)
    elif head[4:8] in (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip'):
        ends = _ends(file, stored, _mp4_length)
    else:
        return None
    promised = max(ends, default=0)
    return Shortfall(promised, stored) if promised > stored else None


def sound_shortfall(file: BinaryIO) -> Shortfall | None:
    """Checks whether a WAV, RF64, W64, AIFF, AU, MP3, FLAC or Ogg file is truncated.

    Returns:
        Shortfall | None: The lengths; None if the sound is complete, names no length,
        or has another format.
    """
    head = file.read(24)
    size = file.seek(0, os.SEEK_END)
    if head[:4] in (b'RIFF', b'RF64'):
        return _wav_shortfall(file, head, size)
    if head[:4] == b'fLaC':
        facts = flac_facts(file)
        if facts is None or facts.stored >= facts.promised:
            return None
        return Shortfall(facts.promised / facts.rate, facts.stored / facts.rate, 's')
    if head[:4] == b'OggS':
        return _ogg_shortfall(file, size)
    if _is_mp3(head):
        return _mp3_shortfall(file, size)
    begin, length = _two_numbers(head, 4)
    promised = 0
    if head[:4] == b'FORM':
        promised = 8 + begin
    elif head[:4] == b'.snd':
        promised = begin + (0 if length == 0xFFFFFFFF else length)
    elif head[:16] == _W64:
        promised = int.from_bytes(head[16:], 'little')
    return Shortfall(promised, size) if promised > size else None


class FlacFacts(NamedTuple):
    """Rate in Hz, samples by the header (0 if it names none), and samples stored."""

    rate: int
    promised: int
    stored: int


def flac_facts(file: BinaryIO) -> FlacFacts | None:
    """Reads the lengths of a FLAC file (RFC 9639, sections 8.2 and 9.1).

    Returns:
        FlacFacts | None: None if the header is damaged or no frame is found.
    """
    file.seek(8)
    info = file.read(34)
    if len(info) < 34:
        return None
    bits = int.from_bytes(info[10:18], 'big')
    rate, promised = bits >> 44, bits & 0xFFFFFFFFF
    smallest, largest = (int.from_bytes(info[n : n + 2], 'big') for n in (0, 2))
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL, 0))
    tail = file.read()
    place = len(tail)
    while rate and (place := tail.rfind(b'\xff', 0, place)) >= 0:
        block = _flac_block(tail[place : place + 16])
        if block is None:
            continue
        number, count = block
        # all blocks but the last have one size, unless sample numbers are given
        begin = number if tail[place + 1] & 1 else number * largest
        if smallest == largest and count > largest:
            continue
        return FlacFacts(rate, promised, begin + count)
    return None


def with_flac_length(data: bytes, samples: int) -> bytes:
    """Writes a number of samples into the header of a FLAC file that names none."""
    bits = int.from_bytes(data[18:26], 'big') | samples
    return data[:18] + bits.to_bytes(8, 'big') + data[26:]


def _ends(
    file: BinaryIO, size: int, length_of: Callable[[bytes], int | None], align: int = 1
) -> Iterator[int]:
    """Yields where each part at the top level ends, as far as lengths are known."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        length = length_of(file.read(16))
        if length is None:
            return
        yield place + length
        place += length + -length % align


def _mp4_length(head: bytes) -> int | None:
    """Length of a box; None for one up to the end, or no box."""
    length = int.from_bytes(head[:4], 'big')
    if length == 1:
        length = int.from_bytes(head[8:16], 'big')
    return length if length >= 8 and head[4:8].isalnum() else None


def _riff_length(head: bytes) -> int | None:
    """Length of a RIFF chunk, of which a large AVI file has several."""
    length = int.from_bytes(head[4:8], 'little')
    known = head[:4] == b'RIFF' and length and length not in _UNKNOWN_SIZES
    return 8 + length if known else None


def _matroska_length(head: bytes) -> int | None:
    """Length of a header or segment (RFC 8794, section 4)."""
    if head[:4] not in (_EBML, _SEGMENT) or len(head) < 12 or not head[4]:
        return None
    width = 9 - head[4].bit_length()
    unknown = (1 << 7 * width) - 1
    length = int.from_bytes(head[4 : 4 + width], 'big') & unknown
    return 4 + width + length if length != unknown else None


def _wav_shortfall(file: BinaryIO, head: bytes, size: int) -> Shortfall | None:
    """Checks the data chunk."""
    if head[8:12] != b'WAVE':
        return None
    file.seek(12)
    length64, speed = None, 0
    while len(chunk := file.read(8)) == 8:
        begin, length = file.tell(), int.from_bytes(chunk[4:], 'little')
        if chunk[:4] == b'ds64':
            length64 = int.from_bytes(file.read(16)[8:], 'little')
        elif chunk[:4] == b'fmt ':
            speed = int.from_bytes(file.read(16)[8:12], 'little')
        elif chunk[:4] == b'data':
            whole = int.from_bytes(head[4:8], 'little')
            if length == 0xFFFFFFFF and length64 is not None:
                length = length64
            elif length in _UNKNOWN_SIZES and (not whole or whole >= length):
                return None
            stored = size - begin
            if length <= stored:
                return None
            if speed:
                return Shortfall(length / speed, stored / speed, 's')
            return Shortfall(length, stored)
        file.seek(begin + length + length % 2)
    return None  # no data chunk: libsndfile says so


def is_variable_mp3(file: BinaryIO) -> bool:
    """Checks whether an MP3 has a variable bit rate and no header with its length.

    Decoders can only guess the length of such a file.
    """
    file.seek(0)
    if not _is_mp3(file.read(16)):
        return False
    begin, frame = _mp3_start(file)
    if _mp3_promise(frame) is not None:
        return False
    file.seek(begin)
    data, place, rates = file.read(_TAIL), 0, set()
    while (header := _mp3_header(data[place : place + 4])) is not None:
        rates.add(header.bit_rate)
        place += header.size
    return len(rates) > 1


class _Mp3Header(NamedTuple):
    """Header of a frame of MPEG-1 or MPEG-2 layer III (ISO/IEC 11172-3, 2.4.2.3)."""

    rate: int
    samples: int
    bit_rate: int
    size: int


def _mp3_header(head: bytes) -> _Mp3Header | None:
    """Parses four bytes; None if they are not a frame header."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, code, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or code in (0, 15) or rate == 3:
        return None
    rate = (44100, 48000, 32000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    if version == 3:
        kbits = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    else:
        kbits = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    bit_rate, samples = 1000 * kbits[code - 1], 1152 if version == 3 else 576
    size = samples // 8 * bit_rate // rate + (head[2] >> 1 & 1)
    return _Mp3Header(rate, samples, bit_rate, size)


def _is_mp3(head: bytes) -> bool:
    """Tells whether a file begins with an ID3 tag or an MP3 frame."""
    return head[:3] == b'ID3' or _mp3_header(head[:4]) is not None


def _mp3_start(file: BinaryIO) -> tuple[int, bytes]:
    """Finds the first frame behind a tag; returns its place and its first bytes."""
    file.seek(0)
    head, begin = file.read(10), 0
    if head[:3] == b'ID3' and len(head) == 10:
        begin = 10 + sum((head[6 + n] & 0x7F) << 7 * (3 - n) for n in range(4))
    file.seek(begin)
    return begin, file.read(200)


def _mp3_promise(frame: bytes) -> tuple[int, int] | None:
    """Reads bytes and frames of a Xing, Info or VBRI header; 0 where unknown."""
    place = max(frame.find(b'Xing', 0, 64), frame.find(b'Info', 0, 64))
    if place >= 0:
        flags = int.from_bytes(frame[place + 4 : place + 8], 'big')
        first, second = _two_numbers(frame, place + 8)
        count, size = (first, second) if flags & 1 else (0, first)
        return (size if flags & 2 else 0), count
    return _two_numbers(frame, 46) if frame[36:40] == b'VBRI' else None


def _two_numbers(data: bytes, place: int) -> tuple[int, int]:
    return tuple(int.from_bytes(data[n : n + 4], 'big') for n in (place, place + 4))


def _mp3_shortfall(file: BinaryIO, size: int) -> Shortfall | None:
    """Checks the bytes that the header in the first frame names."""
    begin, frame = _mp3_start(file)
    promised, count = _mp3_promise(frame) or (0, 0)
    stored = size - begin
    if promised * (1 - _MP3_SLACK) <= stored:
        return None
    header = _mp3_header(frame[:4])
    if not count or header is None:
        return Shortfall(promised, stored)
    seconds = count * header.samples / header.rate
    return Shortfall(seconds, seconds * stored / promised, 's')


def _ogg_shortfall(file: BinaryIO, size: int) -> Shortfall | None:
    """Checks the last page (RFC 3533, section 6)."""
    begin = max(size - _TAIL, 0)
    file.seek(begin)
    tail = file.read()
    place = tail.rfind(b'OggS\0')
    if place < 0:
        return None
    page = tail[place:]
    is_cut = len(page) < 27 or len(page) < 27 + page[26]
    end = 27 + 255 if is_cut else 27 + page[26] + sum(page[27 : 27 + page[26]])
    if end > len(page):
        before = tail[tail.rfind(b'OggS\0', 0, place) :]
        samples = [int.from_bytes(one[6:14], 'little') for one in (page, before)]
        rate = _ogg_rate(file)
        if rate and len(page) > 14 and samples[1] < samples[0] < 1 << 62:
            return Shortfall(samples[0] / rate, samples[1] / rate, 's')
        return Shortfall(begin + place + end, size)
    rest = len(page) - end
    is_last = page[5] & 4
    # the first letters of a missing page
    if not is_last and 0 < rest < 5 and b'OggS\0'.startswith(page[end:]):
        return Shortfall(size + 27 - rest, size)
    return None


def _ogg_rate(file: BinaryIO) -> int:
    """Finds the number of page positions per second; 0 if unknown."""
    file.seek(28)
    head = file.read(16)
    if head[:8] == b'OpusHead':
        return 48000
    return int.from_bytes(head[12:16], 'little') if head[:7] == b'\x01vorbis' else 0


def _flac_block(head: bytes) -> tuple[int, int] | None:
    """Parses the header of a FLAC frame: number and count of samples."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    code = head[2] >> 4
    length = 8 - (head[4] ^ 0xFF).bit_length()  # ones that lead, as in UTF-8
    place = 4 + max(length, 1)
    if code == 0 or length in (1, 8) or len(head) < place + 5:
        return None
    number = head[4] & (0x7F if not length else 0xFF >> (length + 1))
    for byte in head[5:place]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    count = {1: 192, **{n: 576 << (n - 2) for n in range(2, 6)}}.get(code, 1 << code)
    if code in (6, 7):
        count = int.from_bytes(head[place : place + code - 5], 'big') + 1
        place += code - 5
    place += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    crc = 0
    for byte in head[:place]:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x107 if crc & 0x80 else 0)) & 0x1FF
    return (number, count) if place < len(head) and crc == head[place] else None
