"""Video files from single pictures and the sound of another file."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmxpl.datasets.video_io import import_av, open_video
from mmxpl.utils import DataError
from mmxpl.utils.files import draft_of, publish

if TYPE_CHECKING:
    from av.video.stream import VideoStream


# beside the defaults 0.4 and 0.1 of the time, about 1.0 and 1.4 of the size, and up to
# 0.7 and 0.4 dB less PSNR; see benchmarks/video_speed.py
ENCODER_OPTIONS = {
    'libx264': dict(preset='veryfast'),
    'libvpx-vp9': {'deadline': 'realtime', 'cpu-used': '6'},
}


class VideoOutput:
    """Writes a video from single pictures and the sound of another file.

    The first audio stream of the source is copied if the container supports its codec,
    else encoded with the container's default codec. The file gets its name when it is
    complete.

    Args:
        path (str | Path): File to write; its suffix selects the container.
        source (str): Video that provides the sound.
        like (VideoStream): Video stream of the source, for times and frame rate.
        size (tuple[int, int]): Height and width in pixels; odd sides lose a row or
            column, since 4:2:0 colour needs even ones.

    Raises:
        DataError: If the file exists, or its suffix is of no video container.
    """

    def __init__(
        self, path: str | Path, source: str, like: 'VideoStream', size: tuple[int, int]
    ) -> None:
        self._av = av = import_av()
        self.path = Path(path)
        refuse_existing(self.path)
        if min(size) < 2:
            raise DataError(f'{source}: frames of {size} are too small for a video.')
        self._draft = draft_of(self.path, keep_suffix=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stack = ExitStack()
        try:
            self._out = self._stack.enter_context(av.open(str(self._draft), 'w'))
            codec = self._out.default_video_codec
            self._video = self._out.add_stream(codec, rate=like.average_rate or 25)
        except (av.error.FFmpegError, ValueError) as error:
            self._abandon()
            raise DataError(
                f'{path}: no video can be written under this ending ({error}). Name an '
                '.mp4, .mkv or .webm.'
            ) from error
        self._video.height, self._video.width = (side // 2 * 2 for side in size)
        self._video.pix_fmt = 'yuv420p'
        self._video.options = ENCODER_OPTIONS.get(self._video.codec.name, {})
        self._unit = like.time_base or Fraction(1, 1000)
        self._video.codec_context.time_base = self._unit
        self._sound = self._stack.enter_context(open_video(source))
        track = self._sound.streams.audio[0]
        name = track.codec.canonical_name
        # few players support raw samples in an MP4, and FFmpeg cannot always close it
        raw_in_mp4 = name.startswith('pcm_') and self._out.format.name == 'mp4'
        self.copies = name in self._out.supported_codecs and not raw_in_mp4
        if self.copies:
            self._track = self._out.add_stream_from_template(track)
            self._packets = self._copied(track)
        else:
            name = self._out.default_audio_codec
            self._track = self._out.add_stream(name, rate=_rate(av, name, track.rate))
            self._packets = self._encoded(track)
        self._next = next(self._packets, None)

    def __enter__(self) -> 'VideoOutput':
        return self

    def __exit__(self, kind: Any, *error: object) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            with self._writing():
                self._out.mux(self._video.encode(None))
                self._write_sound(float('inf'))
                self._stack.close()
        except BaseException:
            self._abandon()
            raise
        publish(self._draft, self.path)

    def write(self, picture: np.ndarray, pts: int) -> None:
        """Writes one picture, RGB uint8 (H, W, 3), and the sound up to its time.

        ``pts`` is its presentation time in units of the source's video stream.
        """
        height, width = self._video.height, self._video.width
        frame = self._av.VideoFrame.from_ndarray(
            np.ascontiguousarray(picture[:height, :width]), format='rgb24'
        )
        frame.pts, frame.time_base = pts, self._unit
        with self._writing():
            self._out.mux(self._video.encode(frame))
            self._write_sound(float(pts * self._unit))

    def _write_sound(self, time: float) -> None:
        """Writes the packets that begin at or before a time."""
        while self._next is not None and _begin(self._next) <= time:
            self._out.mux(self._next)
            self._next = next(self._packets, None)

    def _copied(self, track: Any) -> Iterator[Any]:
        """Yields the stored packets."""
        for packet in self._sound.demux(track):
            if packet.dts is not None:  # the last packet only ends the stream
                packet.stream = self._track
                yield packet

    def _encoded(self, track: Any) -> Iterator[Any]:
        """Decodes the sound and yields it encoded again."""
        for frame in self._sound.decode(track):
            yield from self._track.encode(frame)
        yield from self._track.encode(None)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns errors of FFmpeg into one that names the file."""
        try:
            yield
        except self._av.error.FFmpegError as error:
            raise DataError(
                f'{self.path}: the video cannot be written ({error.strerror}). Is the '
                'disk full? Otherwise name an .mkv, which takes most codecs.'
            ) from error

    def _abandon(self) -> None:
        """Closes everything and removes the incomplete file."""
        with suppress(self._av.error.FFmpegError):  # an incomplete file cannot be ended
            self._stack.close()
        self._draft.unlink(missing_ok=True)


def refuse_existing(path: Path) -> None:
    """Raises a DataError if a file exists that would be written."""
    if path.exists():
        raise DataError(
            f'{path}: exists already and is not overwritten. Name another file, or '
            'remove it.'
        )


def _begin(packet: Any) -> float:
    """Returns the time in seconds at which a packet begins."""
    time = packet.pts if packet.dts is None else packet.dts
    return float(time * packet.time_base)


def _rate(av: Any, codec: str, rate: int) -> int:
    """Returns the next higher rate that a codec supports, or its highest."""
    rates = av.Codec(codec, 'w').audio_rates or [rate]
    above = [value for value in rates if value >= rate]
    return min(above) if above else max(rates)
