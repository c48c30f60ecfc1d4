"""Pseudo-labels: their making, exchange, memory and reliability."""

from .alignment import AreaAlignment, shift_logits, solve_area_shift
from .bank import PseudoLabelBank, fingerprint
from .exchange import EXCHANGES, exchange
from .label_source import LabelSource
from .reliability import MEASURES, reliability
from .selection import score_labels
from .sharpening import harden, sharpen

__all__ = [
    'EXCHANGES',
    'MEASURES',
    'AreaAlignment',
    'LabelSource',
    'PseudoLabelBank',
    'exchange',
    'fingerprint',
    'harden',
    'reliability',
    'score_labels',
    'sharpen',
    'shift_logits',
    'solve_area_shift',
]
