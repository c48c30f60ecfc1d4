"""Hooks."""

from .area_calibration_hook import AreaCalibrationHook
from .cross_pseudo_label_hook import CrossPseudoLabelHook
from .data_check_hooks import DataLeakHook, EncoderInputHook
from .invalid_loss_hook import InvalidLossHook
from .pseudo_label_monitor_hook import PseudoLabelMonitorHook, PseudoLabelStripHook
from .visualization_hook import LocalizationVisualizationHook

__all__ = [
    'AreaCalibrationHook',
    'CrossPseudoLabelHook',
    'DataLeakHook',
    'EncoderInputHook',
    'InvalidLossHook',
    'LocalizationVisualizationHook',
    'PseudoLabelMonitorHook',
    'PseudoLabelStripHook',
]
