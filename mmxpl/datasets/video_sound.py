"""Reading of the sound of a video on the clock of its picture, with PyAV.

What the file does not store of the sound (it begins late, ends early, has a gap) is
silence of that length, so that a frame and the sound around it are what a player shows
and plays together. A file that cannot be read or has no sound is a DataError.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .audio_io import find_fault, nearest_sample
from .video_io import (
    MIDDLE,
    FrameReader,
    import_av,
    open_video,
    time_stamp,
    video_error,
)

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import InputContainer

# seconds by which stamps may be off before they count as a gap: containers round them,
# and codecs of fixed frames cut them short
_GAP = 0.05
# seconds; a track that jumps further is damaged, and its silence would cost memory
_MAX_JUMP = 600.0
# seconds between the ends of sound and picture from which they are reported
_APART = 0.1


class VideoClip(NamedTuple):
    """Frame of a video with its whole sound."""

    image: np.ndarray  # uint8 (H, W, 3), BGR, upright
    # int16 (T,), mono, from the beginning of picture or sound, whichever is first, to
    # the end of both
    wave: np.ndarray
    frame_time: float  # seconds from the first sample to the frame
    # offset of sound and picture; '' if they begin and end together and the sound has
    # no gap
    note: str


def read_video_clip(
    path: str, sample_rate: int, time: float | str = MIDDLE
) -> VideoClip:
    """Reads a frame and the whole sound of a video on one clock.

    ``time`` is that of the frame in seconds after the first one, within the video, or
    'middle' between the first and the last.
    """
    with FrameReader(path) as frames:
        last = frames.last_time()
        begin, image = frames.read(last / 2 if time == MIDDLE else time)
        with SoundReader(path, sample_rate, frames.origin) as sound:
            wave, first, note = sound.read_all(last + frames.step)
    # time of a sample, so that a window around the frame begins with one
    place = nearest_sample(begin, sample_rate) - first
    return VideoClip(image, wave, place / sample_rate, note)


def read_video_sound(path: str, sample_rate: int) -> np.ndarray:
    """Decodes the first sound track of a video or sound file to int16 (T,), mono.

    Gaps within the track are silence.
    """
    with SoundReader(path, sample_rate) as sound:
        return sound.read_all()[0]


class SoundReader:
    """Reads the first sound track of a video from front to back, mixed to mono.

    Places are numbers of samples on the clock of the picture: sample 0 is heard when
    the first frame appears. About one window of sound is kept in memory.

    Args:
        path (str): Video or sound file.
        sample_rate (int): Samples per second of the result.
        origin (Fraction, optional): Time stamp of the first frame in seconds
            (:attr:`FrameReader.origin`); by default that of the sound.
    """

    def __init__(
        self, path: str, sample_rate: int, origin: Fraction | None = None
    ) -> None:
        self.path, self.rate, self._origin = path, sample_rate, origin
        with ExitStack() as stack:
            self._container: InputContainer = stack.enter_context(open_video(path))
            if not self._container.streams.audio:
                raise video_error(path, 'has no sound')
            if self._container.streams.audio[0].codec_context is None:
                raise video_error(path, 'has sound of an unknown codec')
            self._parts = self._decode()
            self._next = next(self._parts, None)
            if self._next is None:
                raise video_error(path, 'has a sound track without samples')
            self._stack = stack.pop_all()
        self._held: list[tuple[int, np.ndarray]] = []
        self.stored = False  # whether the file holds any part of the last window

    def __enter__(self) -> SoundReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)

    def read(self, start: int, count: int) -> np.ndarray:
        """Reads samples, int16 of shape (count,); those that are not stored are zeros.

        ``start`` is the place of the first one, not before that of the last call.
        """
        while self._next is not None and self._next[0] < start + count:
            self._held.append(self._next)
            self._next = next(self._parts, None)
        self._held = [part for part in self._held if part[0] + len(part[1]) > start]
        self.stored = any(place < start + count for place, _ in self._held)
        return _join(self._held, start, count)

    def read_all(self, picture_end: float = 0.0) -> tuple[np.ndarray, int, str]:
        """Reads the whole sound, filled up to the end of the picture in seconds.

        Returns:
            tuple[np.ndarray, int, str]: int16 of shape (T,); place of its first sample,
            0 or before; and its offset to the picture, as :attr:`VideoClip.note`.
        """
        parts = [self._next, *self._parts]
        begin, end = parts[0][0], parts[-1][0] + len(parts[-1][1])
        first, until = min(begin, 0), nearest_sample(picture_end, self.rate)
        wave = _join(parts, first, max(end, until) - first)
        notes = []
        apart = max(abs(begin), abs(end - until)) > _APART * self.rate
        if self._origin is not None and apart:
            notes.append(
                f'sound from {begin / self.rate:.2f} to {end / self.rate:.2f} s, '
                f'picture to {picture_end:.2f} s'
            )
        ends = [place + len(part) for place, part in parts]
        for left, (right, _) in zip(ends, parts[1:], strict=False):
            if right > left:
                notes.append(
                    f'no sound from {left / self.rate:.2f} to {right / self.rate:.2f} s'
                )
        return wave, first, ', '.join(notes)

    def _decode(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yields parts that do not overlap, each with its place."""
        run: _Run | None = None
        place = None  # behind the last sample so far
        codec = self._container.streams.audio[0].codec_context.name
        for frame in self._container.decode(audio=0):
            # others decode to values about [-1, 1]
            fault = codec.startswith('pcm_f') and find_fault(frame.to_ndarray())
            if fault:
                raise video_error(self.path, f'holds {fault}')
            if run is not None and not run.continues(frame):
                yield from run.flush()
                place, run = run.place, None
            if run is None:
                run = self._begin_run(frame, place)
            yield from run.add(frame)
        if run is not None:
            yield from run.flush()

    def _begin_run(self, frame: AudioFrame, place: int | None) -> _Run:
        """Starts a run at a frame that does not follow the one before."""
        if self._origin is None:
            self._origin = time_stamp(frame) or Fraction(0)
        before = 0.0 if place is None else place / self.rate
        stamp = time_stamp(frame)
        time = before if stamp is None else float(stamp - self._origin)
        if time - before > _MAX_JUMP or before - time > (1 if place else _MAX_JUMP):
            raise video_error(
                self.path,
                f'is damaged: the time stamps of its sound jump by {time - before:.0f} '
                f's at {before:.0f} s',
            )
        return _Run(frame, time, place, self.rate)


