"""Media files: how they are found, and their limits.

What is refused is a DataError that names file and remedy; ``what`` is the kind of file
in it, such as 'frame' or 'sound'.
"""

import os
import os.path as osp
import re
import stat
from collections.abc import Sequence

from mmxpl.utils import DataError

from .id_list import all_match, same_id

# relative, and as os.path.normpath() gives it
_PLAIN_PATHS = re.compile(r'(?:[A-Za-z0-9_-][A-Za-z0-9_ .+-]*[/\n])*')
_MOMENT = re.compile(r'(.*)#t=(-?\d+\.\d{6})', re.DOTALL)
MAX_PIXELS = 2**25
"""int: most pixels of an image or of a frame of a video; 7680 x 4320 are fewer."""


REMEDY = 'Restore the file or name another; if a list of clips has its id, take it out.'
"""str: end of the errors about files that cannot be used."""


def check_regular(path: str, what: str) -> int:
    """Returns the size of a file in bytes; refuses what is missing, a pipe or a device.

    Reading from those may never end.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
    else:
        if stat.S_ISREG(found.st_mode):
            return found.st_size
        reason = 'it is a folder, pipe or device'
    raise DataError(f'{path}: the {what} cannot be read ({reason}). {REMEDY}')


def check_pixels(path: str, height: int, width: int, what: str) -> None:
    """Refuses an image of no pixels, or of more than :data:`MAX_PIXELS`."""
    if height <= 0 or width <= 0:
        raise DataError(
            f'{path}: the {what} has no size that can be read, or one of more than '
            f'{MAX_PIXELS} pixels. Make the file anew, smaller.'
        )
    if height * width > MAX_PIXELS:
        raise DataError(
            f'{path}: the {what} of {width} x {height} exceeds the limit of '
            f'{MAX_PIXELS} pixels. Make the file smaller or leave it out.'
        )


def at_time(path: str, time: float | None) -> str:
    """Names a time in a file, ``PATH#t=SECONDS`` (W3C Media Fragments 1.0)."""
    return path if time is None else f'{path}#t={time:.6f}'


def split_time(source: str) -> tuple[str, float | None]:
    """Splits what :func:`at_time` made into the path and the seconds."""
    found = _MOMENT.fullmatch(source)
    return (found[1], float(found[2])) if found else (source, None)


def list_media(folder: str, suffixes: Sequence[str]) -> dict[str, str]:
    """Lists the media files of a folder by stem; subfolders are not searched.

    One listing is faster than a look-up per clip, by minutes on network disks. Of files
    with the same stem the one whose suffix (lower case) comes first is taken.

    Returns:
        dict[str, str]: File name by stem in the form of an id
        (:func:`~mmxpl.datasets.id_list.same_id`).
    """
    ends = tuple(suffixes)
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError as error:
        raise DataError(
            f'{folder}: the media folder cannot be listed ({error.strerror}). Set '
            'data_root (or the environment variable MMXPL_DATA_ROOT) and data_prefix '
            'to where the files are.'
        ) from error

    names = [name for name in names if name.lower().endswith(ends)]
    stems = [name.rpartition('.')[0] for name in names]
    pairs = zip(stems, names, strict=True)
    found = {same_id(stem): name for stem, name in pairs if stem.strip('.')}
    if len(found) < len(names):  # the last of a stem is kept, so the best comes last
        rank = {end: n for n, end in enumerate(ends)}
        pairs = [
            (rank[name[len(stem) :].lower()], name, stem)
            for stem, name in zip(stems, names, strict=True)
        ]
        pairs.sort(reverse=True)
        found = {same_id(stem): name for _, name, stem in pairs if stem.strip('.')}
    return found


def existing_paths(
    paths: Sequence[str | None], listed: dict | None = None
) -> list[str | None]:
    """Finds out which files exist; ``listed`` keeps what folders hold for later calls.

    Returns:
        list[str | None]: Each path in the spelling of the file system, or None if there
        is no such file. Names that differ in Unicode composition only are the same.
    """
    listed, existing = {} if listed is None else listed, []
    folder, cut = None, 0
    for path in paths:
        if path is not None:
            if folder is None or path[:cut] != folder or '/' in path[cut:]:
                cut = path.rfind('/') + 1
                folder = path[:cut]
                if folder not in listed:
                    listed[folder] = _list_names(folder)
                names, composed = listed[folder]
            if path[cut:] not in names:
                found = composed.get(same_id(path[cut:]))
                path = None if found is None else folder + found
        existing.append(path)
    return existing


def _list_names(folder: str) -> tuple[set[str], dict[str, str]]:
    """Names in a folder, and those that are no ASCII by the form of an id."""
    try:
        names = {entry.name for entry in os.scandir(folder or '.')}
    except OSError:  # a missing folder holds none of the files
        names = set()
    if ''.join(names).isascii():
        return names, {}
    return names, {same_id(name): name for name in names if not name.isascii()}


def plain_paths(folder: str, paths: Sequence) -> list[str] | None:
    """Does what :func:`path_inside` does for many paths; None if one is unusual."""
    if not set(map(type, paths)) <= {str} or not all_match(_PLAIN_PATHS, paths):
        return None
    folder = osp.join(folder, '')
    return [folder + path for path in paths]


def path_inside(folder: str, path: object, where: str) -> str:
    """Joins a path from an annotation file to its folder; '' is the working directory.

    A path that leads out of the folder is refused; ``where`` is file, index and field.
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
