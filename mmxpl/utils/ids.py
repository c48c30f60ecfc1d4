"""Fingerprints and excerpts of lists of clips."""

import hashlib
from collections.abc import Iterable, Sequence


def hash_ids(ids: Iterable[str]) -> str:
    """Computes a fingerprint of a set of ids, whatever their order.

    Args:
        ids (Iterable[str]): the ids.

    Returns:
        str: First 12 hexadecimal digits of the SHA-256 of the sorted ids, one a
        line.
    """
    return hashlib.sha256('\n'.join(sorted(ids)).encode()).hexdigest()[:12]


def fingerprint(items: Iterable[str]) -> str:
    """Computes a fingerprint of a list of texts, order included.

    Args:
        items (Iterable[str]): ids or other texts.

    Returns:
        str: SHA-256 of the texts, one a line, in hexadecimal.
    """
    digest = hashlib.sha256()
    for item in items:
        digest.update(item.encode() + b'\n')
    return digest.hexdigest()


def name_some(ids: Sequence[str], limit: int = 5) -> str:
    """Names the first few ids for a message.

    Args:
        ids (Sequence[str]): the ids.
        limit (int): how many to write out.

    Returns:
        str: for example ``a, b, c, d, e, ...``.
    """
    more = ', ...' if len(ids) > limit else ''
    return ', '.join(ids[:limit]) + more
