"""Hooks, loops and wrappers for the runner."""

from .dist import CPUDistributedDataParallel  # noqa: F401
from .hooks import *  # noqa: F403
from .optim import (  # noqa: F401
    AmpOptimWrapper,
    ShortWarmupLR,
    TrainableOptimWrapperConstructor,
)
from .resume import *  # noqa: F403
