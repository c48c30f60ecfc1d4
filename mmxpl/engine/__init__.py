"""Hooks and wrappers for the runner."""

from .hooks import (
    CheckpointGuardHook,
    CrossPseudoLabelHook,
    DataLeakHook,
    InvalidLossHook,
    LocalizationVisualizationHook,
    PseudoLabelStripHook,
)
from .model_wrappers import CPUDistributedDataParallel

__all__ = [
    'CPUDistributedDataParallel',
    'CheckpointGuardHook',
    'CrossPseudoLabelHook',
    'DataLeakHook',
    'InvalidLossHook',
    'LocalizationVisualizationHook',
    'PseudoLabelStripHook',
]