class _Run:
    """Resampling of sound without a gap.

    ``time`` is that of the first frame, which is not added yet, in seconds on the clock
    of the picture; samples before ``place`` exist already.
    """

    def __init__(
        self, frame: AudioFrame, time: float, place: int | None, rate: int
    ) -> None:
        resampler = import_av().AudioResampler
        self._resampler = resampler(format='s16', layout='mono', rate=rate)
        self._like = _kind(frame)
        self._stamp, self._count = time_stamp(frame), 0
        start = nearest_sample(time, rate)
        self.place = start if place is None else max(start, place)
        self._surplus = self.place - start

    def continues(self, frame: AudioFrame) -> bool:
        stamp = time_stamp(frame)
        if _kind(frame) != self._like:
            return False
        if stamp is None or self._stamp is None:
            return True
        expected = self._stamp + Fraction(self._count, frame.sample_rate)
        return abs(stamp - expected) <= _GAP

    def add(self, frame: AudioFrame) -> Iterator[tuple[int, np.ndarray]]:
        self._count += frame.samples
        frame.pts = None  # places are counted here; the resampler would fill gaps
        yield from self._give(self._resampler.resample(frame))

    def flush(self) -> Iterator[tuple[int, np.ndarray]]:
        yield from self._give(self._resampler.resample(None))

    def _give(self, frames: list[AudioFrame]) -> Iterator[tuple[int, np.ndarray]]:
        for frame in frames:
            part = frame.to_ndarray()[0]
            surplus, self._surplus = self._surplus, max(self._surplus - len(part), 0)
            part = part[surplus:]
            if len(part):
                self.place += len(part)
                yield self.place - len(part), part


def _kind(frame: AudioFrame) -> tuple:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _join(parts: list[tuple[int, np.ndarray]], start: int, count: int) -> np.ndarray:
    """Joins parts at their places to int16 of shape (count,); the rest is zeros."""
    wave = np.zeros(count, np.int16)
    for place, part in parts:
        left, right = max(place, start), min(place + len(part), start + count)
        if left < right:
            wave[left - start : right - start] = part[left - place : right - place]
    return wave
