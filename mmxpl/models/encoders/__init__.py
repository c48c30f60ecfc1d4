"""Encoders of sounds and frames; mmdet's backbones serve for frames, too."""

from .efficientnet_lite import EfficientNetLite
from .hf_audio_encoder import HFAudioEncoder
from .hf_backbone import HFVisionBackbone
from .spectrogram_encoders import SpectrogramEncoder, VGGishEncoder
from .timm_backbone import TimmBackbone
from .yamnet import YAMNet

__all__ = [
    'EfficientNetLite',
    'HFAudioEncoder',
    'HFVisionBackbone',
    'SpectrogramEncoder',
    'TimmBackbone',
    'VGGishEncoder',
    'YAMNet',
]
