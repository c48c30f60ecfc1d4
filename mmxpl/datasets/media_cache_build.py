"""Builds a media cache: resumable, and either complete or not in its place."""

import errno
import fcntl
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mmxpl.utils import DataError
from mmxpl.utils.parallel import map_in_threads

from .media_cache import DATA, ENTRY, FACTS, INDEX, MediaCache, stamp

# what the files give: the array, and height and width of the image in the file
Decoded = tuple[np.ndarray, tuple[int, int]]
# the same with the file's size and time of change from before it was read
Stamped = tuple[tuple[int, int], Decoded]
JOURNAL = 'journal'
# rows between two moments that an interrupted build can go on from
FLUSH = 256


def decode_files(
    decode: Callable[[str], Decoded], paths: Iterable[str], workers: int = 1
) -> Iterator[Stamped | DataError]:
    """Decodes files in threads, in order.

    Args:
        decode (Callable): gives the array of a file, equally large for all.
        paths (Iterable[str]): the files.
        workers (int): threads. Defaults to 1.

    Yields:
        Stamped | DataError: what :func:`build_cache` writes, or why there is none.
    """

    def work(path: str) -> Stamped | DataError:
        try:
            # before the file is read, so that a change meanwhile is noticed later
            return stamp(path), decode(path)
        except DataError as error:
            return error

    return map_in_threads(work, paths, workers)


def build_cache(
    cache: MediaCache,
    decode: Callable[[Sequence[str]], Iterator[Stamped | DataError]],
    paths: Sequence[str],
    overwrite: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> None:
    """Decodes files into a cache.

    It is written to a folder ``NAME.part`` and renamed when complete. What interrupts
    leaves that folder, and the next build of the same files goes on where it ended.

    Args:
        cache (MediaCache): where to, and with which settings.
        decode (Callable): gives what files hold, in their order, such as
            :func:`decode_files`.
        paths (Sequence[str]): the files, each once.
        overwrite (bool): whether another cache may be replaced. Defaults to False.
        advance (Callable): called with the number of files that were done.

    Raises:
        DataError: If files cannot be decoded (all of them are counted, the first
            five named), the disk is full or protected, there is another cache
            already, or another build is at work.
    """
    folder = cache.folder
    if folder.exists() and not (overwrite and (folder / FACTS).is_file()):
        raise DataError(
            f'{folder}: exists already and is not the cache wanted. Choose another '
            'folder or, if it is a cache that no run needs, pass --overwrite.'
        )
    failed: list[DataError] = []
    with _workshop(folder) as part, open(part / DATA, 'ab+') as file:
        entries = _begin(part, file, cache, paths)
        advance(len(entries))
        with open(part / JOURNAL, 'ab') as journal:
            fresh: list[tuple] = []
            rest = paths[len(entries) :]
            for path, done in zip(rest, decode(rest), strict=True):
                advance(1)
                if isinstance(done, DataError):
                    failed.append(done)
                if failed:  # go on only to name all that is wrong
                    continue
                (size, mtime), (array, ori_shape) = done
                row = len(entries) + len(fresh)
                if row == 0:
                    _write_header(file, array, len(paths))
                file.write(np.ascontiguousarray(array))
                fresh.append((cache.key(path), row, size, mtime, ori_shape))
                if len(fresh) == FLUSH:
                    entries = _flush(file, journal, entries, fresh)
            entries = _flush(file, journal, entries, fresh)
        if failed:
            shutil.rmtree(part)
            raise DataError(
                f'{folder}: {len(failed)} of {len(paths)} files cannot be decoded, so '
                'there is no cache. ' + ' '.join(str(error) for error in failed[:5])
            )
        _write_index(part, entries, cache.settings)
        (part / JOURNAL).unlink()
        _replace(part, folder)


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A folder to build in, for one process at a time."""
    part = folder.with_name(f'{folder.name}.part')
    lock = folder.with_name(f'{folder.name}.lock')
    try:
        part.mkdir(parents=True, exist_ok=True)
        with open(lock, 'w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    raise DataError(f'{part}: another build is at work.') from None
                raise
            try:
                yield part
            finally:
                lock.unlink()
    except OSError as error:
        raise DataError(
            f'{folder}: could not be written ({error}). Is the disk full, or the '
            'folder protected? What is done is kept; the same command goes on.'
        ) from error


def _begin(
    part: Path, file: io.BufferedRandom, cache: MediaCache, paths: Sequence[str]
) -> np.ndarray:
    """Entries that an interrupted build has left; empties the folder if they differ."""
    entries = np.empty(0, ENTRY)
    settings = {}
    try:
        settings = json.loads((part / FACTS).read_text())['building']
        raw = (part / JOURNAL).read_bytes()
        entries = np.frombuffer(
            raw[: len(raw) // ENTRY.itemsize * ENTRY.itemsize], ENTRY
        )
        file.seek(0)
        shape, _, dtype = _read_header(file)
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
    entries = entries[:count].copy()
    (part / JOURNAL).write_bytes(entries.tobytes())
    (part / FACTS).write_text(json.dumps(dict(building=cache.settings)))
    return entries


def _read_header(file: io.BufferedRandom) -> tuple:
    """Reads what :func:`_write_header` wrote: shape, order, type."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError('another version')
    return np.lib.format.read_array_header_1_0(file)


def _write_header(file: io.BufferedRandom, first: np.ndarray, count: int) -> None:
    """Writes the header of the data, if there is room for all of it."""
    folder = os.path.dirname(file.name)
    need, free = count * first.nbytes, shutil.disk_usage(folder)[2]
    if need > free:
        raise DataError(
            f'{folder}: the cache needs {need / 2**30:.1f} GiB, the '
            f'disk has {free / 2**30:.1f}. Set cache to a folder on another disk.'
        )
    header = np.lib.format.header_data_from_array_1_0(first)
    header['shape'] = (count, *first.shape)
    np.lib.format.write_array_header_1_0(file, header)


def _flush(
    file: io.BufferedRandom, journal: io.BufferedWriter, entries: np.ndarray, new: list
) -> np.ndarray:
    """Brings rows to the disk, then says that they are there."""
    _sync(file)
    added = np.array(new, ENTRY)
    new.clear()
    journal.write(added.tobytes())
    _sync(journal)
    return np.concatenate([entries, added])


def _write_index(part: Path, entries: np.ndarray, settings: dict) -> None:
    """Writes index and settings."""
    buffer = io.BytesIO()
    np.save(buffer, np.sort(entries, order='key'))
    index = buffer.getvalue()
    facts = dict(settings=settings, index=hashlib.sha256(index).hexdigest())
    for name, content in (
        (INDEX, index),
        (FACTS, json.dumps(facts, indent=2).encode() + b'\n'),
    ):
        with open(part / name, 'wb') as file:
            file.write(content)
            _sync(file)


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
