"""Media files: how they are found, and their limits.

What is refused is a DataError that names file and remedy; ``what`` is the kind of file
in it, such as 'frame' or 'sound'.
"""

import os
import os.path as osp
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from mmxpl.utils import DataError

from .id_list import all_match, same_id

# relative, and as os.path.normpath() gives it
_PLAIN_PATHS = re.compile(r'(?:[A-Za-z0-9_-][A-Za-z0-9_ .+-]*[/\n])*')
_MOMENT = re.compile(r'(.*)#t=(-?\d+\.\d{6})', re.DOTALL)
MAX_PIXELS = 2**25
"""int: most pixels of an image or of a frame of a video; 7680 x 4320 are fewer."""


REMEDY = 'Restore the file, name another, or leave it out.'
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
        dict[str, str]: By stem in the form of an id
        (:func:`~mmxpl.datasets.id_list.same_id`) what :func:`media_paths` makes the
        path from: the suffix as it is written, or ``/NAME`` if the stem is not the id.
    """
    found, ends = {}, {}

    def preference(end: str) -> tuple[int, str]:
        return suffixes.index(osp.splitext(f'_{end}')[1].lower()), end

    try:
        for entry in os.scandir(folder):
            stem, _, suffix = entry.name.rpartition('.')
            end = ends.get(suffix)
            if end is None:
                end = f'.{suffix}' if f'.{suffix}'.lower() in suffixes else ''
                ends[suffix] = end
            if end and stem.strip('.'):
                if not stem.isascii() and (sample_id := same_id(stem)) != stem:
                    stem, end = sample_id, f'/{entry.name}'
                if (known := found.setdefault(stem, end)) is not end:
                    found[stem] = min(known, end, key=preference)
    except OSError as error:
        raise DataError(
            f'{folder}: the media folder cannot be listed ({error.strerror}). Set '
            'data_root (or the environment variable MMXPL_DATA_ROOT) and data_prefix '
            'to where the files are.'
        ) from error
    return found


def media_paths(
    folder: str, ids: Iterable[str], ends: Iterable[str | None]
) -> Iterator[str | None]:
    """Makes paths from the ids and values of :func:`list_media`; None where it is None.

    They are made when needed: of a million they take 100 MB.
    """
    prefix = osp.join(folder, '')
    for sample_id, end in zip(ids, ends, strict=True):
        if end is None:
            yield None
        else:
            yield prefix + (sample_id + end if end[0] == '.' else end[1:])


def existing_paths(
    paths: Sequence[str | None], listed: dict | None = None
) -> list[str | None]:
    """Finds out which files exist; ``listed`` keeps what folders hold for later calls.

    Returns:
        list[str | None]: Each path in the spelling of the file system, or None if there
        is no such file. Names that differ in Unicode composition only are the same.
    """
    listed, existing = {} if listed is None else listed, []
    current = None
    for path in paths:
        if path is not None:
            folder, slash, name = path.rpartition('/')
            if folder != current or not folder:
                current, key = folder, folder + slash
                if key not in listed:
                    listed[key] = _list_names(key)
                names = listed[key]
            if name not in names:
                found = names.composed.get(same_id(name))
                path = None if found is None else folder + slash + found
        existing.append(path)
    return existing


class _Names(set):
    """Names in a folder."""

    @cached_property
    def composed(self) -> dict[str, str]:
        """dict[str, str]: names that are no ASCII by the form of an id."""
        return {same_id(name): name for name in self if not name.isascii()}


def _list_names(folder: str) -> _Names:
    try:
        return _Names([entry.name for entry in os.scandir(folder or '.')])
    except OSError:  # a missing folder holds none of the files
        return _Names()


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
