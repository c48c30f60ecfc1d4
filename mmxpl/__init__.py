"""Semi-supervised audio-visual source localization on OpenMMLab."""

import os

from .version import __version__

__all__ = ['__version__']

# Threads that spin for long while they wait keep other processes from work: on busy
# cores a step took ten times as long; this costs about 5 % on idle ones. libgomp reads
# the variable when PyTorch is imported, later.
if not {'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'} & os.environ.keys():
    os.environ['GOMP_SPINCOUNT'] = '1000'
