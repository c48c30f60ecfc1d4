"""Memory-mapped caches of decoded media: reading, and resumable building.

A cache that is missing, damaged or of other settings, or that does not hold a file as
it is now, is a DataError, as are files of which none can be built.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.filesize import decimal

from mmxpl.utils import DataError
from mmxpl.utils.files import locked, write_atomically
from mmxpl.utils.parallel import try_in_threads

from .media import REMEDY, split_time

DATA, INDEX, FACTS, JOURNAL = 'data.npy', 'index.npy', 'settings.json', 'journal'
# increased when read_frame or read_waveform give other values for the same file, by
# more than rounding (2e-7)
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
# rows between two moments from which an interrupted build can continue
FLUSH = 256
BUILD = 'python tools/dataset_converters/build_cache.py CONFIG [--method NAME]'

# array of a file, and height and width of the image in it (zeros for a sound)
Decoded = tuple[np.ndarray, tuple[int, int]]
# the same behind size and time of change of the file, taken before it was read
Stamped = tuple[tuple[int, int], Decoded]


class MediaCache:
    """Frames or sounds of one kind as a transform would decode them.

    The folder holds ``data.npy`` (one array per file, memory-mapped and therefore
    shared by all workers), ``index.npy`` (row, size and time of change by file) and
    ``settings.json`` (what decided the values). :func:`build_cache` writes it.

    A cache that differs from what the files would give is refused: other settings or
    decoders, a file changed since, damage. Files are identified by their name relative
    to the cache, so both can move together.

    The cache is opened at the first use in each process and pickled as its path.

    Args:
        folder (str | Path): The folder.
        settings (Mapping): What decides the values, as plain JSON values.
    """

    def __init__(self, folder: str | Path, settings: Mapping) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.settings = {'format': FORMAT, **settings}
        self._data: np.ndarray | None = None
        # from the cache to the folders of files, of which there are few
        self._places: dict[str, str] = {}

    def __getstate__(self) -> dict:
        return dict(folder=self.folder, settings=self.settings, _data=None, _places={})

    def read(self, path: str) -> Decoded:
        """Reads the decoded content of a file.

        ``path`` may name a moment of it (:func:`~mmxpl.datasets.media.at_time`). The
        array is a copy.
        """
        entry = self.find(path)
        height, width = entry['ori_shape'].tolist()
        return np.array(self._data[entry['row']]), (height, width)

    def find(self, path: str) -> np.void:
        """Finds the :data:`ENTRY` of a file and checks that the file did not change."""
        if self._data is None:
            self._open()
        key = self.key(path)
        place = int(self._keys.searchsorted(key))
        if place == len(self._keys) or self._keys[place] != key:
            raise self._error(f"does not hold '{path}'{self._moved(path)}")
        entry = self._index[place]
        if (entry['size'], entry['mtime']) != stamp(path):
            raise self._error(f"is stale: '{path}' changed since it was built")
        return entry

    def key(self, path: str) -> bytes:
        """Hashes the name of a file relative to the cache."""
        folder, name = os.path.split(path)
        if name in ('', '.', '..'):
            name = os.path.relpath(path, self.folder)
        else:
            if folder not in self._places:
                place = os.path.relpath(folder or '.', self.folder)
                self._places[folder] = '' if place == '.' else f'{place}/'
            name = self._places[folder] + name
        return hashlib.blake2b(name.encode(), digest_size=16).hexdigest().encode()

    def _moved(self, path: str) -> str:
        """Explains a missing file that is outside the folder of the cached ones."""
        below, here = self._below, os.path.relpath(path, self.folder)
        if below is None or os.path.relpath(here, below).split(os.sep)[0] != os.pardir:
            return ''
        return (
            f", which is '{here}' as seen from the cache, while its files are below "
            f"'{below}': one was moved without the other; move it back"
        )

    def _open(self) -> None:
        """Opens and checks the cache."""
        if not self.folder.is_dir():
            raise DataError(
                f'{self.folder}: there is no such cache. Build it ({BUILD}), or set '
                'cache=None in the config.'
            )
        try:
            facts = json.loads((self.folder / FACTS).read_text())
            index = (self.folder / INDEX).read_bytes()
            settings, digest = facts['settings'], facts['index']
            self._below = facts.get('below')
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._error(f'is incomplete or damaged ({error})') from error
        if settings != self.settings:
            differences = ', '.join(
                f'{n} is {settings.get(n)!r} and should be {self.settings.get(n)!r}'
                for n in {**self.settings, **settings}
                if settings.get(n) != self.settings.get(n)
            )
            raise self._error(f'is of other data: {differences}')
        if hashlib.sha256(index).hexdigest() != digest:
            raise self._error(f'is damaged: {INDEX} is not the one in {FACTS}')
        self._index = np.load(io.BytesIO(index))
        # searching a field of the index would copy the field each time
        self._keys = np.ascontiguousarray(self._index['key'])
        try:
            data = np.load(self.folder / DATA, mmap_mode='r')
        except Exception as error:  # damage can raise anything
            raise self._error(f'is damaged: {DATA} ({error})') from error
        if len(data) != len(self._index):
            raise self._error(f'is damaged: {DATA} has {len(data)} rows')
        self._data = data

    def _error(self, what: str) -> DataError:
        """Makes the error about an unusable cache."""
        return DataError(
            f'{self.folder}: the cache {what}. Build it again ({BUILD} --overwrite), '
            'or set cache=None in the config.'
        )


def stamp(path: str) -> tuple[int, int]:
    """Reads what tells whether a file changed: size in bytes, time of change in ns."""
    try:
        found = os.stat(split_time(path)[0])
    except OSError as error:
        raise DataError(
            f'{path}: the file cannot be read ({error.strerror}). {REMEDY}'
        ) from error
    return found.st_size, found.st_mtime_ns


def decode_files(
    decode: Callable[[str], Decoded], paths: Iterable[str], workers: int = 1
) -> Iterator[Stamped | DataError]:
    """Decodes files in threads, in order, to what :func:`build_cache` writes.

    ``decode`` gives arrays of one shape; where it raises a DataError, that is yielded.
    """
    # stamped first, so that a change while reading is noticed later
    return try_in_threads(lambda path: (stamp(path), decode(path)), paths, workers)


def build_cache(
    cache: MediaCache,
    decode: Callable[[Sequence[str]], Iterator[Stamped | DataError]],
    paths: Sequence[str],
    overwrite: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> None:
    """Decodes files, each named once, into a cache.

    The cache is written to a folder ``NAME.part`` and renamed when complete. After an
    interruption the next build of the same files continues from that folder. Files that
    cannot be decoded are named together, and only one build runs at a time.

    ``decode`` gives the content of files in their order, such as :func:`decode_files`.
    Another cache is replaced with ``overwrite`` only. ``advance`` is called with the
    number of files done since the last call.
    """
    folder = cache.folder
    if folder.exists() and not (overwrite and (folder / FACTS).is_file()):
        raise DataError(
            f'{folder}: exists already and is not the cache wanted. Choose another '
            'folder or, if it is a cache that no run needs, pass --overwrite.'
        )
    failed: list[DataError] = []
    with _locked_folder(folder) as part, open(part / DATA, 'ab+') as file:
        known = _resume(part, file, cache, paths)
        advance(known)
        rest = paths[known:]
        with open(part / JOURNAL, 'ab') as journal:
            fresh: list[tuple] = []
            rows = range(known, len(paths))
            for row, path, done in zip(rows, rest, decode(rest), strict=True):
                advance(1)
                if isinstance(done, DataError):
                    failed.append(done)
                if failed:  # continue only to find all errors
                    continue
                (size, mtime), (array, ori_shape) = done
                if row == 0:
                    _write_header(file, array, len(paths))
                file.write(np.ascontiguousarray(array))
                fresh.append((cache.key(path), row, size, mtime, ori_shape))
                if len(fresh) == FLUSH:
                    _flush(file, journal, fresh)
            _flush(file, journal, fresh)
        if failed:
            shutil.rmtree(part)
            raise DataError(
                f'{folder}: {len(failed)} of {len(paths)} files cannot be decoded, so '
                'there is no cache. ' + ' '.join(str(error) for error in failed[:5])
            )
        folders = {os.path.dirname(path) for path in paths}
        common = os.path.commonpath([os.path.abspath(name) for name in folders])
        below = os.path.relpath(common, folder)
        _write_index(part, dict(settings=cache.settings, below=below))
        _replace(part, folder)


@contextmanager
def _locked_folder(folder: Path) -> Iterator[Path]:
    """Folder to build in, for one process at a time."""
    part = folder.with_name(f'{folder.name}.part')
    lock = folder.with_name(f'{folder.name}.lock')
    try:
        part.mkdir(parents=True, exist_ok=True)
        with locked(lock, f'{part}: another build is running.'):
            yield part
    except OSError as error:
        raise DataError(
            f'{folder}: could not be written ({error}). Is the disk full, or the '
            'folder protected? What is done is kept; the same command goes on.'
        ) from error


def _resume(
    part: Path, file: io.BufferedRandom, cache: MediaCache, paths: Sequence[str]
) -> int:
    """Number of rows of an interrupted build; cuts off those that do not fit."""
    entries, settings = np.empty(0, ENTRY), {}
    try:
        settings = json.loads((part / FACTS).read_text())['building']
        entries = np.fromfile(part / JOURNAL, ENTRY)  # without half an entry at its end
        file.seek(0)
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError('another version')
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        first = file.tell()
    except (OSError, ValueError, KeyError, TypeError):
        shape, first, dtype = (0,), 0, np.dtype('u1')
    row = int(np.prod(shape[1:])) * dtype.itemsize
    size = os.fstat(file.fileno()).st_size
    count = min(len(entries), (size - first) // row) if row and first else 0
    if settings != cache.settings or shape[0] != len(paths):
        count = 0
    for k, (path, entry) in enumerate(zip(paths[:count], entries, strict=False)):
        found = (entry['size'], entry['mtime'])
        if entry['key'] != cache.key(path) or found != stamp(path):
            count = k
            break
    file.truncate(first + count * row if count else 0)
    (part / JOURNAL).write_bytes(entries[:count].tobytes())
    (part / FACTS).write_text(json.dumps(dict(building=cache.settings)))
    return count


def _write_header(file: io.BufferedRandom, first: np.ndarray, count: int) -> None:
    """Writes the header of the data if there is room for all of it."""
    folder = os.path.dirname(file.name)
    need, free = count * first.nbytes, shutil.disk_usage(folder)[2]
    if need > free:
        raise DataError(
            f'{folder}: the cache needs {decimal(need)}, the disk has {decimal(free)}. '
            'Set cache to a folder on another disk.'
        )
    header = np.lib.format.header_data_from_array_1_0(first)
    header['shape'] = (count, *first.shape)
    np.lib.format.write_array_header_1_0(file, header)


def _flush(file: io.BufferedRandom, journal: io.BufferedWriter, fresh: list) -> None:
    """Brings rows to the disk, then records in the journal that they are there."""
    _sync(file)
    journal.write(np.array(fresh, ENTRY).tobytes())
    fresh.clear()
    _sync(journal)


def _write_index(part: Path, facts: dict) -> None:
    """Writes index and facts from the journal of a complete build."""
    buffer = io.BytesIO()
    np.save(buffer, np.sort(np.fromfile(part / JOURNAL, ENTRY), order='key'))
    index = buffer.getvalue()
    facts = dict(facts, index=hashlib.sha256(index).hexdigest())
    write_atomically(part / INDEX, index)
    write_atomically(part / FACTS, json.dumps(facts, indent=2).encode() + b'\n')
    (part / JOURNAL).unlink()


def _sync(file: io.BufferedIOBase) -> None:
    """Brings a file to the disk, before a rename declares it complete."""
    file.flush()
    os.fsync(file.fileno())


def _replace(part: Path, folder: Path) -> None:
    """Puts a complete cache into its place."""
    old = folder.with_name(f'{folder.name}.old')
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
