"""Walks through nested dicts and lists, such as configs and checkpoints."""

from collections.abc import Iterator, Mapping
from typing import Any


def children(node: Any) -> Iterator[tuple[str, Any]]:
    """Yields the keys of a dict, or the indices of a list, with their values."""
    if isinstance(node, Mapping):
        yield from ((str(key), value) for key, value in node.items())
    elif isinstance(node, list | tuple):
        yield from ((str(index), value) for index, value in enumerate(node))


def type_name(node: Mapping) -> str:
    """Names, without a scope, what a part of a config builds: ``type`` or its class."""
    kind = node.get('type', '')
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def walk(node: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple, Any]]:
    """Yields everything below a node with its path, a tuple of keys and indices."""
    for name, value in children(node):
        yield (*above, name), value
        yield from walk(value, (*above, name))
