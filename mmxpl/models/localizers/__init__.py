"""Localizers."""

from .av_localizer import AVLocalizer, Localization

__all__ = ['AVLocalizer', 'Localization']
