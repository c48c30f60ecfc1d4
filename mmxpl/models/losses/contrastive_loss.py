"""Audio-visual contrastive losses."""

import torch
import torch.distributed.nn.functional as dist_fn
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor, nn

from mmxpl.registry import MODELS


def gather_with_grad(tensor: Tensor) -> Tensor:
    """Concatenates a tensor over all ranks, gradients included.

    Args:
        tensor (Tensor): (B, ...), of the same shape on every rank.

    Returns:
        Tensor: (W * B, ...), the same on every rank.
    """
    if get_world_size() == 1:
        return tensor
    return torch.cat(dist_fn.all_gather(tensor.contiguous()))


@MODELS.register_module()
class MaxMILContrastiveLoss(nn.Module):
    """Symmetric InfoNCE over the best cell of every image-sound pair.

    The similarity of image i and sound j is the largest cosine over the cells
    of i (multiple-instance learning). Pairs of the batch are positives, all
    others negatives, in both directions: EZ-VSL (Mo & Morgado, ECCV 2022, eq.
    3-4). Negatives come from all ranks, and each rank's loss is that of the
    global batch; with gradients averaged over ranks, as in DDP, the result does
    not depend on how the batch is divided.

    Args:
        temperature (float): divides the similarities. Defaults to 0.07.
        loss_weight (float): factor of the loss. Defaults to 1.
    """

    def __init__(self, temperature: float = 0.07, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.temperature, self.loss_weight = temperature, loss_weight

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            visual (Tensor): (B, D, h, w), cells of unit norm.
            audio (Tensor): (B, D), of unit norm.

        Returns:
            Tensor: scalar.
        """
        visual, audio = visual.float(), gather_with_grad(audio.float())
        # i: image of this rank, j: sound of any rank
        similarity = torch.einsum('idhw,jd->ijhw', visual, audio).amax(dim=(2, 3))
        logits = gather_with_grad(similarity) / self.temperature
        target = torch.arange(len(logits), device=logits.device)
        loss = F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)
        return self.loss_weight * loss / 2
