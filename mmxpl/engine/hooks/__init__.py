"""Hooks."""

from .area_calibration_hook import AreaCalibrationHook
from .check_hooks import DataLeakHook, EncoderInputHook, InvalidLossHook
from .cross_pseudo_label_hook import CrossPseudoLabelHook
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
