"""Encoders of sounds and frames; mmdet's backbones serve for frames, too."""

from .efficientnet_lite import EfficientNetLite
from .spectrogram_encoder import SpectrogramEncoder
from .vggish_encoder import VGGishEncoder
from .yamnet import YAMNet

__all__ = ['EfficientNetLite', 'SpectrogramEncoder', 'VGGishEncoder', 'YAMNet']
