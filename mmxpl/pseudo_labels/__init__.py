"""Pseudo-labels: their making, exchange, memory and reliability."""

from .bank import PseudoLabelBank, hash_ids
from .exchange import EXCHANGES, exchange
from .reliability import MEASURES, reliability
from .sharpening import harden, sharpen

__all__ = [
    'EXCHANGES',
    'MEASURES',
    'PseudoLabelBank',
    'exchange',
    'harden',
    'hash_ids',
    'reliability',
    'sharpen',
]
