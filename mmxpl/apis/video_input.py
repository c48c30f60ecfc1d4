"""Frames of a video, each with the sound around it, in constant memory."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mmengine.logging import print_log

from mmxpl.datasets.convert.video import (
    frame_seconds,
    import_av,
    open_video,
    upright,
    video_error,
)
from mmxpl.utils import DataError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

_TOLERANCE = 1e-3  # seconds


class SoundWindow(NamedTuple):
    """The sound that a model hears with one frame.

    Attributes:
        sample_rate (int): samples per second.
        duration (float): seconds; the frame is in the middle of them.
    """

    sample_rate: int
    duration: float


def video_pairs(
    path: str, every: float, window: SoundWindow
) -> Iterator[tuple[float, np.ndarray, tuple[np.ndarray, int]]]:
    """Reads a frame at a time, with its sound, as they are asked for.

    Args:
        path (str): video file of any format that FFmpeg reads.
        every (float): seconds between frames; 0 takes all.
        window (SoundWindow): the sound that belongs to a frame.

    Yields:
        tuple[float, np.ndarray, tuple[np.ndarray, int]]: Seconds after the first
        frame; frame, uint8 of shape (H, W, 3), BGR, upright; samples, float32 of
        shape (T, 1) in [-1, 1], and their rate.

    Raises:
        DataError: If the file cannot be read, or lacks frames or sound.
    """
    if not 0 <= every < float('inf'):
        raise DataError(f'every: must be seconds from 0 on, got {every!r}.')
    with open_video(path) as container:
        sounds = SoundReader(path, window)
        with sounds:
            due = 0.0
            for time, frame in read_frames(path, container):
                if time < due - _TOLERANCE:
                    continue
                if every:
                    due = (np.floor((time + _TOLERANCE) / every) + 1) * every
                sound = sounds.around(time), window.sample_rate
                yield time, frame_image(frame), sound


def read_frames(
    path: str, container: 'InputContainer'
) -> Iterator[tuple[float, 'VideoFrame']]:
    """Decodes frame after frame.

    Args:
        path (str): the file, for messages.
        container (InputContainer): the open file.

    Yields:
        tuple[float, VideoFrame]: Seconds after the first frame, and the frame.

    Raises:
        DataError: If there is none.
    """
    if not container.streams.video:
        raise video_error(path, 'has no pictures')
    stream = container.streams.video[0]
    stream.thread_type = 'AUTO'
    empty = True
    for frame in container.decode(stream):
        if frame.pts is not None:
            empty = False
            yield frame_seconds(frame, stream), frame
    if empty:
        raise video_error(path, 'holds no frame that can be decoded')


def frame_image(frame: 'VideoFrame') -> np.ndarray:
    """Turns a decoded frame into an image.

    Args:
        frame (VideoFrame): the frame.

    Returns:
        np.ndarray: uint8 of shape (H, W, 3), BGR, upright.
    """
    return upright(frame.to_ndarray(format='bgr24'), frame.rotation)


class SoundReader:
    """Reads the first sound track of a video from front to back.

    It is mixed and resampled as ``tools/dataset_converters/extract_videos.py``
    does. No more than about a window of it is held.

    Args:
        path (str): the file.
        window (SoundWindow): what to read around a time.

    Raises:
        DataError: If the file cannot be read or lacks pictures or sound.
    """

    def __init__(self, path: str, window: SoundWindow) -> None:
        self.path, self.rate = path, window.sample_rate
        self.count = round(window.sample_rate * window.duration)
        self._stack = ExitStack()
        self._container = self._stack.enter_context(open_video(path))
        for kind, what in (('video', 'pictures'), ('audio', 'sound')):
            if not getattr(self._container.streams, kind):
                self._stack.close()
                raise video_error(path, f'has no {what}')
        video = self._container.streams.video[0]
        self._origin = float((video.start_time or 0) * video.time_base)
        self._parts = self._decode()
        self._held = np.empty(0, np.int16)
        self._first = 0  # index of the first sample that is held
        self._ended = self._warned = False
        self._begin: float | None = None  # time of the track's first sample

    def __enter__(self) -> 'SoundReader':
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)

    def around(self, time: float) -> np.ndarray:
        """Reads the window around a time.

        It begins earlier or later where it would leave the sound; a sound that is
        shorter is given whole.

        Args:
            time (float): seconds after the first frame, not before that of the
                last call.

        Returns:
            np.ndarray: float32 of shape (T, 1) in [-1, 1].

        Raises:
            DataError: If the sound has no samples.
        """
        if self._begin is None:
            self._read(1)
            if not len(self._held):
                raise video_error(self.path, 'has a sound track without samples')
        start = round((time - self._begin) * self.rate - self.count / 2)
        start = max(start, 0)
        self._read(start + self.count)
        end = self._first + len(self._held)
        if self._ended and start >= end and not self._warned:
            self._warned = True
            last = self._begin + end / self.rate
            print_log(
                f'{self.path}: the sound ends at {last:.1f} s; frames well after that '
                'are taken with the last of it.',
                logger='current',
                level=logging.WARNING,
            )
        start = max(min(start, end - self.count), 0)
        self._held = self._held[start - self._first :]
        self._first = start
        return self._held[: self.count, None].astype(np.float32) / 32768

    def _read(self, end: int) -> None:
        """Reads on until a sample, or to the end."""
        parts = [self._held]
        length = self._first + len(self._held)
        while length < end and not self._ended:
            part = next(self._parts, None)
            if part is None:
                self._ended = True
                break
            parts.append(part)
            length += len(part)
        self._held = np.concatenate(parts)

    def _decode(self) -> Iterator[np.ndarray]:
        """Decodes part after part, int16 of shape (T,)."""
        av = import_av()
        resampler = av.AudioResampler(format='s16', layout='mono', rate=self.rate)
        for frame in self._container.decode(audio=0):
            if self._begin is None:
                begin = frame.time if frame.time is not None else self._origin
                self._begin = begin - self._origin
            for out in resampler.resample(frame):
                yield out.to_ndarray()[0]
        for out in resampler.resample(None):
            yield out.to_ndarray()[0]
