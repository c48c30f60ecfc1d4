"""Max-MIL contrastive loss, and similarities that contrastive losses share."""

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor, nn

from mmxpl.registry import MODELS
from mmxpl.utils.checks import check_positive
from mmxpl.utils.parallel import count_rows, gather_rows, own_rows


class _GatherWithGrad(torch.autograd.Function):
    """Concatenation over ranks whose gradient is the sum over ranks.

    PyTorch's differentiable ``all_gather`` returns wrong gradients with gloo if the
    incoming gradient is not contiguous (2.13), as here.
    """

    @staticmethod
    def forward(ctx, tensor: Tensor) -> Tensor:
        counts = count_rows(tensor)
        ctx.rows = own_rows(counts)
        return gather_rows(tensor, counts)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        grad = grad.clone(memory_format=torch.contiguous_format)
        all_reduce(grad, op='sum')
        return grad[ctx.rows]


def gather_with_grad(tensor: Tensor) -> Tensor:
    """Concatenates a tensor over all ranks, with gradients.

    Args:
        tensor (Tensor): (B, ...); B may differ between ranks.

    Returns:
        Tensor: (sum of all B, ...), the same on every rank.
    """
    return _GatherWithGrad.apply(tensor)


def pair_similarity(visual: Tensor, audio: Tensor) -> Tensor:
    """Compares every cell of this rank's images with the sounds of all ranks.

    Args:
        visual (Tensor): (B, D, h, w), cells of unit norm.
        audio (Tensor): (B, D), of unit norm.

    Returns:
        Tensor: (B, W * B, h * w) cosines in [-1, 1], image by sound by cell.
    """
    visual, audio = visual.float(), gather_with_grad(audio.float())
    # an autocast would multiply in half precision
    with torch.autocast(visual.device.type, enabled=False):
        # i: image of this rank, j: sound of any rank
        return torch.einsum('idhw,jd->ijhw', visual, audio).flatten(2)


def own_similarity(visual: Tensor, audio: Tensor) -> Tensor:
    """Compares every cell of an image with its own sound.

    Args:
        visual (Tensor): (B, D, h, w), cells of unit norm.
        audio (Tensor): (B, D), of unit norm.

    Returns:
        Tensor: (B, h * w) cosines in [-1, 1].
    """
    with torch.autocast(visual.device.type, enabled=False):
        return torch.einsum('bdhw,bd->bhw', visual.float(), audio.float()).flatten(1)


@MODELS.register_module()
class MaxMILContrastiveLoss(nn.Module):
    """Symmetric InfoNCE over the best cell of every image-sound pair.

    The similarity of image i and sound j is the largest cosine over the cells of i
    (multiple-instance learning). Pairs of the batch are positives, all others
    negatives, in both directions: EZ-VSL (Mo & Morgado, ECCV 2022, eq. 3-4).
    Negatives come from all ranks, and each rank's loss is that of the global batch,
    so that with DDP the result does not depend on the number of ranks.

    Args:
        temperature (float): divisor of the similarities.
        loss_weight (float): factor of the loss.
    """

    def __init__(self, temperature: float = 0.07, loss_weight: float = 1.0) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature, self.loss_weight = temperature, loss_weight

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes the loss, in fp32 also under autocast.

        Args:
            visual (Tensor): (B, D, h, w), cells of unit norm.
            audio (Tensor): (B, D), of unit norm.

        Returns:
            Tensor: scalar.
        """
        similarity = pair_similarity(visual, audio).amax(dim=2)
        logits = gather_with_grad(similarity) / self.temperature
        target = torch.arange(len(logits), device=logits.device)
        loss = F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)
        return self.loss_weight * loss / 2
