"""Reading of JSON files of annotations.

A file that cannot be used is a DataError that names it.
"""

import json
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from mmxpl.utils import DataError

_MARK = re.compile(r'[ \t\n\r]*([][{},:])[ \t\n\r]*')
_NEXT = re.compile(r'(?<=})[ \t\n\r]*,[ \t\n\r]*(?={)')
_PIECE = 2**16  # characters parsed at once


def read_json(path: str | Path, kind: str = 'annotation file') -> Any:
    """Reads a JSON file, whose ``kind`` is for messages."""
    try:
        return json.loads(Path(path).read_bytes().decode('utf-8-sig'))
    except OSError as error:
        raise _unreadable(path, kind, error) from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f'{path}: the {kind} is not JSON ({error}). Restore it or write it anew.'
        ) from error


def iter_json(
    path: str | Path, form: str, field: str | None = None, others: dict | None = None
) -> Iterator[Any]:
    """Reads the items of a long list in a JSON file one by one, to save memory.

    The file is the list, or has it under the key ``field``; ``others`` receives the
    other values. ``form`` says what the file must hold, for the error.
    """
    return chain.from_iterable(_iter_pieces(path, form, field, others))


def _iter_pieces(
    path: str | Path, form: str, field: str | None, others: dict | None
) -> Iterator[list]:
    """Yields the items of :func:`iter_json` in lists."""
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            yield from _walk_json(file, field, others)
    except OSError as error:
        raise _unreadable(path, 'annotation file', error) from error
    except (ValueError, RecursionError):
        found = read_json(path)  # says what is wrong if it is no JSON
        wrong = f', got {type(found).__name__}'
        if field is not None:
            wrong = f", with '{field}' once"
        raise DataError(f'{path} must {form}{wrong}.') from None


def _walk_json(file: TextIO, field: str | None, others: dict | None) -> Iterator[list]:
    """Yields pieces of the list; a ValueError if it is not there or no JSON."""
    decode = json.JSONDecoder().raw_decode
    # what is read of the file, up to its end or not, and two places in it
    text, whole, place, end = '', False, 0, 0

    def read(length: int) -> None:
        """Reads until ``text`` has so many characters from ``place`` on."""
        nonlocal text, whole, place, end
        text, place, end = text[place:], 0, end - place
        missing = length - len(text)
        found = file.read(missing)
        text, whole = text + found, len(found) < missing

    def take(parse: Callable) -> Any:
        """Parses what stands at ``place`` and goes behind it."""
        nonlocal place
        while True:
            try:
                found, behind = parse(text, place)
            except ValueError:
                if whole:
                    raise
            else:
                # 1 may become 1e-5
                if whole or behind + 2 < len(text):
                    place = behind
                    return found
            read(2 * (len(text) - place) + _PIECE)

    def mark(expected: str) -> str:
        found = take(_mark)
        if found not in expected:
            raise ValueError
        return found

    def pieces() -> Iterator[list]:
        nonlocal place, end
        if text[place : place + 1] == ']':
            mark(']')
            return
        following, end = ',', place
        while following == ',':
            # objects are parsed together as far as one seems to end
            while place >= end:
                if not whole and len(text) - place <= _PIECE:
                    read(2 * _PIECE)
                cut = _NEXT.search(text, place + _PIECE)
                end = cut.start() if cut else len(text)
                if cut is None:
                    break
                try:
                    piece = json.loads(f'[{text[place:end]}]')
                except (ValueError, RecursionError):  # it was within an item
                    break
                yield piece
                place = end = cut.end()
            yield [take(decode)]
            following = mark(',]')

    if field is None:
        mark('[')
        yield from pieces()
    else:
        following, seen = mark('{'), False
        while following != '}':
            key = take(decode)
            if not isinstance(key, str):
                raise ValueError
            mark(':')
            if key == field and not seen:
                seen = True
                mark('[')
                yield from pieces()
            else:
                others[key] = take(decode)
            following = mark(',}')
        if not seen or field in others:
            raise ValueError
    if place < len(text):
        raise ValueError


def _mark(text: str, place: int) -> tuple[str, int]:
    """Finds the mark of JSON's grammar at a place, and where it ends."""
    found = _MARK.match(text, place)
    if found is None:
        raise ValueError
    return found[1], found.end()


def _unreadable(path: str | Path, kind: str, error: OSError) -> DataError:
    return DataError(
        f'{path}: the {kind} cannot be read ({error.strerror}). Name an existing '
        'file; a path in a config is absolute or below data_root, which '
        'MMXPL_DATA_ROOT sets.'
    )
