"""Finds media files with one listing of each folder."""

import os
import os.path as osp
from collections.abc import Iterable, Sequence

from mmxpl.utils import DataError


def list_media(folder: str, suffixes: Sequence[str]) -> dict[str, str]:
    """Lists the media files of a folder by their stem.

    One listing instead of a look-up per clip: on network disks the difference
    is minutes.

    Args:
        folder (str): the folder; its subfolders are not entered.
        suffixes (Sequence[str]): lower-case endings, the preferred one first
            for stems that occur with several.

    Returns:
        dict[str, str]: File name by stem.

    Raises:
        DataError: If the folder cannot be listed.
    """
    order = {suffix: rank for rank, suffix in enumerate(suffixes)}
    found: dict[str, str] = {}
    ranks: dict[str, tuple[int, str]] = {}
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError as error:
        raise DataError(
            f'{folder}: the media folder cannot be listed ({error.strerror}). Set '
            'data_root (or the environment variable MMXPL_DATA_ROOT) and data_prefix '
            'to where the files are.'
        ) from error
    for name in names:
        stem, suffix = osp.splitext(name)
        rank = order.get(suffix.lower())
        if rank is not None and (stem not in ranks or (rank, name) < ranks[stem]):
            ranks[stem] = (rank, name)
            found[stem] = name
    return found


def existing_paths(paths: Iterable[str]) -> set[str]:
    """Finds out which of many files exist.

    Args:
        paths (Iterable[str]): paths of files.

    Returns:
        set[str]: Those that exist.
    """
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault(osp.dirname(path), []).append(path)
    existing = set()
    for folder, members in folders.items():
        try:
            names = {entry.name for entry in os.scandir(folder or '.')}
        except OSError:  # a folder that is not there holds none of the files
            continue
        existing.update(path for path in members if osp.basename(path) in names)
    return existing


def path_inside(folder: str, path: object, where: str) -> str:
    """Joins a path from an annotation file to its folder.

    Args:
        folder (str): the folder; '' is the working directory.
        path (object): should be a path below it.
        where (str): file, index and field, for the message.

    Returns:
        str: The joined, normalised path.

    Raises:
        DataError: If it is no path or leads out of the folder.
    """
    if not isinstance(path, str) or not path or '\0' in path:
        raise DataError(f"{where} must be a file's path, got {path!r}.")
    relative = osp.normpath(path)
    if osp.isabs(relative):
        relative = osp.relpath(relative, folder or '.')
    if relative.split(os.sep)[0] in ('.', '..'):
        raise DataError(
            f"{where}: '{path}' leads out of the data folder "
            f'{osp.abspath(folder)}. Write the path relative to it.'
        )
    return osp.join(folder, relative)
