"""Decoded media in memory-mapped files, read in place of the files themselves."""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmxpl.utils import DataError

from .media import split_time

DATA, INDEX, FACTS = 'data.npy', 'index.npy', 'settings.json'
# raise it when read_frame or read_waveform give other values for the same file
FORMAT = 2
ENTRY = np.dtype(
    [
        ('key', 'S32'),  # sorted
        ('row', 'i8'),
        ('size', 'i8'),  # bytes of the file
        ('mtime', 'i8'),  # nanoseconds
        ('ori_shape', 'i4', 2),  # zeros for a sound
    ]
)
_BUILD = 'python tools/dataset_converters/build_cache.py CONFIG'


class MediaCache:
    """Frames or sounds of one kind, as a transform would decode them.

    It is a folder with ``data.npy`` (one array a file, memory-mapped, so that
    all workers share what the system keeps of it), ``index.npy`` (which row is
    whose, with size and time of change of the file) and ``settings.json``
    (what decided the values). Nothing of it is written here; see
    :func:`~mmxpl.datasets.media_cache_build.build_cache`.

    A cache that is not exactly what the files would give is refused: other
    settings or decoders, a file changed since, damage. The name of a file
    counts relative to the cache, so both can move together.

    It is opened at the first use in each process and pickled as its path.

    Args:
        folder (str | Path): The folder.
        settings (Mapping): What decides the values, as plain JSON values.
    """

    def __init__(self, folder: str | Path, settings: Mapping) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.settings = {'format': FORMAT, **settings}
        self._data: np.ndarray | None = None

    def __getstate__(self) -> dict:
        """Leaves the array out."""
        return dict(folder=self.folder, settings=self.settings, _data=None)

    def read(self, path: str) -> tuple[np.ndarray, tuple[int, int]]:
        """Reads what was decoded of a file.

        Args:
            path (str): The file, perhaps with a moment of it
                (:func:`~mmxpl.datasets.media.at_time`).

        Returns:
            tuple[np.ndarray, tuple[int, int]]: A copy of the array; height and
            width of the image in the file, zeros for a sound.

        Raises:
            DataError: If the cache is none or another one, or if the file is not
                in it, changed since, or gone.
        """
        entry = self.find(path)
        height, width = entry['ori_shape'].tolist()
        return np.array(self._data[entry['row']]), (height, width)

    def find(self, path: str) -> np.void:
        """Finds the entry of a file and makes sure that it is of this very file.

        Args:
            path (str): The file.

        Returns:
            np.void: Its :data:`ENTRY`.

        Raises:
            DataError: As :meth:`read`.
        """
        if self._data is None:
            self._open()
        key = self.key(path)
        place = int(np.searchsorted(self._keys, key))
        if place == len(self._keys) or self._keys[place] != key:
            raise self._error(f"does not hold '{path}'")
        entry = self._index[place]
        size, mtime = stamp(path)
        if (entry['size'], entry['mtime']) != (size, mtime):
            raise self._error(f"is stale: '{path}' changed since it was built")
        return entry

    def key(self, path: str) -> bytes:
        """Makes the key of a file out of its name relative to the cache."""
        name = os.path.relpath(path, self.folder)
        return hashlib.blake2b(name.encode(), digest_size=16).hexdigest().encode()

    def _open(self) -> None:
        """Opens and checks the cache."""
        if not self.folder.is_dir():
            raise DataError(
                f'{self.folder}: there is no such cache. Build it ({_BUILD}), or set '
                'cache=None in the config.'
            )
        try:
            facts = json.loads((self.folder / FACTS).read_text())
            index = (self.folder / INDEX).read_bytes()
            settings, digest = facts['settings'], facts['index']
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._error(f'is incomplete or damaged ({error})') from error
        if settings != self.settings:
            raise self._error(f'is of other data: {_differences(self, settings)}')
        if hashlib.sha256(index).hexdigest() != digest:
            raise self._error(f'is damaged: {INDEX} is not the one in {FACTS}')
        self._index = np.load(io.BytesIO(index))
        # a search in a field of the index would copy the field each time
        self._keys = np.ascontiguousarray(self._index['key'])
        try:
            data = np.load(self.folder / DATA, mmap_mode='r')
        except Exception as error:  # whatever damage leads to
            raise self._error(f'is damaged: {DATA} ({error})') from error
        if len(data) != len(self._index):
            raise self._error(f'is damaged: {DATA} has {len(data)} rows')
        self._data = data

    def _error(self, what: str) -> DataError:
        """Makes the message about a cache that cannot be used."""
        return DataError(
            f'{self.folder}: the cache {what}. Build it again ({_BUILD} --overwrite), '
            'or set cache=None in the config.'
        )


def stamp(path: str) -> tuple[int, int]:
    """Finds by what a file is known to be unchanged.

    Args:
        path (str): The file, perhaps with a moment of it.

    Returns:
        tuple[int, int]: Size in bytes and time of the last change in ns.

    Raises:
        DataError: If there is no such file.
    """
    try:
        found = os.stat(split_time(path)[0])
    except OSError as error:
        raise DataError(
            f'{path}: the file cannot be read ({error.strerror}). Restore it or take '
            'its id out of the list.'
        ) from error
    return found.st_size, found.st_mtime_ns


def _differences(cache: MediaCache, found: Mapping) -> str:
    """Says which settings differ."""
    wanted = cache.settings
    names = [n for n in {**wanted, **found} if wanted.get(n) != found.get(n)]
    return ', '.join(
        f'{n} is {found.get(n)!r} and should be {wanted.get(n)!r}' for n in names
    )
