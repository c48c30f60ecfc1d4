"""Losses."""

from .contrastive_loss import (
    MaxMILContrastiveLoss,
    gather_with_grad,
    own_similarity,
    pair_similarity,
)
from .fnac_loss import FNACLoss
from .lvs_loss import LVSLoss
from .map_loss import MapBCELoss
from .slavc_loss import SLAVCLoss

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
