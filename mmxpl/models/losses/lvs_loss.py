"""The contrastive loss of LVS, "the hard way"."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmxpl.registry import MODELS
from mmxpl.utils.checks import check_positive

from .contrastive_loss import gather_with_grad, own_similarity, pair_similarity


@MODELS.register_module()
class LVSLoss(nn.Module):
    """InfoNCE with a tri-map: object, background as a hard negative, and neither.

    For image i and its own sound, cells with a cosine above ``object`` are object,
    those below ``background`` are background, both softly by a sigmoid of width
    ``sharpness``; cells in between are ignored. The positive is the mean cosine of
    the object; negatives are that of the background and, for every other sound of the
    batch, the mean over the object-like cells of i.

    LVS (Chen et al., CVPR 2021, "Localizing Visual Sounds the Hard Way", section
    on the tri-map), as ``model.py`` of
    github.com/hche11/Localizing-Visual-Sounds-the-Hard-Way computes the logits; its
    training was not released. That code removes the pair itself from the negatives
    by a factor of -99, which fails if its similarity is negative; here it is left
    out.

    Each rank's loss is that of the global batch, see
    :class:`~.contrastive_loss.MaxMILContrastiveLoss`.

    Args:
        object (float): cosine above which a cell is object.
        background (float): cosine below which a cell is background.
        sharpness (float): width of the sigmoids.
        temperature (float): divisor of the similarities.
        loss_weight (float): factor of the loss.
    """

    def __init__(
        self,
        object: float = 0.65,
        background: float = 0.4,
        sharpness: float = 0.03,
        temperature: float = 0.07,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_positive(temperature=temperature, sharpness=sharpness)
        self.object, self.background = object, background
        self.sharpness, self.temperature = sharpness, temperature
        self.loss_weight = loss_weight

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            visual (Tensor): (B, D, h, w), cells of unit norm.
            audio (Tensor): (B, D), of unit norm.

        Returns:
            Tensor: scalar.
        """
        maps, own = pair_similarity(visual, audio), own_similarity(visual, audio)
        # the pair's own column is the positive, the others are the negatives
        of_object = _mean_where(maps, (maps - self.object) / self.sharpness)
        of_background = _mean_where(own, (self.background - own) / self.sharpness)
        similarity = torch.cat([of_object, of_background.unsqueeze(1)], dim=1)
        logits = gather_with_grad(similarity) / self.temperature
        target = torch.arange(len(logits), device=logits.device)
        return self.loss_weight * F.cross_entropy(logits, target)


def _mean_where(maps: Tensor, evidence: Tensor) -> Tensor:
    """Mean over the last dimension, weighted by ``sigmoid(evidence)``.

    Computed as a softmax, since all sigmoids of a map may underflow in fp32.
    """
    return (maps * F.logsigmoid(evidence).softmax(dim=-1)).sum(dim=-1)
