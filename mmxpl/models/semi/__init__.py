"""Semi-supervised learners."""

from .mixed_audio import MixedAudio
from .negative_audio import NegativeAudio
from .xpl import XPL

__all__ = ['XPL', 'MixedAudio', 'NegativeAudio']
