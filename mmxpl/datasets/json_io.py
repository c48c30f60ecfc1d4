"""Reading of JSON files of annotations.

A file that cannot be used is a DataError that names it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmxpl.utils import DataError

_MARK = re.compile(r'[ \t\n\r]*([][{},:])[ \t\n\r]*')
_NEXT = re.compile(r'(?<=})[ \t\n\r]*,[ \t\n\r]*(?={)')
_PIECE = 2**16  # characters parsed at once


def read_json(path: str | Path, kind: str = 'annotation file') -> Any:
    """Reads a JSON file, whose ``kind`` is for messages."""
    content = _read_bytes(path, kind)
    try:
        return json.loads(content.decode('utf-8-sig'))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f'{path}: the {kind} is not JSON ({error}). Restore it or write it anew.'
        ) from error


def iter_json(
    path: str | Path, form: str, field: str | None = None, others: dict | None = None
) -> Iterator[Any]:
    """Reads the items of a long list in a JSON file one by one, to save memory.

    Args:
        path (str | Path): The file.
        form (str): What it must hold, for the error.
        field (str, optional): Key of the list; by default the file is the list.
        others (dict, optional): Receives the other values.

    Yields:
        Any: The items.
    """
    try:
        yield from _walk_json(_read_bytes(path).decode('utf-8-sig'), field, others)
    except (ValueError, RecursionError):
        found = read_json(path)  # says what is wrong if it is no JSON
        wrong = f', got {type(found).__name__}'
        if field is not None:
            wrong = f", with '{field}' once"
        raise DataError(f'{path} must {form}{wrong}.') from None


def _walk_json(text: str, field: str | None, others: dict | None) -> Iterator[Any]:
    """Yields the items of the list; a ValueError if it is not there or no JSON."""
    decode = json.JSONDecoder().raw_decode

    def mark(place: int, expected: str) -> tuple[str, int]:
        found = _MARK.match(text, place)
        if found is None or found[1] not in expected:
            raise ValueError
        return found[1], found.end()

    def items(place: int) -> Iterator[Any]:
        nonlocal text
        if text[place : place + 1] == ']':
            return mark(place, ']')[1]
        following, end = ',', place
        while following == ',':
            # objects are parsed together as far as one seems to end
            while place >= end:
                cut = _NEXT.search(text, place + _PIECE)
                end = cut.start() if cut else len(text)
                if cut is None:
                    break
                try:
                    piece = json.loads(f'[{text[place:end]}]')
                except (ValueError, RecursionError):  # it was within an item
                    break
                yield from piece
                place = end = cut.end()
                if 2 * place > len(text) > 2**20:  # what was read is freed
                    text, place, end = text[place:], 0, 0
            item, place = decode(text, place)
            yield item
            following, place = mark(place, ',]')
        return place

    if field is None:
        place = yield from items(mark(0, '[')[1])
    else:
        following, place, seen = ',', mark(0, '{')[1], False
        while following == ',':
            key, place = decode(text, place)
            if not isinstance(key, str):
                raise ValueError
            place = mark(place, ':')[1]
            if key == field and not seen:
                seen, (_, place) = True, mark(place, '[')
                place = yield from items(place)
            else:
                others[key], place = decode(text, place)
            following, place = mark(place, ',}')
        if not seen or field in others:
            raise ValueError
    if place < len(text):
        raise ValueError


def _read_bytes(path: str | Path, kind: str = 'annotation file') -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f'{path}: the {kind} cannot be read ({error.strerror}). Name an existing '
            'file; a path in a config is absolute or below data_root, which '
            'MMXPL_DATA_ROOT sets.'
        ) from error
