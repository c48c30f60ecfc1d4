"""Scores of localization maps: pure functions and MMEngine metrics."""

from .metrics import (
    BoxAPMetric,
    CIoUMetric,
    ExtendedMetric,
    InteractiveMetric,
    MapDumper,
    MapMetric,
    MultiSourceMetric,
    NegativeAudioMetric,
    SegmentationMetric,
)

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
