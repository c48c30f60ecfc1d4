"""Reads heat maps one at a time, from a folder or from an archive."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmxpl.datasets.id_list import refuse_duplicates
from mmxpl.utils import DataError


@dataclass(frozen=True)
class MapFiles:
    """Maps on disk by id; :meth:`read` holds one of them in memory.

    Attributes:
        source (str): The folder or archive.
        ids (frozenset[str]): Which maps there are.
        load (Callable): Takes an id, gives the array as it is stored.
    """

    source: str
    ids: frozenset[str]
    load: Callable[[str], np.ndarray]

    def read(self, sample_id: str) -> Tensor:
        """Reads and checks one map.

        Args:
            sample_id (str): One of :attr:`ids`.

        Returns:
            Tensor: (h, w) float32 in [0, 1].

        Raises:
            DataError: If it cannot be read, is not two-dimensional, is not
                finite, or leaves [0, 1].
        """
        where = f"{self.source}: the map of '{sample_id}'"
        try:
            array = self.load(sample_id)
        except Exception as error:  # whatever damage leads to, MemoryError as well
            raise DataError(
                f'{where} cannot be read ({error}). Write it anew with numpy.save or '
                'numpy.savez.'
            ) from error
        if not isinstance(array, np.ndarray):
            raise DataError(
                f'{where} is no array but {type(array).__name__}: write it with '
                'numpy.save or numpy.savez.'
            )
        if array.ndim != 2 or array.size == 0:
            raise DataError(
                f'{where} has the shape {array.shape}: it must be two-dimensional, '
                '(height, width). Drop axes of length 1, choose one channel.'
            )
        if array.dtype.kind not in 'fbiu':
            raise DataError(
                f'{where} holds {array.dtype} values: store real numbers in [0, 1].'
            )
        one = torch.from_numpy(array.astype(np.float32))
        low, high = (float(v) for v in one.aminmax())
        # a comparison with NaN is false, so NaN is caught as well
        if not (low >= 0 and high <= 1):
            bad = int((~one.isfinite()).sum())
            raise DataError(
                f'{where} holds {bad} values that are NaN or infinite: find the cause '
                'where the maps were made.'
                if bad
                else f'{where} is not in [0, 1] but in [{low:g}, {high:g}]: bring all '
                'maps there by one and the same function, such as (x + 1) / 2 for '
                'cosines or x / 255 for bytes.'
            )
        return one


def open_maps(path: str) -> MapFiles:
    """Opens a folder of ``ID.npy`` or an ``.npz`` of id to map.

    Args:
        path (str): The folder (subfolders become part of the id, as in
            ``sub/ID``) or the archive.

    Returns:
        MapFiles: The maps; none is read yet.

    Raises:
        DataError: If there is no map.
    """
    source = Path(path)
    if source.is_dir():
        files = {
            file.relative_to(source).with_suffix('').as_posix(): file
            for file in source.rglob('*.npy')
        }
        found = MapFiles(path, frozenset(files), lambda i: _load(files[i]))
    elif source.is_file() and zipfile.is_zipfile(source):
        found = _open_archive(path)
    else:
        raise DataError(
            f'{path}: is neither a folder of ID.npy files nor an .npz archive of id to '
            'map. Write the maps with numpy.save or numpy.savez.'
        )
    if not found.ids:
        raise DataError(f'{path}: holds no map. Write one ID.npy, or entry, per clip.')
    return found


def _open_archive(path: str) -> MapFiles:
    """Lists the entries of an archive."""
    try:
        archive = _load(Path(path))
    except Exception as error:  # whatever damage leads to
        raise DataError(
            f'{path}: the archive cannot be read ({error}). Write it anew with '
            'numpy.savez.'
        ) from error
    refuse_duplicates(archive.files, path)
    return MapFiles(path, frozenset(archive.files), archive.__getitem__)


def _load(path: Path) -> np.ndarray | np.lib.npyio.NpzFile:
    # a pickle could run any code
    return np.load(path, allow_pickle=False)
