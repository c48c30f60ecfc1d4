"""Reading of frames, sounds and cached features.

A file that cannot be used, and a cache that does not match it, is a DataError.
"""

import os.path as osp
from abc import abstractmethod

import cv2
import numpy as np
import soundfile
import torch
from mmcv.transforms import BaseTransform

from mmxpl.registry import TRANSFORMS
from mmxpl.utils import DataError
from mmxpl.utils.checks import check_positive

from ..audio_io import excerpt_waveform, read_waveform
from ..feature_cache import FeatureCache
from ..image_io import read_frame, resize_frame
from ..media import at_time, split_time
from ..media_cache import MediaCache


class LoadMedia(BaseTransform):
    """Base class of transforms that read a media file, or the same values from a cache.

    Args:
        cache (str, optional): Folder of the cache that
            ``tools/dataset_converters/build_cache.py`` builds; by default the files are
            read.
    """

    kind = ''  # name of the cache in its folder
    path_key = ''

    def __init__(self, cache: str | None = None) -> None:
        self.cache = None
        if cache:
            self.cache = MediaCache(osp.join(cache, self.kind), self.settings)

    @property
    @abstractmethod
    def settings(self) -> dict:
        """dict: settings that decide the values, as plain JSON values."""

    def source(self, results: dict) -> str:
        """Names what is read for a clip, which is also its key in the cache.

        It is the file, with a time if that decides the values.
        """
        return results[self.path_key]

    @abstractmethod
    def decode(self, source: str) -> tuple[np.ndarray, tuple[int, int]]:
        """Reads a file itself, as :meth:`source` names it.

        Returns:
            tuple[np.ndarray, tuple[int, int]]: The array, and height and width of the
            image in the file, zeros for a sound.
        """

    def load(self, results: dict) -> tuple[np.ndarray, tuple[int, int]]:
        """Reads the file of a clip, from the cache if there is one."""
        source = self.source(results)
        return self.decode(source) if self.cache is None else self.cache.read(source)

    def __repr__(self) -> str:
        cache = (
            '' if self.cache is None else f', cache={str(self.cache.folder.parent)!r}'
        )
        return f'{type(self).__name__}({self._options()}{cache})'


@TRANSFORMS.register_module()
class LoadFrame(LoadMedia):
    """Reads a frame and resizes it to the input size of the model.

    The aspect ratio is not kept: the result is the canonical frame, to which boxes and
    maps refer. A file that is no whole image is a DataError.

    Required keys: ``img_path``; or ``frame``, a decoded frame (uint8 array of shape
    (h, w, 3), BGR) to use instead of the file. Added keys: ``img`` (uint8 array of
    shape (H, W, 3), BGR), ``ori_shape`` (h, w of the frame as displayed), and
    ``img_shape`` and ``loaded_shape`` (H, W).

    Args:
        size (int | tuple[int, int]): Height and width in pixels; one number for a
            square.
        cache (str, optional): See :class:`LoadMedia`.
    """

    kind, path_key = 'cached_frames', 'img_path'

    def __init__(self, size: int | tuple[int, int], cache: str | None = None) -> None:
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        if len(self.size) != 2 or not all(
            isinstance(side, int) and side > 0 for side in self.size
        ):
            raise ValueError(
                f'size must be one or two positive integers (H, W), got {size!r}.'
            )
        super().__init__(cache)

    @property
    def settings(self) -> dict:
        """dict: size and decoder."""
        return dict(size=list(self.size), decoder=f'opencv {cv2.__version__}')

    def decode(self, source: str) -> tuple[np.ndarray, tuple[int, int]]:
        """Reads a frame; see :func:`~mmxpl.datasets.image_io.read_frame`."""
        return read_frame(source, self.size)

    def transform(self, results: dict) -> dict:
        """Reads the frame of a clip."""
        frame = results.get('frame')
        if frame is None:
            results['img'], results['ori_shape'] = self.load(results)
        else:
            results['img'] = resize_frame(frame, self.size)
            results['ori_shape'] = frame.shape[:2]
        # transforms of MMDetection change img_shape
        results['img_shape'] = results['loaded_shape'] = self.size
        return results

    def _options(self) -> str:
        return f'size={self.size}'


