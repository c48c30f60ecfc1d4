"""Reads lists of clip ids."""

import csv
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mmxpl.utils import DataError
from mmxpl.utils.ids import name_some

# endings that published lists carry behind the id
MEDIA_SUFFIXES = ('.jpg', '.jpeg', '.png', '.wav')
# first row of a list of pairs, and what its last column may hold
PAIR_HEADER = ['video', 'audio', 'label']
SOUNDING, NON_SOUNDING = 'sounding', 'non-sounding'


class Clip(NamedTuple):
    """One line of a list.

    Args:
        sample_id (str): name of the clip; of a pair that does not sound,
            ``FRAME+SOUND``.
        frame_id (str): clip whose frame is shown.
        audio_id (str): clip whose sound is heard.
        is_sounding (bool): False if nothing in the frame makes the sound.
    """

    sample_id: str
    frame_id: str
    audio_id: str
    is_sounding: bool = True


def plain_clip(sample_id: str) -> Clip:
    """Makes the clip of a frame with its own sound.

    Args:
        sample_id (str): its id.

    Returns:
        Clip: The clip.
    """
    return Clip(sample_id, sample_id, sample_id)


def read_id_list(path: str | Path) -> list[str]:
    """Reads the ids of a txt or csv file, all different, in the file's order.

    Args:
        path (str | Path): see :func:`read_clip_list`.

    Returns:
        list[str]: The ``sample_id`` of its clips.

    Raises:
        DataError: As :func:`read_clip_list`, or if an id stands there twice.
    """
    ids = [clip.sample_id for clip in read_clip_list(path)]
    refuse_duplicates(ids, path)
    return ids


def read_clip_list(path: str | Path) -> list[Clip]:
    """Reads the clips of a txt or csv file, one a line, in the file's order.

    Of a line with several columns the first is the id. Line ends of any system,
    a byte-order mark, blank lines, spaces around the id and a media file's
    ending (``.jpg``, ``.jpeg``, ``.png``, ``.wav``) are no part of it.

    A csv file with the first row ``video,audio,label`` lists pairs, as the
    extended test sets of SLAVC (Mo & Morgado, NeurIPS 2022) do: the label
    ``non-sounding`` says that nothing in the frame makes the sound, which may
    come from another clip.

    Args:
        path (str | Path): the file.

    Returns:
        list[Clip]: The clips; the same one may occur twice.

    Raises:
        DataError: If the file is missing, empty or no text, if an id would lead
            out of the data folder, or if a pair is malformed.
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
    lines = [
        (row, f'{path}, row {number}')
        for number, row in enumerate(rows, 1)
        if row and row[0].strip()
    ]
    parse = _parse_plain
    if lines and [field.strip() for field in lines[0][0]] == PAIR_HEADER:
        lines, parse = lines[1:], _parse_pair
    if not lines:
        raise DataError(f'{path}: the id list holds no id. Put one id on each line.')
    return [parse(row, where) for row, where in lines]


def same_id(name: str) -> str:
    """Brings an id into the form in which ids are compared (Unicode NFC).

    macOS takes names of files apart (NFD), lists and other systems do not.

    Args:
        name (str): an id, or a file's name.

    Returns:
        str: The id.
    """
    return name if name.isascii() else unicodedata.normalize('NFC', name)


def check_id(sample_id: str, where: str) -> None:
    """Refuses an id that cannot be a file's name below a folder, or a line of a list.

    Args:
        sample_id (str): the id.
        where (str): file and row or field, for the message.

    Raises:
        DataError: If it leads out of the folder or holds control characters.
    """
    path = PurePosixPath(sample_id.replace('\\', '/'))
    if path.is_absolute() or '..' in path.parts or not path.name:
        raise DataError(
            f"{where}: the id '{sample_id}' leads out of the data folder. Write the "
            "clip's bare name."
        )
    if not sample_id.isprintable():
        raise DataError(
            f'{where}: the id {sample_id!r} holds control characters or is no UTF-8 '
            "text. Write the clip's bare name."
        )


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


def _parse_plain(row: Sequence[str], where: str) -> Clip:
    """Reads a line that begins with an id."""
    return plain_clip(_parse_id(row[0], where))


def _parse_pair(row: Sequence[str], where: str) -> Clip:
    """Reads a line ``video,audio,label``."""
    if len(row) != 3:
        raise DataError(
            f'{where}: a list of pairs has three fields, {",".join(PAIR_HEADER)}, but '
            f'here are {len(row)}. Complete the line.'
        )
    frame_id, audio_id = (_parse_id(field, where) for field in row[:2])
    label = row[2].strip()
    if label == NON_SOUNDING:
        return Clip(f'{frame_id}+{audio_id}', frame_id, audio_id, False)
    if label != SOUNDING:
        raise DataError(
            f"{where}: the label must be '{SOUNDING}' or '{NON_SOUNDING}', got "
            f'{row[2]!r}.'
        )
    if frame_id != audio_id:
        raise DataError(
            f"{where}: '{frame_id}' is labeled as {SOUNDING} with the sound of "
            f"'{audio_id}', for which there are no boxes. Write {NON_SOUNDING}, or "
            'the sound that belongs to the frame.'
        )
    return plain_clip(frame_id)


def _parse_id(field: str, where: str) -> str:
    """Cleans one field of a list and refuses what is no id."""
    sample_id = field.strip()
    for suffix in MEDIA_SUFFIXES:
        if sample_id.lower().endswith(suffix):
            sample_id = sample_id[: -len(suffix)]
            break
    check_id(sample_id, where)
    return same_id(sample_id)
