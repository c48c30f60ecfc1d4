"""Steps of a data pipeline, and the collate function."""

from .formatting import PackAVInputs, av_collate
from .loading import LoadAudio, LoadFeatures, LoadFrame
from .targets import RasterizeTargets

__all__ = [
    'LoadAudio',
    'LoadFeatures',
    'LoadFrame',
    'PackAVInputs',
    'RasterizeTargets',
    'av_collate',
]
