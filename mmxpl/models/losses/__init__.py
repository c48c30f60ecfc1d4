"""Losses."""

from .contrastive_losses import (
    FNACLoss,
    LVSLoss,
    MaxMILContrastiveLoss,
    SLAVCLoss,
)
from .map_loss import MapBCELoss

__all__ = [
    'FNACLoss',
    'LVSLoss',
    'MapBCELoss',
    'MaxMILContrastiveLoss',
    'SLAVCLoss',
]
