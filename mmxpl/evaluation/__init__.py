"""Scores of localization maps: pure functions and MMEngine metrics."""

from .metrics import CIoUMetric

__all__ = ['CIoUMetric']
