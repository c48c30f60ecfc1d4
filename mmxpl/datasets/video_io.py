"""Reads pictures and sound of a video by one clock, with PyAV.

The clock is the picture's: seconds of presentation after the first frame that can be
decoded. What the file does not store of the sound (it begins late, ends early, has a
gap) is silence of that length, so that a frame and the sound around it are what a
player shows and plays together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmxpl.utils import DataError

from .audio_io import nearest_sample
from .media import MAX_PIXELS, check_pixels, check_regular
from .truncation import container_shortfall

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

MIDDLE = 'middle'
"""str: the time of the frame in the middle of a video."""

VIDEO_SUFFIXES = ('.mp4', '.mkv', '.webm', '.mov', '.avi', '.m4v')
# a frame this much after a time, in seconds, still counts as shown then
_TOLERANCE = 1e-3
# seconds before the time to seek to, if the first frame decoded there is too late
_SEEK_BACK = (0, 1, 4, 16, 64)
# stamps of sound may be off by this much, in seconds, before they count as a gap:
# containers round them, and codecs of fixed frames cut them short
_GAP = 0.05
# a track that jumps by more, in seconds, is damaged: silence costs memory, too
_MAX_JUMP = 600.0
# sound and picture that begin or end further apart, in seconds, are said
_APART = 0.1


class VideoClip(NamedTuple):
    """A frame of a video with all of its sound.

    Attributes:
        image (np.ndarray): uint8 of shape (H, W, 3), BGR, upright.
        wave (np.ndarray): int16 of shape (T,), mono: from where picture or sound
            begins, whichever is first, to where both have ended.
        frame_time (float): seconds from the first sample to the frame.
        note (str): how sound and picture lie to each other; '' if they begin and
            end together and the sound has no gap.
    """

    image: np.ndarray
    wave: np.ndarray
    frame_time: float
    note: str


def read_video_clip(
    path: str, sample_rate: int, time: float | str = MIDDLE
) -> VideoClip:
    """Reads a frame and the whole sound of a video, on one clock.

    Args:
        path (str): video file of any format that FFmpeg reads.
        sample_rate (int): samples per second of the sound.
        time (float | str): of the frame, seconds after the first one, or 'middle'
            between the first and the last. Defaults to 'middle'.

    Returns:
        VideoClip: Frame and sound.

    Raises:
        DataError: If the file cannot be read, lacks pictures or sound, or ends
            before the frame.
    """
    with FrameReader(path) as frames:
        last = frames.last_time()
        begin, image = frames.read(last / 2 if time == MIDDLE else time)
        with SoundReader(path, sample_rate, frames.origin) as sound:
            wave, first, note = sound.read_all(last + frames.step)
    # of the sample, so that a window around the frame begins with one
    place = nearest_sample(begin, sample_rate) - first
    return VideoClip(image, wave, place / sample_rate, note)


def read_video_frame(path: str, time: float | str = MIDDLE) -> np.ndarray:
    """Decodes the frame that is shown at a moment of a video.

    Args:
        path (str): video file of any format that FFmpeg reads.
        time (float | str): see :func:`read_video_clip`. Defaults to 'middle'.

    Returns:
        np.ndarray: uint8 of shape (H, W, 3), BGR, turned upright as the file
        says.

    Raises:
        DataError: If the file cannot be read, has no video, or ends before.
    """
    with FrameReader(path) as frames:
        return frames.read(frames.last_time() / 2 if time == MIDDLE else time)[1]


def read_video_sound(path: str, sample_rate: int) -> np.ndarray:
    """Decodes the first sound track of a video or sound file, mixed to mono.

    Gaps in it are silence; what precedes or follows it is left out.

    Args:
        path (str): file of any format that FFmpeg reads.
        sample_rate (int): samples per second of the result.

    Returns:
        np.ndarray: int16 of shape (T,).

    Raises:
        DataError: If the file cannot be read or has no sound.
    """
    with SoundReader(path, sample_rate) as sound:
        return sound.read_all()[0]


class FrameReader:
    """Finds the frames of a video by their time, or walks through them.

    Args:
        path (str): the file.
        threaded (bool): whether to decode in several threads; of use where one
            file is read at a time. Defaults to False.

    Raises:
        DataError: If the file cannot be read or holds no frame.
    """

    def __init__(self, path: str, threaded: bool = False) -> None:
        self.path, self._threaded = path, threaded
        with ExitStack() as stack:  # turns what FFmpeg raises into a DataError
            self._start(stack)
            first = next(self._decoded, None)
            if first is None:
                raise video_error(path, 'holds no frame that can be decoded')
            self._first: VideoFrame | None = first
            self.origin: Fraction = _seconds(first)
            self._stack = stack.pop_all()

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)

    @property
    def step(self) -> float:
        """float: seconds that a frame is shown, by the file's average rate."""
        rate = self._stream.average_rate
        return float(1 / rate) if rate else 0.0

    @property
    def stream(self) -> VideoStream:
        """VideoStream: the picture track."""
        return self._stream

    def __iter__(self) -> Iterator[tuple[float, VideoFrame]]:
        """Walks once through all frames, from the first."""
        if self._first is None:
            self._rewind()
        else:
            yield 0.0, self._first
            self._first = None
        for frame in self._decoded:
            yield self._time(frame), frame

    def last_time(self) -> float:
        """Finds the time of the last frame, by what is stored.

        Containers tell other lengths: that of the longest track, or that of the
        file which this one was cut out of.

        Returns:
            float: Seconds after the first frame.
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
        # AVI, for example, knows the order of decoding only
        self._rewind()
        return max(self._time(frame) for frame in self._decoded)

    def read(self, time: float) -> tuple[float, np.ndarray]:
        """Decodes the frame that is shown at a moment.

        Args:
            time (float): seconds after the first frame.

        Returns:
            tuple[float, np.ndarray]: When it begins, and the frame, uint8 of shape
            (H, W, 3), BGR, upright.

        Raises:
            DataError: If the video ends before, or the frame is damaged.
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
        """Decodes up to a moment, from a place before it.

        Args:
            time (float): the moment.
            back (float, optional): seconds to seek before it; None for the start.

        Returns:
            tuple: The last frame that begins by then, None if decoding began
            later; and the end of the picture if it was reached, else None.
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
        """Goes to about a time; containers may land elsewhere."""
        av = import_av()
        target = (Fraction(time) + self.origin) / self._stream.time_base
        try:
            self._container.seek(math.floor(target), stream=self._stream)
        except (av.error.FFmpegError, OSError):
            return False
        self._decoded = self._decode()
        return True

    def _rewind(self) -> None:
        """Begins anew; seeking to the start is not trusted, either."""
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
        """Decodes on; damaged frames at the beginning lack what precedes them."""
        whole = False
        for frame in self._container.decode(self._stream):
            whole = whole or not frame.is_corrupt
            if whole and frame.pts is not None:
                yield frame

    def _time(self, frame: VideoFrame) -> float:
        return float(_seconds(frame) - self.origin)


class SoundReader:
    """Reads the first sound track of a video from front to back, mixed to mono.

    Places are numbers of samples on the picture's clock: sample 0 is heard when the
    first frame appears. No more than about a window of sound is held.

    Args:
        path (str): the file.
        sample_rate (int): samples per second of what is read.
        origin (Fraction, optional): time stamp of the first frame, in seconds
            (:attr:`FrameReader.origin`). Defaults to None: that of the sound.

    Raises:
        DataError: If the file cannot be read or has no sound.
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
        self.stored = False  # whether the file had anything of the last window

    def __enter__(self) -> SoundReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)

    def read(self, start: int, count: int) -> np.ndarray:
        """Reads some samples; those that are not stored are zeros.

        Args:
            start (int): place of the first one, not before that of the last call.
            count (int): how many.

        Returns:
            np.ndarray: int16 of shape (count,).
        """
        while self._next is not None and self._next[0] < start + count:
            self._held.append(self._next)
            self._next = next(self._parts, None)
        self._held = [part for part in self._held if part[0] + len(part[1]) > start]
        self.stored = any(place < start + count for place, _ in self._held)
        return _join(self._held, start, count)

    def around(self, time: float, count: int) -> np.ndarray:
        """Reads a window with a moment in its middle.

        Args:
            time (float): seconds after the first frame, not before that of the last
                call.
            count (int): how many samples.

        Returns:
            np.ndarray: float32 of shape (count, 1) in [-1, 1].
        """
        wave = self.read(nearest_sample(time, self.rate) - count // 2, count)
        return wave[:, None].astype(np.float32) / 32768

    def read_all(self, picture_end: float = 0.0) -> tuple[np.ndarray, int, str]:
        """Reads all of the sound, filled up to the length of the picture.

        Args:
            picture_end (float): seconds after the first frame. Defaults to 0.

        Returns:
            tuple[np.ndarray, int, str]: int16 of shape (T,); the place of its first
            sample, 0 or before; and how it lies to the picture, as
            :attr:`VideoClip.note`.
        """
        parts = [self._next, *self._parts]
        begin, end = parts[0][0], parts[-1][0] + len(parts[-1][1])
        first, until = min(begin, 0), nearest_sample(picture_end, self.rate)
        wave = _join(parts, first, max(end, until) - first)
        notes = []
        apart = _APART * self.rate
        if self._origin is not None and (
            abs(begin) > apart or abs(end - until) > apart
        ):
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
        """Decodes part after part, each with its place; none overlap."""
        run: _Run | None = None
        place = None  # behind the last sample so far
        for frame in self._container.decode(audio=0):
            if run is not None and not run.continues(frame):
                yield from run.flush()
                place, run = run.place, None
            if run is None:
                run = self._begin_run(frame, place)
            yield from run.add(frame)
        if run is not None:
            yield from run.flush()

    def _begin_run(self, frame: AudioFrame, place: int | None) -> _Run:
        """Begins to read where a frame does not follow the one before."""
        if self._origin is None:
            self._origin = _seconds(frame) or Fraction(0)
        before = 0.0 if place is None else place / self.rate
        stamp = _seconds(frame)
        time = before if stamp is None else float(stamp - self._origin)
        if time - before > _MAX_JUMP or before - time > (1 if place else _MAX_JUMP):
            raise video_error(
                self.path,
                f'is damaged: the time stamps of its sound jump by {time - before:.0f} '
                f's at {before:.0f} s',
            )
        return _Run(frame, time, place, self.rate)


class _Run:
    """Sound without a gap, on its way through the resampler.

    Args:
        frame (AudioFrame): the first one.
        time (float): when it begins, seconds on the picture's clock.
        place (int, optional): of the first sample that may be given, since those
            before are there already.
        rate (int): samples per second of the result.
    """

    def __init__(
        self, frame: AudioFrame, time: float, place: int | None, rate: int
    ) -> None:
        resampler = import_av().AudioResampler
        self._resampler = resampler(format='s16', layout='mono', rate=rate)
        self._like = _kind(frame)
        self._stamp, self._count = _seconds(frame), 0
        start = nearest_sample(time, rate)
        self.place = start if place is None else max(start, place)
        self._surplus = self.place - start

    def continues(self, frame: AudioFrame) -> bool:
        """Whether a frame follows those before, by its stamp and kind."""
        stamp = _seconds(frame)
        if _kind(frame) != self._like:
            return False
        if stamp is None or self._stamp is None:
            return True
        expected = self._stamp + Fraction(self._count, frame.sample_rate)
        return abs(stamp - expected) <= _GAP

    def add(self, frame: AudioFrame) -> Iterator[tuple[int, np.ndarray]]:
        """Takes a frame in and gives what is ready."""
        self._count += frame.samples
        frame.pts = None  # places are counted here; the resampler would fill gaps
        yield from self._give(self._resampler.resample(frame))

    def flush(self) -> Iterator[tuple[int, np.ndarray]]:
        """Gives the rest."""
        yield from self._give(self._resampler.resample(None))

    def _give(self, frames: list[AudioFrame]) -> Iterator[tuple[int, np.ndarray]]:
        for frame in frames:
            part = frame.to_ndarray()[0]
            part, self._surplus = (
                part[self._surplus :],
                max(self._surplus - len(part), 0),
            )
            if len(part):
                self.place += len(part)
                yield self.place - len(part), part


def frame_image(frame: VideoFrame) -> np.ndarray:
    """Turns a decoded frame into an image.

    Args:
        frame (VideoFrame): the frame.

    Returns:
        np.ndarray: uint8 of shape (H, W, 3), BGR, turned upright as the file says.
    """
    return upright(frame.to_ndarray(format='bgr24'), frame.rotation)


def upright(image: np.ndarray, degrees: int) -> np.ndarray:
    """Turns an image as its file says.

    Args:
        image (np.ndarray): of shape (H, W, C).
        degrees (int): counterclockwise, a multiple of a right angle.

    Returns:
        np.ndarray: The image, contiguous.
    """
    return np.ascontiguousarray(np.rot90(image, round(degrees / 90)))


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


@contextmanager
def open_video(path: str) -> Iterator[InputContainer]:
    """Opens a video; what goes wrong meanwhile is said with the file's name.

    Args:
        path (str): video file of any format that FFmpeg reads.

    Yields:
        InputContainer: The open file.

    Raises:
        DataError: If it cannot be read, is shorter than its container says, or has
            pictures of more than :data:`~mmxpl.datasets.media.MAX_PIXELS`.
    """
    av = import_av()
    path = str(path)
    check_regular(path, 'file')
    # opening decodes some frames already
    limit = {'max_pixels': str(MAX_PIXELS)}
    try:
        with open(path, 'rb') as file:
            short = container_shortfall(file)
        if short is not None:
            raise video_error(
                path,
                f'is truncated: {short}',
            )
        with av.open(path, options=limit) as container:
            for stream in container.streams.video:
                context = stream.codec_context
                if context is not None:  # as of an unknown codec
                    check_pixels(path, context.height, context.width, 'picture')
                    context.options = limit
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


def _seconds(frame: VideoFrame | AudioFrame) -> Fraction | None:
    """Time stamp of a frame, as the file has it."""
    return None if frame.pts is None else frame.pts * frame.time_base


def _kind(frame: AudioFrame) -> tuple:
    """What a resampler is set up for."""
    return frame.format.name, frame.layout.name, frame.sample_rate


def _join(parts: list[tuple[int, np.ndarray]], start: int, count: int) -> np.ndarray:
    """Lays parts at their places, int16 of shape (count,); the rest is zeros."""
    wave = np.zeros(count, np.int16)
    for place, part in parts:
        left, right = max(place, start), min(place + len(part), start + count)
        if left < right:
            wave[left - start : right - start] = part[left - place : right - place]
    return wave
