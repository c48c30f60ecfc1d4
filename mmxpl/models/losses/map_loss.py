"""Loss between predicted and target maps."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmxpl.registry import MODELS
from mmxpl.utils.checks import check_not_negative, check_positive


@MODELS.register_module()
class MapBCELoss(nn.Module):
    """Binary cross-entropy of maps against soft targets.

    Args:
        pos_weight (float): weight of the foreground term relative to the background's;
            above 1 it keeps a small foreground from shrinking.
        loss_weight (float): factor of the loss.
    """

    def __init__(self, pos_weight: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        check_positive(pos_weight=pos_weight)
        check_not_negative(loss_weight=loss_weight)
        self.pos_weight, self.loss_weight = pos_weight, loss_weight

    def forward(
        self, logits: Tensor, target: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Computes the loss, in fp32 also under autocast.

        Args:
            logits (Tensor): (B, h, w), log-odds of foreground; B > 0.
            target (Tensor): (B, h, w) in [0, 1]; no gradient flows into it.
            weight (Tensor, optional): (B,) factor of each sample; the mean is over
                all samples, including those of weight 0.

        Returns:
            Tensor: scalar, the mean over cells and samples.
        """
        loss = F.binary_cross_entropy_with_logits(
            logits.float(),
            target.detach().float(),
            pos_weight=logits.new_tensor(self.pos_weight, dtype=logits.float().dtype),
            reduction='mean' if weight is None else 'none',
        )
        if weight is not None:
            loss = (loss.mean(dim=(1, 2)) * weight).mean()
        return self.loss_weight * loss
