"""Pseudo-labels: their making, exchange, memory and reliability."""

from .alignment import AreaAlignment, shift_logits, solve_area_shift
from .bank import PseudoLabelBank
from .pseudo_labeler import EXCHANGES, PseudoLabeler, exchange, harden, sharpen
from .reliability import MEASURES, reliability, score_labels
