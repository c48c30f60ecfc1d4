"""Models. Importing this makes mmdet's backbones available."""

from importlib.util import find_spec

from mmxpl.compat import ensure_mmcv_ops, ensure_torchvision

ensure_mmcv_ops()
# mmdet imports mmpretrain where it is installed, and that torchvision
if find_spec('mmpretrain') is not None:
    ensure_torchvision()

import mmdet.models  # noqa: E402, F401  (registers the backbones)

from .data_preprocessors import AVDataPreprocessor, LogMel, LogSpectrogram  # noqa: E402
from .encoders import (  # noqa: E402
    EfficientNetLite,
    HFAudioEncoder,
    HFVisionBackbone,
    SpectrogramEncoder,
    TimmBackbone,
    VGGishEncoder,
    YAMNet,
)
from .localizers import AVLocalizer  # noqa: E402
from .losses import (  # noqa: E402
    FNACLoss,
    LVSLoss,
    MapBCELoss,
    MaxMILContrastiveLoss,
    SLAVCLoss,
)
from .semi import XPL  # noqa: E402

__all__ = [
    'XPL',
    'AVDataPreprocessor',
    'AVLocalizer',
    'EfficientNetLite',
    'FNACLoss',
    'HFAudioEncoder',
    'HFVisionBackbone',
    'LVSLoss',
    'LogMel',
    'LogSpectrogram',
    'MapBCELoss',
    'MaxMILContrastiveLoss',
    'SLAVCLoss',
    'SpectrogramEncoder',
    'TimmBackbone',
    'VGGishEncoder',
    'YAMNet',
]
