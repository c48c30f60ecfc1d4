"""Small helpers."""

from .errors import DataError
from .ids import hash_ids

__all__ = ['DataError', 'hash_ids']
