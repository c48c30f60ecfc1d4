"""Small helpers."""

from .errors import DataError
from .ids import hash_ids
