"""Lists of clip ids: reading, published test lists, and ids whose files are missing.

A list that cannot be used is a DataError that names file, row and remedy.
"""

import csv
import io
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mmengine.logging import print_log

from mmxpl.utils import DataError, hash_ids
from mmxpl.utils.ids import name_some

# endings that published lists carry behind the id
MEDIA_SUFFIXES = ('.jpg', '.jpeg', '.png', '.wav')
# name of a list, what it lists, what each line holds, and its setting, for messages
_IDS = ('id list', 'id', 'one id', 'id_list')
_DUETS = ('list of pairs', 'pair', 'left id, class, right id, class', 'pairs')
# first row of a list of pairs, and the values of its last column
PAIR_HEADER = ['video', 'audio', 'label']
SOUNDING, NON_SOUNDING = 'sounding', 'non-sounding'

_PLAIN_ID = re.compile('[A-Za-z0-9_-][A-Za-z0-9_.+-]*')
_PLAIN_IDS = re.compile(rf'(?:{_PLAIN_ID.pattern}\n)*')

# what to do about clips whose files are missing
POLICIES = ('error', 'skip')

# hash_ids() of lists as EZ-VSL and SLAVC published them
PUBLISHED_LISTS = {
    '8acc0c933622': 'VGG-SS, 5158 clips',
    '619bccbc43cd': 'VGG-SS open set, heard, 2564 clips',
    'ad5f876fe0df': 'VGG-SS open set, unheard, 2575 clips',
    '92bc5c21ccfc': 'extended VGG-SS, 10316 pairs',
    '09c34846bd90': 'Flickr-SoundNet, 249 clips',
    '696ab39ce58b': 'Flickr-SoundNet, 250 clips',
    'a306003bff43': 'extended Flickr-SoundNet, 499 pairs',
    '6df0c758d4a5': 'extended Flickr-SoundNet, 500 pairs',
}


class Clip(NamedTuple):
    """Line of a list."""

    sample_id: str  # name of the clip; FRAME+SOUND for a pair that does not sound
    frame_id: str  # clip whose frame is shown
    audio_id: str  # clip whose sound is heard
    is_sounding: bool = True  # False if nothing in the frame makes the sound


def plain_clip(sample_id: str) -> Clip:
    """Makes the clip of a frame with its own sound."""
    return Clip(sample_id, sample_id, sample_id)


def plain_clips(ids: Sequence[str]) -> list[Clip]:
    """Does what :func:`plain_clip` does for many ids."""
    columns = zip(ids, ids, ids, repeat(True))
    return list(map(partial(tuple.__new__, Clip), columns))


def read_id_list(path: str | Path) -> list[str]:
    """Reads the ids of a list (:func:`read_clip_list`) that has each once."""
    ids = [clip.sample_id for clip in read_clip_list(path)]
    refuse_duplicates(ids, path)
    return ids


def read_clip_list(path: str | Path) -> list[Clip]:
    """Reads the clips of a txt or csv file with one clip a line.

    The id is the first column. Line ends of any system, a byte-order mark, blank lines,
    spaces around the id and the ending of a media file (``.jpg``, ``.jpeg``, ``.png``,
    ``.wav``) are ignored.

    A csv file whose first row is ``video,audio,label`` lists pairs like the extended
    test sets of SLAVC (Mo & Morgado, NeurIPS 2022): the label ``non-sounding`` means
    that nothing in the frame makes the sound, which may be another clip's.

    Returns:
        list[Clip]: The clips in the order of the file; duplicates are kept.
    """
    lines = _read_rows(Path(path))
    if lines and [field.strip() for field in lines[0][0]] == PAIR_HEADER:
        clips = [_parse_pair(row, where) for row, where in lines[1:]]
    else:
        clips = [plain_clip(_parse_id(row[0], where)) for row, where in lines]
    if not clips:
        raise _empty(path, _IDS)
    return clips


def format_list(clips: Sequence[Clip], path: str | Path) -> str:
    """Formats clips as :func:`read_clip_list` reads them: as pairs if one needs it.

    Ids that would be read back as others are a DataError; ``path`` is that of the list.
    """
    lost = {i for clip in clips for i in clip[1:3] if not is_listable(i)}
    if lost:
        raise DataError(
            f'{path}: a list cannot hold {len(lost)} ids '
            f'({name_some(sorted(map(repr, lost)))}). Rename the clips and their files '
            f'without blanks around the name and without {", ".join(MEDIA_SUFFIXES)} '
            'at its end.'
        )
    rows: list = [(clip.sample_id,) for clip in clips]
    if not all(clip.is_sounding for clip in clips):
        labels = {True: SOUNDING, False: NON_SOUNDING}
        rows = [(c.frame_id, c.audio_id, labels[c.is_sounding]) for c in clips]
        rows.insert(0, PAIR_HEADER)
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue()


def is_listable(sample_id: str) -> bool:
    """Tells whether a list gives an id back as it is."""
    try:
        return _parse_id(sample_id, '') == sample_id
    except DataError:
        return False


def read_duets(path: str | Path) -> list[tuple[str, str]]:
    """Reads a csv file of pairs of clips like AVGN's ``vggsound_duet_test.csv``.

    Each row holds the left id, its class, the right id and its class. A left id may
    occur once. Returns left and right ids in the order of the file.
    """
    rows = _read_rows(Path(path), _DUETS)
    if not rows:
        raise _empty(path, _DUETS)
    for row, where in rows:
        if len(row) != 4:
            raise DataError(
                f'{where}: a pair has four fields, left id, class, right id and class, '
                f'got {len(row)}. Complete the line.'
            )
    pairs = [
        (_parse_id(row[0], where), _parse_id(row[2], where)) for row, where in rows
    ]
    refuse_duplicates((left for left, _ in pairs), path)
    return pairs


