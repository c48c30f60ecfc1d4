"""Hooks and wrappers for the runner."""

from .amp import AmpOptimWrapper
from .hooks import (
    AtomicCheckpointHook,
    CheckpointGuardHook,
    CrossPseudoLabelHook,
    DataLeakHook,
    EncoderInputHook,
    InvalidLossHook,
    LocalizationVisualizationHook,
    PreemptionHook,
    PseudoLabelMonitorHook,
    PseudoLabelStripHook,
    RunStateHook,
)
from .loops import ResumableTrainLoop
from .model_wrappers import CPUDistributedDataParallel
from .optim_wrapper_constructor import TrainableOptimWrapperConstructor
from .param_schedulers import ShortWarmupLR

__all__ = [
    'AmpOptimWrapper',
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
