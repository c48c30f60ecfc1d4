"""Scores of localization maps: pure functions and MMEngine metrics."""

from .metrics import *  # noqa: F403
