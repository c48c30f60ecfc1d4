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
    with open_video(path) as container:
        if not container.streams.video:
            raise video_error(path, 'has no pictures')
        stream = container.streams.video[0]
        stream.thread_type = 'NONE'  # several files are read at a time
        if time == MIDDLE:
            time = _duration(container, stream) / 2
        frame, end = _frame_at(container, stream, time)
        if frame is None:
            raise video_error(path, 'holds no frame that can be decoded')
        # the last frame is shown for as long as the others
        if end is not None and time > end:
            raise video_error(
                path, f'ends at {end:.2f} s, before the frame at {time:g} s'
            )
        return upright(frame.to_ndarray(format='bgr24'), frame.rotation)


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
    with open_video(path) as container:
        if not container.streams.audio:
            raise video_error(path, 'has no sound')
        resampler = av.AudioResampler(format='s16', layout='mono', rate=sample_rate)
        parts = [
            out.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
        parts += [out.to_ndarray()[0] for out in resampler.resample(None)]
        if not sum(map(len, parts)):
            raise video_error(path, 'has a sound track without samples')
        return np.concatenate(parts)


@contextmanager
def open_video(path: str) -> Iterator[InputContainer]:
    """Opens a video; what goes wrong meanwhile is said with the file's name.

    Args:
        path (str): video file of any format that FFmpeg reads.

    Yields:
        InputContainer: The open file.

    Raises:
        DataError: If it cannot be read.
    """
    av = import_av()
    try:
        with av.open(path) as container:
            yield container
    except (av.error.FFmpegError, OSError) as error:
        raise video_error(path, f'is damaged or no video ({error.strerror})') from error


def video_error(path: str, what: str) -> DataError:
    """Makes the error about a bad video.

    Args:
        path (str): the file.
        what (str): what is wrong with it, after 'the file'.

    Returns:
        DataError: With path and remedy.
    """
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
            last = frame_seconds(frame, stream)
    container.seek(0)
    return last


def frame_seconds(frame, stream: VideoStream) -> float:
    """Says when a frame is shown.

    Args:
        frame (VideoFrame): with a time stamp.
        stream (VideoStream): that it is of.

    Returns:
        float: Seconds after the first frame.
    """
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
        begin = frame_seconds(frame, stream)
        if begin > time + _TOLERANCE and shown is not None:
            return shown, None
        if shown is not None:
            step = begin - frame_seconds(shown, stream)
        shown = frame
        if begin > time + _TOLERANCE:  # the first frame begins late
            return shown, None
    if shown is None:
        return None, None
    rate = stream.average_rate
    step = step or (float(1 / rate) if rate else 0.0)
    return shown, frame_seconds(shown, stream) + step + _TOLERANCE


def upright(image: np.ndarray, degrees: int) -> np.ndarray:
    """Turns an image as its file says.

    Args:
        image (np.ndarray): of shape (H, W, C).
        degrees (int): counterclockwise, a multiple of a right angle.

    Returns:
        np.ndarray: The image, contiguous.
    """
    return np.ascontiguousarray(np.rot90(image, round(degrees / 90)))
