"""Metrics for MMEngine's evaluator."""

from .ciou_metric import CIoUMetric

__all__ = ['CIoUMetric']
