"""Frames of a video, each with the sound around it, in constant memory."""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from mmxpl.datasets.video_io import FrameReader, frame_image
from mmxpl.datasets.video_sound import SoundReader
from mmxpl.utils import DataError

_TOLERANCE = 1e-3  # seconds


class SoundWindow(NamedTuple):
    """The sound that a model hears with one frame.

    Attributes:
        sample_rate (int): samples per second.
        duration (float): seconds; the frame is in the middle of them.
    """

    sample_rate: int
    duration: float


class WindowReader:
    """Reads the windows of sound around frames, from front to back.

    They are those that training reads of the files that
    ``tools/dataset_converters/extract_videos.py`` makes.

    Args:
        frames (FrameReader): frames of the video, whose clock is taken.
        window (SoundWindow): what to read around a time.

    Raises:
        DataError: If the file cannot be read or lacks sound.
    """

    def __init__(self, frames: FrameReader, window: SoundWindow) -> None:
        self._sound = SoundReader(frames.path, window.sample_rate, frames.origin)
        self._count = round(window.sample_rate * window.duration)
        self._warned = False

    def __enter__(self) -> 'WindowReader':
        return self

    def __exit__(self, *error: object) -> None:
        self._sound.__exit__(*error)

    def around(self, time: float) -> tuple[np.ndarray, int]:
        """Reads the window around a frame; what is not stored is silence.

        Args:
            time (float): seconds after the first frame, not before that of the
                last call.

        Returns:
            tuple[np.ndarray, int]: float32 of shape (T, 1) in [-1, 1], and its rate.
        """
        wave = self._sound.around(time, self._count)
        if not self._warned and not self._sound.stored:
            self._warned = True
            print_log(
                f'{self._sound.path}: no sound is stored around {time:.1f} s; such '
                'frames are heard with silence.',
                logger='current',
                level=logging.WARNING,
            )
        return wave, self._sound.rate


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
    with (
        FrameReader(path, threaded=True) as frames,
        WindowReader(frames, window) as ear,
    ):
        due = 0.0
        for time, frame in frames:
            if time < due - _TOLERANCE:
                continue
            if every:
                due = (np.floor((time + _TOLERANCE) / every) + 1) * every
            yield time, frame_image(frame), ear.around(time)
