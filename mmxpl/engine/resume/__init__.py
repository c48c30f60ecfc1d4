"""Checkpoints that are never half written, and exact resuming from them."""

from .checkpoint_hook import AtomicCheckpointHook
from .guard_hooks import CheckpointGuardHook, RunStateHook
from .loop import ResumableTrainLoop
from .preemption_hook import PreemptionHook

__all__ = [
    'AtomicCheckpointHook',
    'CheckpointGuardHook',
    'PreemptionHook',
    'ResumableTrainLoop',
    'RunStateHook',
]
