"""Hooks and wrappers for the runner."""

from .amp import AmpOptimWrapper
from .hooks import (
    CheckpointGuardHook,
    CrossPseudoLabelHook,
    DataLeakHook,
    InvalidLossHook,
    LocalizationVisualizationHook,
    PseudoLabelMonitorHook,
    PseudoLabelStripHook,
)
from .model_wrappers import CPUDistributedDataParallel

__all__ = [
    'AmpOptimWrapper',
    'CPUDistributedDataParallel',
    'CheckpointGuardHook',
    'CrossPseudoLabelHook',
    'DataLeakHook',
    'InvalidLossHook',
    'LocalizationVisualizationHook',
    'PseudoLabelMonitorHook',
    'PseudoLabelStripHook',
]
