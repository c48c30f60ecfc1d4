"""Pseudo-labels: their making, exchange, memory and reliability."""

from .alignment import AreaAlignment, shift_logits, solve_area_shift
from .bank import PseudoLabelBank, fingerprint
from .exchange import EXCHANGES, exchange
from .reliability import MEASURES, reliability
from .sharpening import harden, sharpen

__all__ = [
    'EXCHANGES',
    'MEASURES',
    'AreaAlignment',
    'PseudoLabelBank',
    'exchange',
    'fingerprint',
    'harden',
    'reliability',
    'sharpen',
    'shift_logits',
    'solve_area_shift',
]
