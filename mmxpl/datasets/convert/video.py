"""Takes a frame and the sound out of a video file, with PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from mmxpl.utils import DataError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

MIDDLE = 'middle'
"""str: the time of the frame in the middle of a video."""

VIDEO_SUFFIXES = ('.mp4', '.mkv', '.webm', '.mov', '.avi', '.m4v')
# a frame this much before its time, in seconds, still counts as being there
_TOLERANCE = 1e-3


def import_av() -> ModuleType:
    """Imports PyAV.

    Returns:
        ModuleType: The module ``av``.

    Raises:
        DataError: If it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise DataError(
            f'Videos are read with PyAV, which cannot be imported ({error}). Install '
            'it: pip install "av>=14".'
        ) from error
    return av


def read_video_frame(path: str, time: float | str = MIDDLE) -> np.ndarray:
    """Decodes the frame that is shown at a moment of a video.

    Args:
        path (str): video file of any format that FFmpeg reads.
        time (float | str): seconds after the first frame, or 'middle'. Defaults
            to 'middle'.

    Returns:
        np.ndarray: uint8 of shape (H, W, 3), BGR, turned upright as the file
        says.

    Raises:
        DataError: If the file cannot be read, has no video, or ends before.
    """
    with _open(path) as container:
        if not container.streams.video:
            raise _error(path, 'has no pictures')
        stream = container.streams.video[0]
        stream.thread_type = 'NONE'  # several files are read at a time
        if time == MIDDLE:
            time = _duration(container, stream) / 2
        frame, end = _frame_at(container, stream, time)
        if frame is None:
            raise _error(path, 'holds no frame that can be decoded')
        # the last frame is shown for as long as the others
        if end is not None and time > end:
            raise _error(path, f'ends at {end:.2f} s, before the frame at {time:g} s')
        return _upright(frame.to_ndarray(format='bgr24'), frame.rotation)


def read_video_sound(path: str, sample_rate: int) -> np.ndarray:
    """Decodes the first sound track of a video or sound file, mixed to mono.

    Args:
        path (str): file of any format that FFmpeg reads.
        sample_rate (int): samples per second of the result.

    Returns:
        np.ndarray: int16 of shape (T,).

    Raises:
        DataError: If the file cannot be read or has no sound.
    """
    av = import_av()
    with _open(path) as container:
        if not container.streams.audio:
            raise _error(path, 'has no sound')
        resampler = av.AudioResampler(format='s16', layout='mono', rate=sample_rate)
        parts = [
            out.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
        parts += [out.to_ndarray()[0] for out in resampler.resample(None)]
        if not sum(map(len, parts)):
            raise _error(path, 'has a sound track without samples')
        return np.concatenate(parts)


@contextmanager
def _open(path: str) -> Iterator[InputContainer]:
    """Opens a file; what goes wrong meanwhile is said with the file's name."""
    av = import_av()
    try:
        with av.open(path) as container:
            yield container
    except (av.error.FFmpegError, OSError) as error:
        raise _error(path, f'is damaged or no video ({error.strerror})') from error


def _error(path: str, what: str) -> DataError:
    """Makes the message about a bad video."""
    return DataError(f'{path}: the file {what}. Fetch it anew or leave it out.')


def _duration(container: InputContainer, stream: VideoStream) -> float:
    """Seconds from the first frame to the end."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return container.duration / 1e6
    # a stream that was cut off names no length
    last = 0.0
    for frame in container.decode(stream):
        if frame.pts is not None:
            last = _seconds(frame, stream)
    container.seek(0)
    return last


def _seconds(frame, stream: VideoStream) -> float:
    """Time of a frame after the first one."""
    return float((frame.pts - (stream.start_time or 0)) * stream.time_base)


def _frame_at(container: InputContainer, stream: VideoStream, time: float) -> tuple:
    """Decodes up to a moment.

    Returns:
        tuple: The last frame that begins by then, and the end of the video if
        it was reached, else None. The frame is None if there is none.
    """
    target = int(time / stream.time_base) + (stream.start_time or 0)
    container.seek(max(target, 0), stream=stream)
    shown, step = None, 0.0
    for frame in container.decode(stream):
        if frame.pts is None:
            continue
        begin = _seconds(frame, stream)
        if begin > time + _TOLERANCE and shown is not None:
            return shown, None
        if shown is not None:
            step = begin - _seconds(shown, stream)
        shown = frame
        if begin > time + _TOLERANCE:  # the first frame begins late
            return shown, None
    if shown is None:
        return None, None
    rate = stream.average_rate
    step = step or (float(1 / rate) if rate else 0.0)
    return shown, _seconds(shown, stream) + step + _TOLERANCE


def _upright(image: np.ndarray, degrees: int) -> np.ndarray:
    """Turns an image counterclockwise by a multiple of a right angle."""
    return np.ascontiguousarray(np.rot90(image, round(degrees / 90)))