@TRANSFORMS.register_module()
class LoadAudio(LoadMedia):
    """Reads an excerpt of a sound as a mono waveform.

    If the clip has a ``frame_time``, the excerpt is the window around the frame, and
    parts of it that are not stored are silence. Otherwise it is the middle of the
    sound, and a shorter sound is repeated to fill it. A file that is no whole sound is
    a DataError.

    Required keys: ``audio_path`` and optionally ``frame_time`` (seconds from the first
    sample, or None); or ``sound``, a pair of samples (float32 array of shape
    (samples, channels)) and their rate to use instead of the file. Added key: ``audio``
    (float32 array of shape (T,), T = sample_rate * duration, in [-1, 1]).

    Args:
        sample_rate (int): Samples per second of the result.
        duration (float): Seconds to read.
        offset (str | float): 'center' as above, or the start of the excerpt in seconds,
            regardless of the frame; an excerpt that would reach beyond the end begins
            earlier.
        cache (str, optional): See :class:`LoadMedia`.
    """

    kind, path_key = 'cached_audio', 'audio_path'

    def __init__(
        self,
        sample_rate: int = 16000,
        duration: float = 3.0,
        offset: str | float = 'center',
        cache: str | None = None,
    ) -> None:
        check_positive(sample_rate=sample_rate, duration=duration)
        if offset != 'center' and (isinstance(offset, str) or not offset >= 0):
            raise ValueError(
                f"offset must be 'center' or seconds from the start, got {offset!r}."
            )
        self.sample_rate = sample_rate
        self.duration = duration
        self.offset = offset
        super().__init__(cache)

    @property
    def settings(self) -> dict:
        """dict: excerpt, decoder and resampler."""
        return dict(
            sample_rate=self.sample_rate,
            duration=self.duration,
            offset=self.offset,
            decoder=f'libsndfile {soundfile.__libsndfile_version__}',
            resampler=f'torch {torch.__version__}',
        )

    def source(self, results: dict) -> str:
        """Names the sound, with the time of the frame if that decides the excerpt."""
        time = results.get('frame_time') if self.offset == 'center' else None
        return at_time(results[self.path_key], time)

    def decode(self, source: str) -> tuple[np.ndarray, tuple[int, int]]:
        """Reads a sound; see :func:`~mmxpl.datasets.audio_io.read_waveform`."""
        path, time = split_time(source)
        wave = read_waveform(path, self.sample_rate, self.duration, self.offset, time)
        return wave, (0, 0)

    def transform(self, results: dict) -> dict:
        """Reads the sound of a clip."""
        sound = results.get('sound')
        if sound is None:
            results['audio'], _ = self.load(results)
        else:
            results['audio'] = excerpt_waveform(
                *sound, self.sample_rate, self.duration, self.offset
            )
        return results

    def _options(self) -> str:
        return (
            f'sample_rate={self.sample_rate}, duration={self.duration}, '
            f'offset={self.offset!r}'
        )


@TRANSFORMS.register_module()
class LoadFeatures(BaseTransform):
    """Reads the features of frozen encoders in place of frame and sound.

    ``tools/dataset_converters/build_cache.py CONFIG`` computes the features of a config
    with frozen encoders. Training then needs neither media nor encoders; without a
    cache the same config reads the media and runs the encoders in every step. Training
    augments the features: crops and flips resample them, colours cannot be changed.
    Missing features, and those of other files or settings, are a DataError.

    Required keys: ``img_path``, ``audio_path`` and optionally ``frame_time``. Added
    keys: ``features`` (dict of float16 arrays, see
    :meth:`mmxpl.datasets.feature_cache.FeatureCache.read`), ``ori_shape`` and
    ``img_shape``; without a cache those of the two loaders.

    Args:
        frame (dict): Config of :class:`LoadFrame`.
        audio (dict): Config of :class:`LoadAudio`.
        cache (str, optional): Folder of the features.
    """

    def __init__(self, frame: dict, audio: dict, cache: str | None = None) -> None:
        self.frame, self.audio = TRANSFORMS.build(frame), TRANSFORMS.build(audio)
        loaders = dict(visual=self.frame.settings, sound=self.audio.settings)
        self.cache = FeatureCache(cache, loaders) if cache else None

    def sources(self, results: dict) -> dict[str, str]:
        """Names the ``visual`` and ``sound`` of a clip by :meth:`LoadMedia.source`."""
        return dict(visual=self.frame.source(results), sound=self.audio.source(results))

    def transform(self, results: dict) -> dict:
        """Reads the features of a clip."""
        if self.cache is None:
            return self.audio(self.frame(results))
        if 'frame' in results or 'sound' in results:
            raise DataError(
                f"'{results['sample_id']}' is in memory, features are of files: set "
                'cache=None in LoadFeatures.'
            )
        results['features'], results['ori_shape'] = self.cache.read(
            self.sources(results)
        )
        results['img_shape'] = self.frame.size
        return results

    def __repr__(self) -> str:
        cache = self.cache and str(self.cache.folder)
        return f'{type(self).__name__}({self.frame}, {self.audio}, cache={cache!r})'
