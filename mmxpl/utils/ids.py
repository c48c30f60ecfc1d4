"""Fingerprints of lists of clips."""

import hashlib
from collections.abc import Iterable


def hash_ids(ids: Iterable[str]) -> str:
    """Fingerprint of a set of ids, whatever their order.

    Args:
        ids (Iterable[str]): the ids.

    Returns:
        str: First 12 hexadecimal digits of the SHA-256 of the sorted ids, one a
        line.
    """
    return hashlib.sha256('\n'.join(sorted(ids)).encode()).hexdigest()[:12]
