"""Losses."""

from .contrastive_losses import (
    FNACLoss,
    LVSLoss,
    MaxMILContrastiveLoss,
    SLAVCLoss,
    gather_with_grad,
    own_similarity,
    pair_similarity,
)
from .map_loss import MapBCELoss

__all__ = [
    'FNACLoss',
    'LVSLoss',
    'MapBCELoss',
    'MaxMILContrastiveLoss',
    'SLAVCLoss',
    'gather_with_grad',
    'own_similarity',
    'pair_similarity',
]
