"""Hooks, loops and wrappers for the runner."""

from .hooks import *  # noqa: F403
from .optim import (
    AmpOptimWrapper,
    ShortWarmupLR,
    TrainableOptimWrapperConstructor,
)
from .resume import *  # noqa: F403
