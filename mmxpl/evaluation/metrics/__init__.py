"""Metrics for MMEngine's evaluator."""

from .box_ap_metric import BoxAPMetric
from .ciou_metric import CIoUMetric
from .map_dumper import MapDumper
from .map_metric import MapMetric
from .multi_source_metric import InteractiveMetric, MultiSourceMetric
from .negatives_metric import ExtendedMetric, NegativeAudioMetric
from .segmentation_metric import SegmentationMetric

__all__ = [
    'BoxAPMetric',
    'CIoUMetric',
    'ExtendedMetric',
    'InteractiveMetric',
    'MapDumper',
    'MapMetric',
    'MultiSourceMetric',
    'NegativeAudioMetric',
    'SegmentationMetric',
]
