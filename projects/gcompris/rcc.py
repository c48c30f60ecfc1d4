"""Reader of Qt's binary resource files (.rcc)."""

import struct
import zlib
from pathlib import Path

from mmxpl.utils import DataError

# flags of a tree node
_ZLIB, _FOLDER, _ZSTD = 1, 2, 4


def read_rcc(path: str | Path) -> dict[str, bytes]:
    """Reads all files of an .rcc of format 1 to 3, by path within the resource.

    The format is that of Qt's ``rcc`` (qtbase, src/tools/rcc/rcc.cpp): a header,
    a tree of nodes of fixed size, names in UTF-16 and contents with their length,
    all numbers big-endian.

    Raises:
        DataError: If the file is missing, no .rcc, cut off or packed with zstd.
    """
    try:
        blob = Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f'{path}: the resource cannot be read ({error.strerror}). Unpack '
            'gcompris-qt-data with dpkg -x and name the folder.'
        ) from error
    try:
        return _Reader(blob).files()
    except (struct.error, IndexError, ValueError, zlib.error, RecursionError) as error:
        raise DataError(
            f'{path}: no complete .rcc file ({error}). Unpack the package again.'
        ) from error


class _Reader:
    """Tree of a resource file."""

    def __init__(self, blob: bytes) -> None:
        if blob[:4] != b'qres':
            raise ValueError('it does not begin with qres')
        self.blob = blob
        version, self.tree, self.data, self.names = struct.unpack_from('>4I', blob, 4)
        if version not in (1, 2, 3):
            raise ValueError(f'its format is {version}, not 1 to 3')
        # from format 2 on a node ends with the time of the last change
        self.node_size = 14 if version == 1 else 22

    def files(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        self._walk(0, '', found)
        return found

    def _walk(self, index: int, folder: str, found: dict[str, bytes]) -> None:
        """Adds what is below a folder node."""
        _, _, count, first = self._node(index)
        for child in range(first, first + count):
            if child <= index:
                raise ValueError('a folder contains itself')
            name, flags, _, offset = self._node(child)
            path = f'{folder}/{self._name(name)}'.lstrip('/')
            if flags & _FOLDER:
                self._walk(child, path, found)
            else:
                found[path] = self._content(offset, flags)

    def _node(self, index: int) -> tuple[int, int, int, int]:
        """Reads name, flags, number of children and first child or offset of a node."""
        at = self.tree + index * self.node_size
        return struct.unpack_from('>IHII', self.blob, at)

    def _name(self, offset: int) -> str:
        """Reads the name of a node."""
        at = self.names + offset
        (length,) = struct.unpack_from('>H', self.blob, at)
        # a hash stands between length and text
        return self._cut(at + 6, 2 * length).decode('utf-16-be')

    def _content(self, offset: int, flags: int) -> bytes:
        """Reads the content of a file."""
        at = self.data + offset
        (length,) = struct.unpack_from('>I', self.blob, at)
        content = self._cut(at + 4, length)
        if flags & _ZSTD:
            raise ValueError('a file in it is packed with zstd, which is not read')
        # the length of what was packed stands before it
        return zlib.decompress(content[4:]) if flags & _ZLIB else content

    def _cut(self, start: int, length: int) -> bytes:
        """Slices the file; raises if it ends before."""
        if start + length > len(self.blob):
            raise ValueError('it is cut off')
        return self.blob[start : start + length]
