"""Metrics for MMEngine's evaluator."""

from .ciou_metric import CIoUMetric
from .map_dumper import MapDumper

__all__ = ['CIoUMetric', 'MapDumper']
