"""Reading of frames of a video, of any format that FFmpeg reads, with PyAV.

Times are seconds of presentation after the first frame that can be decoded. A file that
is damaged, no video, shorter than its container says, without pictures or with pictures
of more than :data:`~mmxpl.datasets.media.MAX_PIXELS` is a DataError that names it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from mmxpl.utils import DataError

from .media import MAX_PIXELS, REMEDY, check_pixels, check_regular
from .truncation import container_shortfall

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame
    from av.container import InputContainer

MIDDLE = 'middle'
"""str: time of the frame in the middle of a video."""

VIDEO_SUFFIXES = ('.mp4', '.mkv', '.webm', '.mov', '.avi', '.m4v', '.mpg', '.mpeg')
VIDEO_SUFFIXES += ('.ts', '.mts', '.m2ts', '.3gp', '.wmv', '.flv', '.ogv')
# seconds by which a frame may begin after a time and still count as shown then
_TOLERANCE = 1e-3
# seconds to seek before a time, tried in turn until the first decoded frame is not late
_SEEK_BACK = (0, 1, 4, 16, 64)


class FrameReader:
    """Reads the frames of a video by their time, or one after the other.

    Args:
        path (str): Video file.
        threaded (bool): Whether to decode in several threads; useful when one file is
            read at a time.
    """

    def __init__(self, path: str, threaded: bool = False) -> None:
        self.path, self._threaded = path, threaded
        with ExitStack() as stack:  # turns errors of FFmpeg into a DataError
            self._start(stack)
            first = next(self._decoded, None)
            if first is None:
                raise video_error(path, 'holds no frame that can be decoded')
            self._first: VideoFrame | None = first
            self.origin: Fraction = time_stamp(first)
            self._stack = stack.pop_all()

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)

    @property
    def step(self) -> float:
        """float: seconds that a frame is shown, by the average rate of the file."""
        rate = self._stream.average_rate
        return float(1 / rate) if rate else 0.0

    def __iter__(self) -> Iterator[tuple[float, VideoFrame]]:
        """Yields the time and the frame of all frames from the first, once."""
        if self._first is None:
            self._rewind()
        else:
            yield 0.0, self._first
            self._first = None
        for frame in self._decoded:
            yield self._time(frame), frame

    def last_time(self) -> float:
        """Finds the time of the last stored frame, in seconds after the first.

        Containers name other lengths, such as that of the longest track or of the file
        that this one was cut out of.
        """
        self._rewind()
        stamps = [
            packet.pts
            for packet in self._container.demux(self._stream)
            if packet.size and not (packet.is_discard or packet.is_corrupt)
        ]
        if stamps and None not in stamps:
            last = max(stamps) * self._stream.time_base
            return max(float(last - self.origin), 0.0)
        # AVI, for example, only stores the order of decoding
        self._rewind()
        return max(self._time(frame) for frame in self._decoded)

    def read(self, time: float) -> tuple[float, np.ndarray]:
        """Decodes the frame that is shown at a time, in seconds after the first.

        A time after the end of the video, and a damaged frame, are a DataError.

        Returns:
            tuple[float, np.ndarray]: Time at which the frame begins, and the frame,
            uint8 of shape (H, W, 3), BGR, upright.
        """
        for back in (*_SEEK_BACK, None):
            shown, end = self._search(time, back)
            if shown is not None:
                break
        else:
            raise video_error(self.path, f'has no frame at {time:g} s')
        if end is not None and time > end:
            raise video_error(
                self.path, f'ends at {end:.2f} s, before the frame at {time:g} s'
            )
        if shown.is_corrupt:
            raise video_error(self.path, f'is damaged at {time:g} s')
        return self._time(shown), frame_image(shown)

    def _search(
        self, time: float, back: float | None
    ) -> tuple[VideoFrame | None, float | None]:
        """Decodes up to a time from ``back`` seconds before it (None: from the start).

        Returns the last frame that begins by then, None if decoding began later; and
        the end of the picture if it was reached, else None.
        """
        if back is None or back >= time > 0:
            self._rewind()
        elif not self._seek(time - back):
            return None, None
        shown, step = None, self.step
        for frame in self._decoded:
            begin = self._time(frame)
            if begin > time + _TOLERANCE:
                return shown, None
            if shown is not None:
                step = begin - self._time(shown)
            shown = frame
        # the last frame is shown for as long as the one before
        end = None if shown is None else self._time(shown) + step + _TOLERANCE
        return shown, end

    def _seek(self, time: float) -> bool:
        """Seeks near a time; False if that fails. Containers may land elsewhere."""
        av = import_av()
        target = (Fraction(time) + self.origin) / self._stream.time_base
        try:
            self._container.seek(math.floor(target), stream=self._stream)
        except (av.error.FFmpegError, OSError):
            return False
        self._decoded = self._decode()
        return True

    def _rewind(self) -> None:
        """Reopens the file, because seeking to the start is not reliable either."""
        self._stack.close()
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()

    def _start(self, stack: ExitStack) -> None:
        self._container: InputContainer = stack.enter_context(open_video(self.path))
        if not self._container.streams.video:
            raise video_error(self.path, 'has no pictures')
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            raise video_error(self.path, 'has pictures of an unknown codec')
        self._stream.thread_type = 'AUTO' if self._threaded else 'NONE'
        self._decoded = self._decode()

    def _decode(self) -> Iterator[VideoFrame]:
        """Decodes from here, skipping frames that lack the frames before them."""
        whole = False
        for frame in self._container.decode(self._stream):
            whole = whole or not frame.is_corrupt
            if whole and frame.pts is not None:
                yield frame

    def _time(self, frame: VideoFrame) -> float:
        return float(time_stamp(frame) - self.origin)


def choose_videos(paths: Iterable[Path]) -> tuple[list[Path], str]:
    """Chooses videos by their ending and counts other files, as in ``2 .txt, 1 .jpg``.

    Hidden files and folders are neither.
    """
    videos, others = [], Counter()
    for path in paths:
        if path.suffix.lower() in VIDEO_SUFFIXES and path.name[0] != '.':
            videos.append(path)
        elif path.name[0] != '.' and not path.is_dir():
            named = path.suffix.isprintable() and path.suffix.lower()
            others[named or 'without ending'] += 1
    return videos, ', '.join(f'{n} {ending}' for ending, n in others.most_common())


def frame_image(frame: VideoFrame) -> np.ndarray:
    """Converts a decoded frame to uint8 (H, W, 3), BGR, as the file says it is shown.

    It may be rotated, as by phones, and mirrored, as by cameras for selfies.
    """
    image = frame.to_ndarray(format='bgr24')
    if _is_mirrored(frame):  # the rotation is that of the rows
        image = image[::-1]
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))


def _is_mirrored(frame: VideoFrame) -> bool:
    """Tells whether the determinant of a frame's display matrix is negative."""
    try:
        matrix = frame.side_data.get('DISPLAYMATRIX')
    except ValueError:  # beside data of a kind that PyAV has no name for
        return False
    if matrix is None:
        return False
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].astype(float)
    return a * d < b * c


