"""Models. Importing this makes mmdet's backbones available."""

from importlib.util import find_spec

from mmxpl.compat import ensure_mmcv_ops, ensure_torchvision

ensure_mmcv_ops()
# mmdet imports mmpretrain where it is installed, and that torchvision
if find_spec('mmpretrain') is not None:
    ensure_torchvision()

import mmdet.models  # noqa: E402  (registers the backbones)

from .data_preprocessors import *  # noqa: E402, F403
from .encoders import *  # noqa: E402, F403
from .localizers import *  # noqa: E402, F403
from .losses import *  # noqa: E402, F403
from .semi import *  # noqa: E402, F403
