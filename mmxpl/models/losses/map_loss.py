"""Losses between a predicted and a target localization map."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmxpl.registry import MODELS


@MODELS.register_module()
class MapBCELoss(nn.Module):
    """Binary cross-entropy of a map against a soft target.

    Args:
        pos_weight (float): weight of the foreground term relative to the
            background's; above 1 it counters the shrinking of a foreground that
            is in the minority. Defaults to 1.
        loss_weight (float): factor of the loss. Defaults to 1.
    """

    def __init__(self, pos_weight: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.pos_weight, self.loss_weight = pos_weight, loss_weight

    def forward(
        self, logits: Tensor, target: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Computes the loss in fp32, whatever autocast is on.

        Args:
            logits (Tensor): (B, h, w), log-odds of foreground.
            target (Tensor): (B, h, w) in [0, 1]; no gradient flows into it.
            weight (Tensor, optional): (B,) factor of each sample. The mean is
                over all samples, those of weight 0 too.

        Returns:
            Tensor: scalar, the mean over cells and samples; 0, with a gradient
            of 0, for an empty batch.
        """
        if not len(logits):
            return logits.sum() * 0
        loss = F.binary_cross_entropy_with_logits(
            logits.float(),
            target.detach().float(),
            pos_weight=logits.new_tensor(self.pos_weight, dtype=logits.float().dtype),
            reduction='mean' if weight is None else 'none',
        )
        if weight is not None:
            loss = (loss.mean(dim=(1, 2)) * weight).mean()
        return self.loss_weight * loss
