"""Hooks, loops and wrappers for the runner."""

from .dist import CPUDistributedDataParallel
from .hooks import (
    AreaCalibrationHook,
    CrossPseudoLabelHook,
    DataLeakHook,
    EncoderInputHook,
    InvalidLossHook,
    LocalizationVisualizationHook,
    PseudoLabelMonitorHook,
    PseudoLabelStripHook,
)
from .optim import AmpOptimWrapper, ShortWarmupLR, TrainableOptimWrapperConstructor
from .resume import (
    AtomicCheckpointHook,
    CheckpointGuardHook,
    PreemptionHook,
    ResumableTrainLoop,
    RunStateHook,
)

__all__ = [
    'AmpOptimWrapper',
    'AreaCalibrationHook',
    'AtomicCheckpointHook',
    'CPUDistributedDataParallel',
    'CheckpointGuardHook',
    'CrossPseudoLabelHook',
    'DataLeakHook',
    'EncoderInputHook',
    'InvalidLossHook',
    'LocalizationVisualizationHook',
    'PreemptionHook',
    'PseudoLabelMonitorHook',
    'PseudoLabelStripHook',
    'ResumableTrainLoop',
    'RunStateHook',
    'ShortWarmupLR',
    'TrainableOptimWrapperConstructor',
]
