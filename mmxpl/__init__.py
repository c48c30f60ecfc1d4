"""Semi-supervised audio-visual source localization on OpenMMLab."""

from .version import __version__

__all__ = ['__version__']
