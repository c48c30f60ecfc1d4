"""Steps of a data pipeline, and the collate function."""

from .formatting import PackAVInputs, RasterizeTargets, av_collate
from .loading import LoadAudio, LoadFeatures, LoadFrame
