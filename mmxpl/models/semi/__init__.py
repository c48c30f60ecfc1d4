"""Semi-supervised learners."""

from .xpl import XPL

__all__ = ['XPL']
