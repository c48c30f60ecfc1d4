"""Audio encoders; visual ones are mmdet's backbones."""

from .spectrogram_encoder import SpectrogramEncoder
from .vggish_encoder import VGGishEncoder

__all__ = ['SpectrogramEncoder', 'VGGishEncoder']
