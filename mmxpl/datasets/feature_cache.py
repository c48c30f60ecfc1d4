"""Cache of the features of frozen encoders, read in place of the media.

Features that are missing, or are of another file or setting, are a DataError.
"""

import hashlib
import json
import os.path as osp
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmxpl.utils import DataError

from .media_cache import BUILD, MediaCache

MANIFEST = 'features.json'
KINDS = ('visual', 'sound')


class FeatureCache:
    """Features that the encoders of each localizer make of frames and sounds.

    The folder holds one :class:`~.media_cache.MediaCache` per encoder, named after a
    hash of the settings that decide its values, and ``features.json``, which assigns
    them to localizers. Encoders that two localizers share are stored once. The feature
    maps of a frame are flattened, channels last, and concatenated in half precision.

    Args:
        folder (str | Path): Folder that ``build_cache.py`` fills.
        loaders (Mapping[str, Mapping]): Settings of the transforms that read frames
            (``visual``) and sounds (``sound``) for the encoders.
    """

    def __init__(self, folder: str | Path, loaders: Mapping[str, Mapping]) -> None:
        self.folder = Path(osp.abspath(folder))
        self.loaders = {kind: dict(loaders[kind]) for kind in KINDS}
        self._parts: dict | None = None

    def __getstate__(self) -> dict:
        """Omits open files."""
        return {**self.__dict__, '_parts': None}

    @property
    def manifest(self) -> dict[str, dict[str, dict]]:
        """dict: content of ``features.json`` by localizer and kind."""
        path = self.folder / MANIFEST
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise DataError(
                f'{path}: cannot be read ({error}), so there are no features to train '
                f'on. Compute them ({BUILD}), or set cache=None in LoadFeatures.'
            ) from error

    def read(self, sources: Mapping[str, str]) -> tuple[dict[str, np.ndarray], tuple]:
        """Reads the features of a clip by the names of ``visual`` and ``sound``.

        Returns:
            tuple[dict[str, np.ndarray], tuple[int, int]]: float16 arrays,
            ``NAME.visual.K`` of (h_k, w_k, C_k) and ``NAME.sound`` of (C,); height
            and width of the frame in its file.
        """
        if self._parts is None:
            self._parts = self._open()
        rows: dict[MediaCache, tuple] = {}
        features, ori_shape = {}, (0, 0)
        for name, kind, cache, shapes in self._parts:
            if cache not in rows:
                rows[cache] = cache.read(sources[kind])
            row, shape = rows[cache]
            if kind == 'sound':
                features[f'{name}.sound'] = row
                continue
            ori_shape = shape
            ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
            for k, level in enumerate(np.split(row, ends)):
                features[f'{name}.visual.{k}'] = level.reshape(shapes[k])
        return features, ori_shape

    def part(self, kind: str, settings: Mapping) -> MediaCache:
        """Makes the cache of one encoder, in a folder named after its settings.

        ``kind`` is 'visual' or 'sound'; ``settings`` are those beside the loader's that
        decide the values.
        """
        settings = dict(loader=self.loaders[kind], **settings)
        text = json.dumps(settings, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return MediaCache(self.folder / f'{kind}-{digest}', settings)

    def _open(self) -> list[tuple]:
        """Opens the parts: localizer, kind, cache and shapes of each."""
        caches: dict[Path, MediaCache] = {}
        parts = []
        for name, kinds in self.manifest.items():
            for kind, entry in kinds.items():
                cache = self.part(kind, entry['settings'])
                if cache.folder.name != entry['folder']:
                    raise DataError(
                        f'{self.folder}: the features are of frames or sounds that '
                        "were read otherwise than this config's "
                        f'{self.loaders[kind]}. '
                        f'Compute them again ({BUILD}), or set the config back.'
                    )
                cache = caches.setdefault(cache.folder, cache)
                parts.append((name, kind, cache, entry['shapes']))
        return parts
