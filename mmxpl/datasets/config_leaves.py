"""The data sets that a config names."""

from collections.abc import Iterator, Mapping
from typing import Any


def config_leaves(node: Any) -> Iterator[Mapping]:
    """Walks through loaders and wrappers to the data sets themselves.

    Args:
        node (Any): config of a data loader or data set, a list of them, or None.

    Yields:
        Mapping: Config of one data set.
    """
    if node is None:
        return
    if isinstance(node, list | tuple):
        for part in node:
            yield from config_leaves(part)
        return
    inner = node.get('datasets') or node.get('dataset')
    if inner is None:
        yield node
    else:
        yield from config_leaves(inner)
