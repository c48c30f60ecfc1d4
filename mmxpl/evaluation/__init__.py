"""Scores of localization maps: pure functions and MMEngine metrics."""

from .metrics import CIoUMetric, MapDumper

__all__ = ['CIoUMetric', 'MapDumper']
