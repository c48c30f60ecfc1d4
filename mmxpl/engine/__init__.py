"""Hooks, loops and wrappers for the runner."""

from .dist import CPUDistributedDataParallel
from .hooks import *  # noqa: F403
from .optim import (
    AmpOptimWrapper,
    ShortWarmupLR,
    TrainableOptimWrapperConstructor,
)
from .resume import *  # noqa: F403
