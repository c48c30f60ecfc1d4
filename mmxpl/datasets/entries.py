"""Lists of millions of entries: in parts, freed on the way, packed."""

import pickle
from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice, repeat
from typing import Any

import numpy as np


def batched(items: Iterable[Any], size: int = 256) -> Iterator[list]:
    """Yields lists of up to ``size`` items, few enough for a processor's cache."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def drain(items: Iterable) -> Iterator:
    """Yields items; those of a list are freed."""
    if not isinstance(items, list):
        return iter(items)
    items.reverse()
    return map(list.pop, repeat(items, len(items)))


class PackedEntries:
    """Entries of a data set as MMEngine serializes them, which needs less memory."""

    def __init__(self) -> None:
        self._data, self._ends = bytearray(), array('q')

    def extend(self, entries: Iterable[dict]) -> None:
        """Adds entries."""
        for batch in batched(entries):
            packed = list(map(pickle.dumps, batch, repeat(4)))  # the protocol
            ends = accumulate(map(len, packed), initial=len(self._data))
            self._ends.extend(islice(ends, 1, None))
            self._data += b''.join(packed)

    def __len__(self) -> int:
        return len(self._ends)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns all bytes and the end of each entry."""
        return np.frombuffer(self._data, np.uint8), np.array(self._ends, np.int64)
