"""Files that are either whole or not there."""

import os
import os.path as osp
from contextlib import suppress
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from .errors import DataError

SUFFIX = '.tmp'


def write_atomically(path: str | Path, content: bytes) -> None:
    """Writes a file such that nobody ever finds half of it.

    The content goes into a hidden file beside it, is handed to the disk, and
    takes the name only then. Where that fails, a former file stays as it was.

    Args:
        path (str | Path): The file; its folder exists.
        content (bytes): What it shall hold.

    Raises:
        OSError: If the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    draft = path.with_name(f'.{path.name}{SUFFIX}')
    try:
        with open(draft, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    _sync_folder(path.parent)


def write_result(path: str | Path, text: str) -> None:
    """Writes a text file that the user named, with the folders above it.

    Args:
        path (str | Path): The file.
        text (str): Its content.

    Raises:
        DataError: If it cannot be written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding='utf-8')
    except OSError as error:
        raise DataError(
            f'{path}: the result cannot be written ({error.strerror}). Name a file in '
            'a folder that you may write to.'
        ) from error


def remove_drafts(folder: str | Path) -> None:
    """Removes what writers left that were killed.

    Args:
        folder (str | Path): Where nobody is writing now.
    """
    for draft in Path(folder).glob(f'.*{SUFFIX}'):
        draft.unlink()


def _sync_folder(folder: Path) -> None:
    """Hands a folder's names to the disk; some network drives cannot."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class RemoveLater:
    """Stands for a file backend and puts off what it shall remove."""

    isfile, isdir, join_path = map(staticmethod, (osp.isfile, osp.isdir, osp.join))

    def __init__(self) -> None:
        self._files: list[tuple[str, int]] = []

    def remove(self, path: str) -> None:
        """Notes a file, as it is now.

        Args:
            path (str): The file.
        """
        self._files.append((path, os.stat(path).st_ino))

    def carry_out(self) -> None:
        """Removes the files noted, but none that was replaced since."""
        while self._files:
            path, number = self._files.pop()
            if osp.isfile(path) and os.stat(path).st_ino == number:
                os.unlink(path)


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """MMEngine's local files, written by :func:`write_atomically`."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes a file.

        Args:
            obj (bytes): What it shall hold.
            filepath (str | Path): The file; its folder is made if need be.
        """
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(filepath, obj)
