"""What people give an inferencer, one pair of frame and sound after the other."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.logging import print_log

from mmxpl.datasets.image_io import decode_frame
from mmxpl.datasets.media import list_media
from mmxpl.datasets.vggss import AUDIO_SUFFIXES, FRAME_SUFFIXES
from mmxpl.datasets.video_io import VIDEO_SUFFIXES
from mmxpl.utils import DataError
from mmxpl.utils.ids import name_some

from .video_input import SoundWindow, video_pairs

FORMS = (
    '(image, sound), a video file, a folder of videos or one with frames/ and audio/'
)


@dataclass
class AVInput:
    """One frame and its sound, on disk or in memory.

    Args:
        sample_id (str): name of the pair.
        img (str | np.ndarray): file, or uint8 of shape (H, W, 3), BGR as
            ``cv2.imread`` gives it.
        audio (str | tuple[np.ndarray, int]): file, or float32 samples of shape
            (samples, channels) in [-1, 1] and their rate.
        time (float, optional): of a video, seconds after its first frame.
    """

    sample_id: str
    img: str | np.ndarray
    audio: str | tuple[np.ndarray, int]
    time: float | None = None

    def results(self, index: int) -> dict[str, Any]:
        """Makes what a test pipeline starts from.

        Args:
            index (int): number of the pair.

        Returns:
            dict: As an unlabeled data set gives it, with ``frame`` or ``sound``
            for what is in memory.
        """
        results = dict(
            sample_id=self.sample_id,
            sample_idx=index,
            is_labeled=False,
            category=None,
            bboxes=None,
            mask=None,
            img_path='',
            audio_path='',
        )
        key = 'img_path' if isinstance(self.img, str) else 'frame'
        results[key] = self.img
        key = 'audio_path' if isinstance(self.audio, str) else 'sound'
        results[key] = self.audio
        return results

    def picture(self) -> np.ndarray:
        """Gives the frame at its own size.

        Returns:
            np.ndarray: RGB uint8 of shape (H, W, 3).
        """
        frame = decode_frame(self.img) if isinstance(self.img, str) else self.img
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def iter_inputs(inputs: Any, every: float, window: SoundWindow) -> Iterator[AVInput]:
    """Walks through anything that people give, reading no more than is asked for.

    Args:
        inputs (Any): a pair ``(image, sound)`` or ``dict(img=..., audio=...)``, the
            path of a video or folder, an :class:`AVInput`, or a list or iterator of
            these. Image and sound as in :class:`AVInput`; samples may also be
            integers or of shape (samples,).
        every (float): seconds between the frames that are taken of a video.
        window (SoundWindow): the sound that belongs to a frame of a video.

    Yields:
        AVInput: Pairs in order, of a folder in the order of names.

    Raises:
        DataError: If something is none of these.
    """
    if isinstance(inputs, AVInput):
        yield inputs
    elif isinstance(inputs, str | Path):
        yield from _from_path(Path(inputs), every, window)
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
            yield from iter_inputs(item, every, window)
    else:
        raise DataError(
            f'a {type(inputs).__name__} is no pair of frame and sound. Give {FORMS}.'
        )


def as_pair(img: Any, audio: Any, sample_id: str | None = None) -> AVInput:
    """Checks an image and a sound.

    Args:
        img (str | Path | np.ndarray): see :func:`iter_inputs`.
        audio (str | Path | tuple[np.ndarray, int]): see :func:`iter_inputs`.
        sample_id (str, optional): name of the pair. Defaults to that of the file.

    Returns:
        AVInput: The pair.

    Raises:
        DataError: If they are of another kind, shape or range.
    """
    if sample_id is None:
        named = [Path(part).stem for part in (img, audio) if _is_path(part)]
        sample_id = named[0] if named else 'pair'
    if _is_path(img):
        img = str(img)
    elif not (isinstance(img, np.ndarray) and img.dtype == np.uint8 and img.size):
        raise DataError(
            f"'{sample_id}': an image must be a file or a uint8 array (H, W, 3), BGR, "
            f'got {_kind(img)}.'
        )
    elif img.ndim != 3 or img.shape[2] != 3:
        raise DataError(f"'{sample_id}': an image must be (H, W, 3), got {img.shape}.")
    audio = str(audio) if _is_path(audio) else _check_sound(audio, sample_id)
    return AVInput(sample_id, img, audio)


def _check_sound(audio: Any, sample_id: str) -> tuple[np.ndarray, int]:
    """Brings samples to float32 of shape (samples, channels)."""
    if not isinstance(audio, tuple | list) or len(audio) != 2:
        raise DataError(
            f"'{sample_id}': a sound must be a file or a pair (samples, rate), got "
            f'{_kind(audio)}.'
        )
    try:
        wave, rate = np.asarray(audio[0]), audio[1]
    except ValueError as error:  # rows of unequal length
        raise DataError(
            f"'{sample_id}': samples must be numbers of shape (samples,) or (samples, "
            f'channels), and these are no array ({error}).'
        ) from error
    if not isinstance(rate, int | np.integer) or not 1_000 <= rate <= 768_000:
        raise DataError(f"'{sample_id}': a rate of {rate!r} Hz makes no sense.")
    if wave.ndim not in (1, 2) or not wave.size or wave.dtype.kind not in 'fiu':
        raise DataError(
            f"'{sample_id}': samples must be numbers of shape (samples,) or (samples, "
            f'channels), got {wave.dtype} of {wave.shape}.'
        )
    if wave.ndim == 2 and wave.shape[1] > 64:
        raise DataError(
            f"'{sample_id}': samples of shape {wave.shape} have more than 64 channels. "
            'Time comes first: transpose them.'
        )
    if wave.dtype.kind == 'u':
        raise DataError(f"'{sample_id}': samples are unsigned. Give floats in [-1, 1].")
    if wave.dtype.kind == 'i':
        wave = wave / (np.iinfo(wave.dtype).max + 1.0)
    if not np.isfinite(wave).all():
        raise DataError(f"'{sample_id}': samples hold values that are not finite.")
    return wave.astype(np.float32).reshape(len(wave), -1), int(rate)


def _from_path(path: Path, every: float, window: SoundWindow) -> Iterator[AVInput]:
    """Reads a video or a folder."""
    if path.is_dir():
        if (path / 'frames').is_dir() and (path / 'audio').is_dir():
            yield from _folder_pairs(path)
            return
        videos = sorted(p for p in path.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)
        if not videos:
            raise DataError(
                f'{path}: the folder holds neither videos ({", ".join(VIDEO_SUFFIXES)})'
                ' nor frames/ and audio/.'
            )
    elif not path.exists():
        raise DataError(f'{path}: does not exist. Give {FORMS}.')
    elif path.suffix.lower() in FRAME_SUFFIXES + AUDIO_SUFFIXES:
        raise DataError(f'{path}: an image needs its sound. Give (image, sound).')
    else:
        videos = [path]
    for video in videos:
        for time, frame, sound in video_pairs(str(video), every, window):
            name = f'{video.stem}_{time:.3f}s'
            yield AVInput(name, frame, sound, time)


def _folder_pairs(path: Path) -> Iterator[AVInput]:
    """Pairs frames/ID.* with audio/ID.*; says what has no partner."""
    frames = list_media(str(path / 'frames'), FRAME_SUFFIXES)
    sounds = list_media(str(path / 'audio'), AUDIO_SUFFIXES)
    both = sorted(frames.keys() & sounds.keys())
    if not both:
        raise DataError(f'{path}: no file in frames/ has a namesake in audio/.')
    alone = sorted(frames.keys() ^ sounds.keys())
    if alone:
        print_log(
            f'{path}: {len(alone)} clips lack frame or sound and are left out '
            f'({name_some(alone)}).',
            logger='current',
            level=30,
        )
    for i in both:
        img, audio = path / 'frames' / frames[i], path / 'audio' / sounds[i]
        yield AVInput(i, str(img), str(audio))


def _is_path(part: Any) -> bool:
    return isinstance(part, str | Path)


def _kind(part: Any) -> str:
    """Names a thing for a message."""
    if isinstance(part, np.ndarray):
        return f'{part.dtype} of shape {part.shape}'
    return type(part).__name__
