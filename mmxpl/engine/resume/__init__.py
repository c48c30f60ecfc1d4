"""Checkpoints that are never half written, and exact resuming from them."""

from .checkpoint_guard import CheckpointGuardHook
from .checkpoint_hook import AtomicCheckpointHook
from .loop import ResumableTrainLoop
from .preemption_hook import PreemptionHook
from .run_state import RunStateHook

__all__ = [
    'AtomicCheckpointHook',
    'CheckpointGuardHook',
    'PreemptionHook',
    'ResumableTrainLoop',
    'RunStateHook',
]
