"""Steps of a data pipeline."""

from .formatting import PackAVInputs
from .loading import LoadAudio, LoadFrame
from .targets import RasterizeTargets

__all__ = ['LoadAudio', 'LoadFrame', 'PackAVInputs', 'RasterizeTargets']
