"""Fingerprints and excerpts of lists of clips."""

import hashlib
from collections.abc import Iterable, Sequence


def hash_ids(ids: Iterable[str]) -> str:
    """Computes a fingerprint of a set of ids, whatever their order.

    It is the first 12 hexadecimal digits of the SHA-256 of the sorted ids, one a line.
    """
    return hashlib.sha256('\n'.join(sorted(ids)).encode()).hexdigest()[:12]


def fingerprint(items: Iterable[str]) -> str:
    """Computes the SHA-256, in hexadecimal, of texts in their order, one a line."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(item.encode() + b'\n')
    return digest.hexdigest()


def name_some(ids: Sequence[str], limit: int = 5) -> str:
    """Names the first few ids for a message: ``a, b, c, d, e, ...``."""
    more = ', ...' if len(ids) > limit else ''
    return ', '.join(ids[:limit]) + more