def find_duets(path: str | Path, ids: Sequence[str]) -> list[tuple[int, int]]:
    """Finds the places of listed pairs (:func:`read_duets`) in a data set.

    Pairs of which a clip is not in its ids are left out, counted and named in the log;
    if none is complete, that is a DataError.
    """
    pairs, places = read_duets(path), {name: i for i, name in enumerate(ids)}
    found = [(places[a], places[b]) for a, b in pairs if a in places and b in places]
    if len(found) < len(pairs):
        lost = [f'{a}+{b}' for a, b in pairs if a not in places or b not in places]
        notice = (
            f'{path}: a clip of {len(lost)} of {len(pairs)} pairs is not in the data '
            f'set ({name_some(lost)})'
        )
        if not found:
            raise DataError(f'{notice}. Give the data set a list of all clips.')
        print_log(f'{notice}.', logger='current', level=logging.WARNING)
    return found


def same_id(name: str) -> str:
    """Normalizes an id to the form in which ids are compared (Unicode NFC).

    macOS decomposes file names (NFD), while lists and other systems do not.
    """
    return name if name.isascii() else unicodedata.normalize('NFC', name)


def are_plain_ids(ids: Sequence) -> bool:
    """Tells whether all are ids of ordinary ASCII characters."""
    return set(map(type, ids)) <= {str} and all_match(_PLAIN_IDS, ids)


def all_match(pattern: re.Pattern, texts: Sequence[str]) -> bool:
    """Tells whether a pattern of lines, with their ends, matches all texts."""
    lines = '\n'.join([*texts, ''])
    return lines.count('\n') == len(texts) and pattern.fullmatch(lines) is not None


def check_id(sample_id: str, where: str) -> None:
    """Refuses an id that leads out of its folder or holds control characters.

    ``where`` is file and row or field, for the message.
    """
    if _PLAIN_ID.fullmatch(sample_id):  # most are
        return
    if not sample_id:
        raise DataError(f"{where}: an id is empty. Write the clip's name.")
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
    """Refuses ids, of the file ``source``, that occur more than once."""
    ids = list(ids)
    if len(set(ids)) < len(ids):
        duplicates = [i for i, count in Counter(ids).items() if count > 1]
        raise DataError(
            f'{source}: {len(duplicates)} ids occur more than once '
            f'({name_some(duplicates)}). Keep each once.'
        )


def name_list(ids: Iterable[str]) -> str | None:
    """Returns the name in :data:`PUBLISHED_LISTS` of the list of exactly these ids."""
    return PUBLISHED_LISTS.get(hash_ids(ids))


def handle_missing(
    missing: Mapping[str, Sequence[str]], policy: str, total: int, source: str
) -> None:
    """Refuses ids that lack a file or an annotation, or logs that they are left out.

    ``missing`` are ids by what they lack (``no frame in /data/frames``), ``policy`` is
    'error' or 'skip', ``total`` the number of ids asked for, and ``source`` the list or
    folder that named them.
    """
    count = len(set().union(*missing.values()))
    if not count:
        return
    shown = 5 if policy == 'error' else count
    reasons = '; '.join(
        f'{len(ids)} have {reason} ({name_some(ids, shown)})'
        for reason, ids in missing.items()
        if ids
    )
    if policy == 'error':
        raise DataError(
            f'{count} of {total} ids of {source} cannot be used: {reasons}. Bring what '
            "is missing, take the ids out of the list, or set missing='skip' to leave "
            'them out of the whole run.'
        )
    print_log(
        f"{count} of {total} ids of {source} are left out (missing='skip'): {reasons}",
        logger='current',
        level=logging.WARNING,
    )


def _empty(path: str | Path, kind: Sequence[str]) -> DataError:
    """Makes the error of a list without lines."""
    name, unit, line, _ = kind
    return DataError(f'{path}: the {name} holds no {unit}. Put {line} on each line.')


def _read_rows(path: Path, kind: Sequence[str] = _IDS) -> list[tuple[list[str], str]]:
    """Reads the rows of a list that are not blank, each with its place."""
    name, _, line, setting = kind
    try:
        text = path.read_bytes().decode('utf-8-sig')
    except OSError as error:
        raise DataError(
            f'{path}: the {name} cannot be read ({error.strerror}). Name a text file '
            f'with {line} on each line; {setting} in a config is absolute or below '
            'data_root.'
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f'{path}: the {name} is not UTF-8 text. Save it as plain text with {line} '
            'on each line.'
        ) from error
    try:
        rows = list(csv.reader(text.splitlines()))
    except csv.Error as error:
        raise DataError(
            f'{path}: the {name} is not plain text or csv ({error}). Save it with '
            f'{line} on each line.'
        ) from error
    return [
        (row, f'{path}, row {number}')
        for number, row in enumerate(rows, 1)
        if any(field.strip() for field in row)
    ]


def _parse_pair(row: Sequence[str], where: str) -> Clip:
    """Parses a line ``video,audio,label``."""
    if len(row) != 3:
        raise DataError(
            f'{where}: a list of pairs has three fields, {",".join(PAIR_HEADER)}, got '
            f'{len(row)}. Complete the line.'
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
    """Cleans and checks one field of a list."""
    sample_id = field.strip()
    for suffix in MEDIA_SUFFIXES:
        if sample_id.lower().endswith(suffix):
            sample_id = sample_id[: -len(suffix)]
            break
    check_id(sample_id, where)
    return same_id(sample_id)
