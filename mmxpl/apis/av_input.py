"""Inputs of an inferencer: pairs of frame and sound, from files, arrays and videos.

What is of another kind, shape or range, or cannot be read, is a DataError.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from mmengine.logging import print_log

from mmxpl.datasets.audio_io import find_fault, nearest_sample
from mmxpl.datasets.image_io import decode_frame
from mmxpl.datasets.media import list_media, media_paths
from mmxpl.datasets.vggss import AUDIO_SUFFIXES, FRAME_SUFFIXES
from mmxpl.datasets.video_io import (
    VIDEO_SUFFIXES,
    FrameReader,
    choose_videos,
    frame_image,
)
from mmxpl.datasets.video_sound import SoundReader
from mmxpl.utils import DataError
from mmxpl.utils.ids import name_some

FORMS = (
    '(image, sound), a video file, a folder of videos or one with frames/ and audio/'
)
_TOLERANCE = 1e-3  # seconds


class SoundWindow(NamedTuple):
    """Sample rate in Hz of a sound, and its length in seconds, centred on a frame."""

    sample_rate: int
    duration: float


class WindowReader(SoundReader):
    """Reads the sound around the frames of a video, in order of time.

    The windows are those that training reads from the files which
    ``tools/dataset_converters/extract_videos.py`` writes.

    Args:
        frames (FrameReader): Open video; times are relative to its first frame.
        window (SoundWindow): Length and sample rate.
    """

    def __init__(self, frames: FrameReader, window: SoundWindow) -> None:
        super().__init__(frames.path, window.sample_rate, frames.origin)
        self._count = round(window.sample_rate * window.duration)
        self._warned = False

    def window(self, time: float) -> tuple[np.ndarray, int]:
        """Reads the window around a time, float32 (T, 1) in [-1, 1], and its rate.

        Parts that are not stored are silent. The time, in seconds after the first
        frame, is not before that of the last call.
        """
        start = nearest_sample(time, self.rate) - self._count // 2
        wave = self.read(start, self._count)
        if not self._warned and not self.stored:
            self._warned = True
            print_log(
                f'{self.path}: no sound is stored around {time:.1f} s; such '
                'frames are predicted with silence.',
                logger='current',
                level=logging.WARNING,
            )
        return wave[:, None].astype(np.float32) / 32768, self.rate


@dataclass
class AVInput:
    """One frame and its sound, on disk or in memory.

    Args:
        sample_id (str): Name of the pair.
        img (str | np.ndarray): File, or uint8 (H, W, 3), BGR.
        audio (str | tuple[np.ndarray, int]): File, or float32 samples
            (samples, channels) in [-1, 1] and their rate.
        time (float, optional): For a frame of a video, seconds after the first frame.
        in_folder (bool): Whether it was found in a folder, the rest of which is
            predicted if its files cannot be read.
    """

    sample_id: str
    img: str | np.ndarray
    audio: str | tuple[np.ndarray, int]
    time: float | None = None
    in_folder: bool = False

    def results(self, index: int) -> dict[str, Any]:
        """Returns what a test pipeline starts from, like an entry of an unlabeled set.

        ``frame`` and ``sound`` hold what is in memory.
        """
        results = dict(sample_id=self.sample_id, sample_idx=index, is_labeled=False)
        results |= dict.fromkeys(('category', 'bboxes', 'mask'))
        results |= dict.fromkeys(('img_path', 'audio_path'), '')
        results['img_path' if isinstance(self.img, str) else 'frame'] = self.img
        results['audio_path' if isinstance(self.audio, str) else 'sound'] = self.audio
        return results

    def picture(self) -> np.ndarray:
        """Returns the frame at its own size, RGB uint8 (H, W, 3)."""
        frame = decode_frame(self.img) if isinstance(self.img, str) else self.img
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def iter_inputs(
    inputs: Any, every: float, window: SoundWindow, failed: list[str]
) -> Iterator[AVInput]:
    """Yields the pairs of any kind of input, each read when it is needed.

    Args:
        inputs (Any): A pair ``(image, sound)`` or ``dict(img=..., audio=...)``, the
            path of a video or folder, an :class:`AVInput`, or a list or iterator of
            these. Image and sound as in :class:`AVInput`; samples may also be
            integers or of shape (samples,).
        every (float): Seconds between the frames taken from a video; 0 takes all.
        window (SoundWindow): Sound around a frame of a video.
        failed (list[str]): Takes the reasons why videos of a folder cannot be read.

    Yields:
        AVInput: Pairs in the order given, of a folder in the order of names. Those of
        arrays alone are ``pair_000000`` and so on, by their position.
    """
    check_every(every)
    for number, pair in enumerate(_walk(inputs, every, window, failed)):
        yield replace(pair, sample_id=pair.sample_id or f'pair_{number:06d}')


def _walk(
    inputs: Any, every: float, window: SoundWindow, failed: list[str]
) -> Iterator[AVInput]:
    """Yields the pairs of :func:`iter_inputs`; arrays alone have no name."""
    if isinstance(inputs, AVInput):
        checked = as_pair(inputs.img, inputs.audio, inputs.sample_id)
        yield replace(checked, time=inputs.time)
    elif isinstance(inputs, str) and not inputs:
        raise DataError(f"'' is no path. Give {FORMS}.")
    elif isinstance(inputs, str | Path):
        yield from _from_path(Path(inputs), every, window, failed)
    elif isinstance(inputs, Mapping):
        missing = {'img', 'audio'} - set(inputs)
        if missing:
            raise DataError(f'an input has no {sorted(missing)}. Give {FORMS}.')
        yield as_pair(inputs['img'], inputs['audio'])
    elif isinstance(inputs, tuple):
        if len(inputs) != 2:
            raise DataError(f'a tuple of {len(inputs)} is no pair. Give {FORMS}.')
        yield as_pair(*inputs)
    elif isinstance(inputs, Iterable) and not isinstance(inputs, np.ndarray | bytes):
        for item in inputs:
            yield from _walk(item, every, window, failed)
    else:
        raise DataError(
            f'a {type(inputs).__name__} is no pair of frame and sound. Give {FORMS}.'
        )


def as_pair(img: Any, audio: Any, sample_id: str | None = None) -> AVInput:
    """Checks an image and a sound (:func:`iter_inputs`) and makes a pair of them."""
    if sample_id is None:
        named = [Path(part).stem for part in (img, audio) if _is_path(part)]
        sample_id = named[0] if named else ''
    name = sample_id or 'pair'
    if _is_path(img):
        img = str(img)
    elif not (isinstance(img, np.ndarray) and img.dtype == np.uint8 and img.size):
        raise DataError(
            f"'{name}': an image must be a file or a uint8 array (H, W, 3), BGR, "
            f'got {_kind(img)}.'
        )
    elif img.ndim != 3 or img.shape[2] != 3:
        raise DataError(f"'{name}': an image must be (H, W, 3), got {img.shape}.")
    audio = str(audio) if _is_path(audio) else _check_sound(audio, name)
    return AVInput(sample_id, img, audio)


def _check_sound(audio: Any, sample_id: str) -> tuple[np.ndarray, int]:
    """Converts samples to float32 (samples, channels)."""
    if not isinstance(audio, tuple | list) or len(audio) != 2:
        raise DataError(
            f"'{sample_id}': a sound must be a file or a pair (samples, rate), got "
            f'{_kind(audio)}.'
        )
    form = 'samples must be numbers of shape (samples,) or (samples, channels)'
    try:
        wave, rate = np.asarray(audio[0]), audio[1]
    # rows of unequal length, a tensor that has a gradient or is on a GPU
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            f"'{sample_id}': {form}, and these are no array ({error})."
        ) from error
    wrong = None
    if not isinstance(rate, int | np.integer) or not 1_000 <= rate <= 768_000:
        wrong = f'a rate of {rate!r} Hz is no whole number from 1000 to 768000'
    elif wave.ndim not in (1, 2) or not wave.size or wave.dtype.kind not in 'fiu':
        wrong = f'{form}, got {wave.dtype} of {wave.shape}'
    elif wave.ndim == 2 and wave.shape[1] > 64:
        wrong = (
            f'samples of shape {wave.shape} have more than 64 channels. Time comes '
            'first: transpose them'
        )
    elif wave.dtype.kind == 'u':
        wrong = 'samples are unsigned. Give floats in [-1, 1]'
    elif fault := find_fault(wave):
        wrong = f'samples hold {fault}'
    if wrong:
        raise DataError(f"'{sample_id}': {wrong}.")
    if wave.dtype.kind == 'i':
        wave = wave / (np.iinfo(wave.dtype).max + 1.0)
    return wave.astype(np.float32).reshape(len(wave), -1), int(rate)


def _from_path(
    path: Path, every: float, window: SoundWindow, failed: list[str]
) -> Iterator[AVInput]:
    """Yields the pairs of a video or a folder."""
    if path.is_dir():
        if (path / 'frames').is_dir() and (path / 'audio').is_dir():
            yield from _folder_pairs(path)
            return
        videos, others = choose_videos(sorted(path.iterdir()))
        if not videos:
            raise DataError(
                f'{path}: the folder holds neither videos ({", ".join(VIDEO_SUFFIXES)})'
                ' nor frames/ and audio/.'
            )
        if others:
            print_log(
                f'{path}: files that are no videos are skipped ({others}).',
                logger='current',
                level=logging.WARNING,
            )
    elif not path.exists():
        raise DataError(f'{path}: does not exist. Give {FORMS}.')
    elif path.suffix.lower() in FRAME_SUFFIXES + AUDIO_SUFFIXES:
        raise DataError(f'{path}: an image needs its sound. Give (image, sound).')
    else:
        videos = [path]
    stems = Counter(video.stem for video in videos)
    for video in videos:
        name = video.stem if stems[video.stem] == 1 else video.name
        try:
            for time, frame, sound in video_pairs(str(video), every, window):
                yield AVInput(f'{name}_{time:.3f}s', frame, sound, time)
        except DataError as error:
            if video == path:
                raise
            failed.append(str(error))


def _folder_pairs(path: Path) -> Iterator[AVInput]:
    """Pairs frames/ID.* with audio/ID.*, and warns about files without a partner."""
    folders = str(path / 'frames'), str(path / 'audio')
    frames = list_media(folders[0], FRAME_SUFFIXES)
    sounds = list_media(folders[1], AUDIO_SUFFIXES)
    both = sorted(frames.keys() & sounds.keys())
    if not both:
        raise DataError(f'{path}: frames/ and audio/ have no files of the same name.')
    alone = sorted(frames.keys() ^ sounds.keys())
    if alone:
        print_log(
            f'{path}: {len(alone)} clips lack frame or sound and are skipped '
            f'({name_some(alone)}).',
            logger='current',
            level=logging.WARNING,
        )
    images = media_paths(folders[0], both, map(frames.get, both))
    audios = media_paths(folders[1], both, map(sounds.get, both))
    for row in zip(both, images, audios, strict=True):
        yield AVInput(*row, in_folder=True)


def video_pairs(
    path: str, every: float, window: SoundWindow
) -> Iterator[tuple[float, np.ndarray, tuple[np.ndarray, int]]]:
    """Yields frames of a video with the sound around them, in constant memory.

    Each has its seconds after the first frame; the frame, uint8 (H, W, 3), BGR,
    upright; and samples, float32 (T, 1) in [-1, 1], with their rate.
    """
    with (
        FrameReader(path, threaded=True) as frames,
        WindowReader(frames, window) as sounds,
    ):
        for time, frame, due in mark_due(frames, every):
            if due:
                yield time, frame_image(frame), sounds.window(time)


def mark_due(
    frames: Iterable[tuple[float, Any]], every: float
) -> Iterator[tuple[float, Any, bool]]:
    """Marks frames, given with their times in seconds from 0 on, to be predicted.

    Yields:
        tuple[float, Any, bool]: Time, frame, and whether it is the first frame at or
        after a multiple of ``every`` seconds (0 marks all).
    """
    check_every(every)
    next_due = 0.0
    for time, frame in frames:
        due = time >= next_due - _TOLERANCE
        if due and every:
            next_due = (np.floor((time + _TOLERANCE) / every) + 1) * every
        yield time, frame, due


def check_every(every: float) -> None:
    """Raises a DataError of a time between frames that is no seconds from 0 on."""
    if not isinstance(every, Real) or not 0 <= every < float('inf'):
        raise DataError(f'every: must be seconds from 0 on, got {every!r}.')


def _is_path(part: Any) -> bool:
    return isinstance(part, str | Path)


def _kind(part: Any) -> str:
    if isinstance(part, np.ndarray):
        return f'{part.dtype} of shape {part.shape}'
    return type(part).__name__
