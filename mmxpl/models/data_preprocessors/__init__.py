"""Data preprocessors and what they are made of."""

from .audio_frontends import LogMel, LogSpectrogram
from .augmentation import AudioAugmentation, Augmentation, sample_draws
from .av_data_preprocessor import AVDataPreprocessor, PreparedInputs

__all__ = [
    'AVDataPreprocessor',
    'AudioAugmentation',
    'Augmentation',
    'LogMel',
    'LogSpectrogram',
    'PreparedInputs',
    'sample_draws',
]
