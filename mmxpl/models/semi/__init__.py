"""Semi-supervised learners."""

from .negative_audio import NegativeAudio
from .xpl import XPL

__all__ = ['XPL', 'NegativeAudio']
