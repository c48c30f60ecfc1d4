"""Steps of a data pipeline."""

from .formatting import PackAVInputs
from .loading import LoadAudio, LoadFeatures, LoadFrame
from .targets import RasterizeTargets

__all__ = ['LoadAudio', 'LoadFeatures', 'LoadFrame', 'PackAVInputs', 'RasterizeTargets']
