"""Pseudo-labels: their making, exchange, memory and reliability."""

from .bank import PseudoLabelBank, fingerprint
from .exchange import EXCHANGES, exchange
from .reliability import MEASURES, reliability
from .sharpening import harden, sharpen

__all__ = [
    'EXCHANGES',
    'MEASURES',
    'PseudoLabelBank',
    'exchange',
    'harden',
    'fingerprint',
    'reliability',
    'sharpen',
]
