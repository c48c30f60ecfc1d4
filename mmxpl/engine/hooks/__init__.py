"""Hooks."""

from .area_calibration_hook import AreaCalibrationHook
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .checkpoint_guard_hook import CheckpointGuardHook
from .cross_pseudo_label_hook import CrossPseudoLabelHook
from .data_leak_hook import DataLeakHook
from .encoder_input_hook import EncoderInputHook
from .invalid_loss_hook import InvalidLossHook
from .preemption_hook import PreemptionHook
from .pseudo_label_monitor_hook import PseudoLabelMonitorHook
from .pseudo_label_strip_hook import PseudoLabelStripHook
from .run_state_hook import RunStateHook
from .visualization_hook import LocalizationVisualizationHook

__all__ = [
    'AreaCalibrationHook',
    'AtomicCheckpointHook',
    'CheckpointGuardHook',
    'CrossPseudoLabelHook',
    'DataLeakHook',
    'EncoderInputHook',
    'InvalidLossHook',
    'LocalizationVisualizationHook',
    'PseudoLabelMonitorHook',
    'PreemptionHook',
    'PseudoLabelStripHook',
    'RunStateHook',
]
