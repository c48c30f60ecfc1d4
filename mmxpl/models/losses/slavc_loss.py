"""The contrastive loss of SLAVC."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmxpl.registry import MODELS
from mmxpl.utils.checks import check_positive

from .contrastive_loss import gather_with_grad, pair_similarity


@MODELS.register_module()
class SLAVCLoss(nn.Module):
    """Localization times correspondence, against momentum targets.

    For image i, sound j and cell x, the softmax of cosines over all sounds
    (correspondence) times the softmax over all cells (localization), summed over the
    cells, is the match of i and j. Its logarithm is the logit of a cross-entropy
    whose target is the own sound. It is computed twice, once with the sound and once
    with the image from the momentum encoders.

    SLAVC (Mo & Morgado, NeurIPS 2022, "A Closer Look at Weakly-Supervised
    Audio-Visual Source Localization"), as ``model.py`` of
    github.com/stoneMo/SLAVC computes it, but halved, and with one pair of projections
    for both factors instead of two.

    Momentum targets come from ``target_momentum`` of :class:`mmxpl.models.XPL`; without
    it the embeddings themselves are the targets, without gradient, which is SLAVC with
    a momentum of 0. SLAVC's visual dropout is ``visual_dropout`` of
    :class:`mmxpl.models.AVLocalizer`.

    Each rank's loss is that of the global batch, see
    :class:`~.contrastive_loss.MaxMILContrastiveLoss`.

    Args:
        temperature (float): divisor of the cosines.
        loss_weight (float): factor of the loss.
    """

    def __init__(self, temperature: float = 0.03, loss_weight: float = 1.0) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature, self.loss_weight = temperature, loss_weight

    def forward(
        self,
        visual: Tensor,
        audio: Tensor,
        target_visual: Tensor | None = None,
        target_audio: Tensor | None = None,
    ) -> Tensor:
        """Computes the loss.

        Args:
            visual (Tensor): (B, D, h, w), cells of unit norm.
            audio (Tensor): (B, D), of unit norm.
            target_visual (Tensor, optional): as ``visual``, from the momentum
                encoder; no gradient flows into it. Defaults to ``visual``.
            target_audio (Tensor, optional): as ``audio``, likewise.

        Returns:
            Tensor: scalar.
        """
        target_visual = visual if target_visual is None else target_visual
        target_audio = audio if target_audio is None else target_audio
        loss = self._explain(visual, target_audio.detach())
        loss = loss + self._explain(target_visual.detach(), audio)
        return self.loss_weight * loss / 2

    def _explain(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Cross-entropy of the own sound of every image."""
        maps = pair_similarity(visual, audio) / self.temperature
        both = maps.log_softmax(dim=1) + maps.log_softmax(dim=2)
        logits = gather_with_grad(both.logsumexp(dim=2))
        target = torch.arange(len(logits), device=logits.device)
        return F.cross_entropy(logits, target)