def import_av() -> ModuleType:
    """Imports PyAV; a DataError tells how to install it."""
    try:
        import av
    except ImportError as error:
        raise DataError(
            f'Videos are read with PyAV, which cannot be imported ({error}). Install '
            'it: pip install "av>=14".'
        ) from error
    return av


@contextmanager
def open_video(path: str) -> Iterator[InputContainer]:
    """Opens a video, and turns errors while it is open into a DataError."""
    av = import_av()
    path = str(path)
    check_regular(path, 'file')
    # opening decodes some frames already
    limit = {'max_pixels': str(MAX_PIXELS)}
    try:
        with open(path, 'rb') as file:
            short = container_shortfall(file)
        if short is not None:
            raise video_error(path, f'is truncated: {short}')
        with av.open(path, options=limit) as container:
            for stream in container.streams.video:
                context = stream.codec_context
                if context is not None:  # as of an unknown codec
                    check_pixels(path, context.height, context.width, 'picture')
                    context.options = limit
            yield container
    except (av.error.FFmpegError, OSError) as error:
        if error.filename not in (None, path):  # of whoever reads the video
            raise
        raise video_error(path, f'is damaged or no video ({error.strerror})') from error


def video_error(path: str, what: str) -> DataError:
    """Makes the error about an unusable video; ``what`` continues 'the file'."""
    return DataError(f'{path}: the file {what}. {REMEDY}')


def time_stamp(frame: VideoFrame | AudioFrame) -> Fraction | None:
    """Reads the time stamp of a frame in the file in seconds; None if it has none."""
    return None if frame.pts is None else frame.pts * frame.time_base
