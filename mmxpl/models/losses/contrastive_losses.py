"""Contrastive losses between frames and sounds.

All read embeddings of unit norm, (B, D, h, w) of the cells of frames and (B, D) of
sounds, and compute in fp32 also under autocast. Negatives come from all ranks, and each
rank's loss is that of the global batch, so that with DDP the result does not depend on
the number of ranks.
"""

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmengine.logging import MessageHub
from torch import Tensor, nn

from mmxpl.registry import MODELS
from mmxpl.utils.checks import check_fraction, check_not_negative, check_positive
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
    """Concatenates (B, ...) tensors over all ranks, with gradients; B may differ."""
    return _GatherWithGrad.apply(tensor)


def pair_similarity(visual: Tensor, audio: Tensor) -> Tensor:
    """Compares every cell of this rank's images with the sounds of all W ranks.

    The result is (B, W * B, h * w) cosines, image by sound by cell.
    """
    visual, audio = visual.float(), gather_with_grad(audio.float())
    # an autocast would multiply in half precision
    with torch.autocast(visual.device.type, enabled=False):
        # i: image of this rank, j: sound of any rank
        return torch.einsum('idhw,jd->ijhw', visual, audio).flatten(2)


def own_similarity(visual: Tensor, audio: Tensor) -> Tensor:
    """Compares every cell of an image with its own sound: (B, h * w) cosines."""
    with torch.autocast(visual.device.type, enabled=False):
        return torch.matmul(audio.float()[:, None], visual.float().flatten(2))[:, 0]


def _cross_entropy(logits: Tensor) -> Tensor:
    """Cross-entropy of (N, ...) logits in which row n's own sound is column n."""
    target = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits, target)


class _ContrastiveLoss(nn.Module):
    """Settings that contrastive losses share."""

    def __init__(self, temperature: float = 0.07, loss_weight: float = 1.0) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        check_not_negative(loss_weight=loss_weight)
        self.temperature, self.loss_weight = temperature, loss_weight


@MODELS.register_module()
class MaxMILContrastiveLoss(_ContrastiveLoss):
    """Symmetric InfoNCE over the best cell of every image-sound pair.

    The similarity of image i and sound j is the largest cosine over the cells of i
    (multiple-instance learning). Pairs of the batch are positives, all others
    negatives, in both directions: EZ-VSL (Mo & Morgado, ECCV 2022, eq. 3-4).

    Args:
        temperature (float): divisor of the similarities.
        loss_weight (float): factor of the loss.
    """

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes the loss, a scalar."""
        similarity = pair_similarity(visual, audio).amax(dim=2)
        logits = gather_with_grad(similarity) / self.temperature
        loss = _cross_entropy(logits) + _cross_entropy(logits.T)
        return self.loss_weight * loss / 2


@MODELS.register_module()
class LVSLoss(_ContrastiveLoss):
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
        super().__init__(temperature, loss_weight)
        check_positive(sharpness=sharpness)
        self.object, self.background = object, background
        self.sharpness = sharpness

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes the loss, a scalar."""
        maps, own = pair_similarity(visual, audio), own_similarity(visual, audio)
        # the pair's own column is the positive, the others are the negatives
        of_object = self._mean_where(maps, maps - self.object)
        of_background = self._mean_where(own, self.background - own)
        similarity = torch.cat([of_object, of_background.unsqueeze(1)], dim=1)
        logits = gather_with_grad(similarity) / self.temperature
        return self.loss_weight * _cross_entropy(logits)

    def _mean_where(self, maps: Tensor, excess: Tensor) -> Tensor:
        """Mean over the last dimension, weighted by the sigmoid of the excess.

        Computed as a softmax, since all sigmoids of a map may underflow in fp32.
        """
        weights = F.logsigmoid(excess / self.sharpness).softmax(dim=-1)
        return (maps * weights).sum(dim=-1)


@MODELS.register_module()
class SLAVCLoss(_ContrastiveLoss):
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

    Args:
        temperature (float): divisor of the cosines.
        loss_weight (float): factor of the loss.
    """

    def __init__(self, temperature: float = 0.03, loss_weight: float = 1.0) -> None:
        super().__init__(temperature, loss_weight)

    def forward(
        self,
        visual: Tensor,
        audio: Tensor,
        target_visual: Tensor | None = None,
        target_audio: Tensor | None = None,
    ) -> Tensor:
        """Computes the loss, a scalar.

        ``target_visual`` and ``target_audio`` are as ``visual`` and ``audio``, by
        default these, from the momentum encoder; no gradient flows into them.
        """
        target_visual = visual if target_visual is None else target_visual
        target_audio = audio if target_audio is None else target_audio
        loss = self._match(visual, target_audio.detach())
        loss = loss + self._match(target_visual.detach(), audio)
        return self.loss_weight * loss / 2

    def _match(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Cross-entropy of the own sound of every image."""
        maps = pair_similarity(visual, audio) / self.temperature
        both = maps.log_softmax(dim=1) + maps.log_softmax(dim=2)
        return _cross_entropy(gather_with_grad(both.logsumexp(dim=2)))


@MODELS.register_module()
class FNACLoss(_ContrastiveLoss):
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
    :class:`MaxMILContrastiveLoss` is, so that the relative weights are FNAC's. Its
    visual dropout is ``visual_dropout`` of :class:`mmxpl.models.AVLocalizer`.

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
        super().__init__(temperature, loss_weight)
        check_fraction(foreground=foreground)
        check_not_negative(
            audio=audio, image=image, region=region, warmup_epochs=warmup_epochs
        )
        self.foreground, self.warmup_epochs = foreground, warmup_epochs
        self.weights = dict(audio=audio, image=image, region=region)

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes the loss, a scalar."""
        visual, audio = visual.float().flatten(2), audio.float()
        maps = pair_similarity(visual.unsqueeze(3), audio)
        logits = gather_with_grad(maps.amax(dim=2)) / self.temperature
        loss = _cross_entropy(logits) + _cross_entropy(logits.T)
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
