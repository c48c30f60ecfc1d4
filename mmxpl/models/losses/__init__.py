"""Losses."""

from .contrastive_loss import MaxMILContrastiveLoss, gather_with_grad
from .map_loss import MapBCELoss

__all__ = ['MapBCELoss', 'MaxMILContrastiveLoss', 'gather_with_grad']
