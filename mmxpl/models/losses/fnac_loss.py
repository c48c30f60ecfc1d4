"""The contrastive loss of FNAC."""

import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from torch import Tensor, nn

from mmxpl.registry import MODELS
from mmxpl.utils.checks import check_positive

from .contrastive_loss import gather_with_grad, own_similarity, pair_similarity


@MODELS.register_module()
class FNACLoss(nn.Module):
    """Max-MIL InfoNCE with false-negative suppression and true-negative enhancement.

    Clips of one class are no true negatives of each other. Affinities of clips within
    a modality, after a softmax over the batch, are compared by their mean absolute
    difference with

    - the audio-visual similarities: false negatives, with similar sounds (``audio``)
      or similar mean features (``image``), are suppressed (FNS);
    - the affinities of the sounding regions, cells above ``foreground`` of the map
      rescaled to [0, 1]: regions of clips with different sounds should look different
      (``region``; true negative enhancement, TNE).

    FNAC (Sun et al., CVPR 2023, "Learning Audio-Visual Source Localization via
    False Negative Aware Contrastive Learning"), as ``model.py`` and ``train.py`` of
    github.com/OpenNLPLab/FNAC_AVL compute it, but halved as
    :class:`~.contrastive_loss.MaxMILContrastiveLoss` is, so that the relative weights
    are FNAC's. Its visual dropout is ``visual_dropout`` of
    :class:`mmxpl.models.AVLocalizer`.

    Each rank's loss is that of the global batch.

    Args:
        temperature (float): divisor of similarities and affinities.
        audio (float): weight of FNS by sound.
        image (float): weight of FNS by image.
        region (float): weight of TNE.
        foreground (float): threshold of sounding regions, in [0, 1].
        warmup_epochs (int): first epochs, of a training by MMEngine's runner, with the
            contrast only.
        loss_weight (float): factor of the loss.
    """

    def __init__(
        self,
        temperature: float = 0.03,
        audio: float = 100.0,
        image: float = 100.0,
        region: float = 100.0,
        foreground: float = 0.6,
        warmup_epochs: int = 0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        self.temperature, self.foreground = temperature, foreground
        self.weights = dict(audio=audio, image=image, region=region)
        self.warmup_epochs, self.loss_weight = warmup_epochs, loss_weight

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            visual (Tensor): (B, D, h, w), cells of unit norm.
            audio (Tensor): (B, D), of unit norm.

        Returns:
            Tensor: scalar.
        """
        visual, audio = visual.float().flatten(2), audio.float()
        maps = pair_similarity(visual.unsqueeze(3), audio)
        logits = gather_with_grad(maps.amax(dim=2)) / self.temperature
        target = torch.arange(len(logits), device=logits.device)
        loss = F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)
        if self.warmup_epochs <= MessageHub.get_current_instance().get_info('epoch', 0):
            own = own_similarity(visual.unsqueeze(3), audio)
            region = (visual * self._sounding(own).unsqueeze(1)).mean(dim=2)
            heard, seen, sounding = (
                self._affinity(x) for x in (audio, visual.mean(dim=2), region)
            )
            paired = logits.softmax(dim=1)
            loss = loss + self.weights['audio'] * F.l1_loss(heard, paired)
            loss = loss + self.weights['image'] * F.l1_loss(seen, paired)
            loss = loss + self.weights['region'] * F.l1_loss(heard, sounding)
        return self.loss_weight * loss / 2

    def _sounding(self, own: Tensor) -> Tensor:
        """Finds the sounding cells in (B, h * w) maps of image and own sound."""
        low, high = own.amin(dim=1, keepdim=True), own.amax(dim=1, keepdim=True)
        return (own - low) > self.foreground * (high - low)

    def _affinity(self, features: Tensor) -> Tensor:
        """Softmax over the global batch of the inner products of (B, D) features."""
        features = gather_with_grad(features)
        # an autocast would multiply in half precision
        with torch.autocast(features.device.type, enabled=False):
            return (features @ features.T / self.temperature).softmax(dim=1)
