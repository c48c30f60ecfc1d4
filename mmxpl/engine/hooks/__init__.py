"""Hooks."""

from .checkpoint_guard_hook import CheckpointGuardHook
from .cross_pseudo_label_hook import CrossPseudoLabelHook
from .data_leak_hook import DataLeakHook
from .invalid_loss_hook import InvalidLossHook
from .pseudo_label_monitor_hook import PseudoLabelMonitorHook
from .pseudo_label_strip_hook import PseudoLabelStripHook
from .visualization_hook import LocalizationVisualizationHook

__all__ = [
    'CheckpointGuardHook',
    'CrossPseudoLabelHook',
    'DataLeakHook',
    'InvalidLossHook',
    'LocalizationVisualizationHook',
    'PseudoLabelMonitorHook',
    'PseudoLabelStripHook',
]
