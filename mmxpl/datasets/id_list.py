"""Reads lists of clip ids."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from mmxpl.utils import DataError

# endings that published lists carry behind the id
MEDIA_SUFFIXES = ('.jpg', '.jpeg', '.png', '.wav')


def read_id_list(path: str | Path) -> list[str]:
    """Reads the ids of a txt or csv file, one a line, in the file's order.

    Of a line with several columns the first is taken. Line ends of any system,
    a byte-order mark, blank lines, spaces around the id and a media file's
    ending (``.jpg``, ``.jpeg``, ``.png``, ``.wav``) are no part of the id.

    Args:
        path (str | Path): the file.

    Returns:
        list[str]: The ids, all different.

    Raises:
        DataError: If the file is missing, empty or no text, if an id stands
            there twice, or if one would lead out of the data folder.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode('utf-8-sig')
    except OSError as error:
        raise DataError(
            f'{path}: the id list cannot be read ({error.strerror}). Set id_list to '
            'a text file with one id a line, absolute or below data_root.'
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f'{path}: the id list is not UTF-8 text. Save it as plain text with one '
            'id a line.'
        ) from error
    try:
        rows = list(csv.reader(text.splitlines()))
    except csv.Error as error:
        raise DataError(
            f'{path}: the id list is not plain text or csv ({error}). Save it with '
            'one id a line.'
        ) from error
    ids = [
        clean_id(row[0], f'{path}, row {number}')
        for number, row in enumerate(rows, 1)
        if row and row[0].strip()
    ]
    if not ids:
        raise DataError(f'{path}: the id list holds no id. Put one id on each line.')
    refuse_duplicates(ids, path)
    return ids


def refuse_duplicates(ids: Iterable[str], source: str | Path) -> None:
    """Makes sure that no id occurs twice.

    Args:
        ids (Iterable[str]): the ids.
        source (str | Path): the file they come from, for the message.

    Raises:
        DataError: If one does, with the count and the first five names.
    """
    doubles = [i for i, count in Counter(ids).items() if count > 1]
    if doubles:
        raise DataError(
            f'{source}: {len(doubles)} ids occur more than once '
            f'({name_some(doubles)}). Keep each once.'
        )


def name_some(ids: Sequence[str], limit: int = 5) -> str:
    """Writes the first few ids for a message.

    Args:
        ids (Sequence[str]): the ids.
        limit (int): how many to write out. Defaults to 5.

    Returns:
        str: For example ``a, b, c, d, e, ...``.
    """
    more = ', ...' if len(ids) > limit else ''
    return ', '.join(ids[:limit]) + more


def clean_id(field: str, where: str) -> str:
    """Cleans one field of a list and refuses what is no id.

    Args:
        field (str): as it stands in the file.
        where (str): file and row, for the message.

    Returns:
        str: The id, without spaces and a media file's ending.

    Raises:
        DataError: If it would lead out of the data folder or is no text.
    """
    sample_id = field.strip()
    for suffix in MEDIA_SUFFIXES:
        if sample_id.lower().endswith(suffix):
            sample_id = sample_id[: -len(suffix)]
            break
    path = PurePosixPath(sample_id.replace('\\', '/'))
    if path.is_absolute() or '..' in path.parts or not path.name:
        raise DataError(
            f"{where}: the id '{field}' leads out of the data folder. Write the "
            "clip's bare name."
        )
    if not sample_id.isprintable():
        raise DataError(
            f'{where}: the id {field!r} holds control characters. Save the list as '
            'plain text with one id a line.'
        )
    return sample_id
