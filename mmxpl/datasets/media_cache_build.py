"""Builds a media cache: as a whole or not at all."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mmxpl.utils import DataError
from mmxpl.utils.threads import map_in_threads

from .media_cache import DATA, ENTRY, FACTS, INDEX, MediaCache, stamp

Decoded = tuple[np.ndarray, tuple[int, int]]


def build_cache(
    cache: MediaCache,
    decode: Callable[[str], Decoded],
    paths: Sequence[str],
    workers: int = 1,
    overwrite: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Decodes files into a cache.

    It is written to a folder ``NAME.part`` and renamed when complete; what
    raises or interrupts removes that folder.

    Args:
        cache (MediaCache): Where to, and with which settings.
        decode (Callable): Gives the array of a file, equally large for all, and
            height and width of the image in it.
        paths (Sequence[str]): The files, each once.
        workers (int): Threads. Defaults to 1.
        overwrite (bool): Whether another cache may be replaced. Defaults to
            False.
        advance (Callable): Called after each file.

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

    def work(path: str) -> tuple[str, tuple[int, int], Decoded] | DataError:
        try:
            # before the file is read, so that a change meanwhile is noticed later
            return path, stamp(path), decode(path)
        except DataError as error:
            return error

    with _workshop(folder) as part:
        entries = np.zeros(len(paths), ENTRY)
        failed: list[DataError] = []
        with open(part / DATA, 'wb') as file:
            for row, done in enumerate(map_in_threads(work, paths, workers)):
                advance()
                if isinstance(done, DataError):
                    failed.append(done)
                if failed:  # go on only to name all that is wrong
                    continue
                path, (size, mtime), (array, ori_shape) = done
                if row == 0:
                    _begin(file, array, len(paths))
                file.write(np.ascontiguousarray(array))
                entries[row] = (cache.key(path), row, size, mtime, ori_shape)
            _sync(file)
        if failed:
            raise DataError(
                f'{folder}: {len(failed)} of {len(paths)} files cannot be decoded, so '
                'there is no cache. ' + ' '.join(str(error) for error in failed[:5])
            )
        _write_index(part, entries, cache.settings)
        _replace(part, folder)


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A new folder to build in; gone afterwards unless renamed."""
    part = folder.with_name(f'{folder.name}.part')
    try:
        part.mkdir(parents=True)
    except FileExistsError:
        raise DataError(
            f'{part}: another build is at work, or one was killed. If none is '
            'running, remove this folder.'
        ) from None
    except OSError as error:
        raise DataError(f'{part}: cannot be made ({error.strerror}).') from error
    try:
        yield part
    except OSError as error:
        raise DataError(
            f'{folder}: could not be written ({error}). Is the disk full, or the '
            'folder protected?'
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _begin(file: io.BufferedWriter, first: np.ndarray, count: int) -> None:
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


def _sync(file: io.BufferedWriter) -> None:
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
