"""Files that are either whole or not there."""

import errno
import fcntl
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from .errors import DataError

SUFFIX = '.tmp'
# errors of drives without locks
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def draft_of(path: str | Path, keep_suffix: bool = False) -> Path:
    """Names the hidden draft of a file, in the same folder.

    With ``keep_suffix`` it has the suffix of the file, for writers that choose a format
    by it; searches by suffix then find the draft, too.
    """
    path = Path(path)
    end = path.suffix if keep_suffix else ''
    return path.with_name(f'.{path.name}{SUFFIX}{end}')


@contextmanager
def atomic_path(path: str | Path, keep_suffix: bool = False) -> Iterator[Path]:
    """Yields a hidden draft beside a file, which replaces the file at the end.

    If the block raises, the draft is removed and a former file stays as it was. For
    ``keep_suffix`` see :func:`draft_of`. A full disk or a read-only folder raises an
    OSError.
    """
    draft = draft_of(path, keep_suffix)
    try:
        yield draft
        publish(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def publish(draft: str | Path, path: str | Path) -> None:
    """Renames a complete draft, in the folder of the file, to the file.

    It waits until all is on the disk, so that the file is also whole after a power cut.
    This takes milliseconds a file.
    """
    _sync(draft)
    os.replace(draft, path)
    with suppress(OSError):  # some network drives cannot
        _sync(Path(path).parent)


def _sync(path: str | Path) -> None:
    """Brings a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: str | Path, content: bytes) -> None:
    """Writes a file of an existing folder atomically, see :func:`atomic_path`."""
    with atomic_path(path) as draft, open(draft, 'wb') as file:
        file.write(content)


def files_below(folder: str | Path) -> list[Path]:
    """Finds the files below a folder, sorted, in linked folders as well, each once.

    A folder with several paths is found by the first of them without links.
    """
    known, found, tops = set(), [], [str(folder)]
    for top in tops:
        for place, folders, names in os.walk(top):
            real = os.path.realpath(place)
            if real in known:  # as where a link leads back
                folders.clear()
                continue
            known.add(real)
            found += [Path(place, name) for name in names]
            folders.sort()
            inner = (os.path.join(place, name) for name in folders)
            tops += filter(os.path.islink, inner)
    return sorted(found)


def write_result(path: str | Path, content: str | bytes) -> None:
    """Writes a file atomically, text as UTF-8, with the folders above it.

    A link, pipe or device, such as ``/dev/stdout``, is written to and stays. Raises a
    DataError if the file cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_bytes(data)
        else:
            # another process may write the same file
            draft = draft_of(path.with_name(f'{path.name}.{os.getpid()}'))
            try:
                draft.write_bytes(data)
                # there may be thousands, so that it does not wait for the disk
                os.replace(draft, path)
            finally:
                draft.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f'{path}: cannot be written ({error.strerror or error}). Is the disk full, '
            'or the folder protected?'
        ) from error


def write_array(path: str | Path, array: np.ndarray) -> None:
    """Writes an array as .npy, see :func:`write_result`."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_result(path, buffer.getvalue())


@contextmanager
def locked(path: str | Path, refusal: str) -> Iterator[None]:
    """Makes, locks and at the end removes a file, against other processes.

    The lock ends with the process, whatever ends it. On a drive without locks a warning
    is printed. A DataError with the text ``refusal`` says that another process holds
    the lock.
    """
    with open(path, 'a') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise DataError(refusal) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            print(f'warning: {path}: this drive has no locks.', file=sys.stderr)
        if not os.fstat(file.fileno()).st_nlink:  # removed by its holder just now
            raise DataError(refusal)
        try:
            yield
        finally:
            Path(path).unlink(missing_ok=True)


def remove_drafts(folder: str | Path) -> None:
    """Removes drafts of killed writers in a folder that no process is writing to."""
    for draft in Path(folder).glob(f'.*{SUFFIX}'):
        draft.unlink()
