"""Consensus IoU: maps and ground truth to a score per sample and threshold rule."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .thresholds import ALL_RULES, RULES, thresholds

AUC_THRESHOLDS = tuple(0.05 * i for i in range(21))
"""tuple[float]: 0, 0.05 ... 1 as the public evaluators compute them; some are
one unit in the last place above the decimal number."""

INTERPOLATIONS = {
    # EZ-VSL, FNAC, SSLalignment
    'bilinear': ('bilinear', True),
    # cv2.resize with INTER_LINEAR: LVS, SSL-TIE, SSPL
    'bilinear_half_pixel': ('bilinear', False),
    # SLAVC
    'bicubic': ('bicubic', True),
    # EZ-VSL while training; FNAC's second pass
    'bicubic_half_pixel': ('bicubic', False),
}
"""dict[str, tuple[str, bool]]: mode and ``align_corners`` of the ways in use."""

SIZE_GROUPS = {'small': 0, 'medium': 32**2, 'large': 96**2, 'huge': 144**2}
"""dict[str, int]: smallest area of each group, in pixels of a 224x224 map (SLAVC,
``EvaluatorFull``)."""


def upsample_maps(
    maps: Tensor, size: int = 224, interpolation: str = 'bilinear'
) -> Tensor:
    """Resizes maps, by default bilinearly with aligned corners as EZ-VSL's test does.

    Zeros and ones stay exact. Another flat region may come out with differences in the
    last bit, which then decide between its pixels, here as in the public evaluators.
    Bicubic results may leave [0, 1].

    Args:
        maps (Tensor): (N, h, w).
        size (int): Side of the result in pixels.
        interpolation (str): A key of :data:`INTERPOLATIONS`.

    Returns:
        Tensor: (N, size, size) float32; the input itself if it is that already.
    """
    maps = maps.float()
    if maps.shape[1:] == (size, size):
        return maps
    mode, align_corners = INTERPOLATIONS[interpolation]
    return F.interpolate(
        maps[:, None], (size, size), mode=mode, align_corners=align_corners
    )[:, 0]


class GroundTruth:
    """Ground-truth maps with the sums that every score of them needs.

    Args:
        maps (Tensor): (N, S, S) in [0, 1], fractional where annotators disagree.

    Attributes:
        size (int): S.
        values (ndarray): (N, S * S) float32.
        annotated (ndarray): (N, S * S) bool, where the values are not 0.
        area (Tensor): (N,) int64, number of annotated pixels.
        total (Tensor): (N,) float64, sum of the values.
    """

    def __init__(self, maps: Tensor):
        self.size = maps.shape[-1]
        self.values = maps.detach().cpu().float().flatten(1).numpy()
        self.annotated = self.values != 0
        areas, totals = [], []
        for values, annotated in zip(self.values, self.annotated, strict=True):
            area = np.count_nonzero(annotated)
            # counting bits is far faster than adding numbers up
            binary = np.count_nonzero(values == 1) == area
            areas.append(area)
            totals.append(area if binary else values.sum(dtype=np.float64))
        self.area = torch.tensor(areas, dtype=torch.int64)
        self.total = torch.tensor(totals, dtype=torch.float64)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def binary(self) -> Tensor:
        """Tensor: (N,) bool, whether all annotated pixels are 1."""
        # values are at most 1, so only ones can add up to their number
        return self.total == self.area


def ciou(masks: Tensor, gt_maps: Tensor) -> Tensor:
    r"""Computes the consensus IoU of masks with soft ground truth.

    .. math:: \frac{\sum A g}{\sum g + \sum A [g = 0]}

    for a mask :math:`A` and a ground truth :math:`g` (Senocak et al. 2018).
    :func:`mmxpl.evaluation.functional.score_maps` computes the same from maps, and
    faster.

    Args:
        masks (Tensor): (N, S, S) or, for several masks a sample, (N, R, S, S); 0 or 1,
            or bool.
        gt_maps (Tensor): (N, S, S) in [0, 1].

    Returns:
        Tensor: (N,) or (N, R) float64 in [0, 1]; 0 where both are empty.
    """
    flat = masks.flatten(-2).double()
    gt = gt_maps.flatten(1).double()
    if masks.ndim == 4:
        gt = gt[:, None]
    return ciou_of_sums((flat * gt).sum(-1), (flat * (gt == 0)).sum(-1), gt.sum(-1))


def ciou_of_sums(intersection: Tensor, false_positive: Tensor, total: Tensor) -> Tensor:
    """Computes CIoU, float64, from the three sums of :func:`ciou`.

    It is 0 where the union is empty.
    """
    union = total + false_positive
    return torch.where(union > 0, intersection / union, 0.0)


def score_maps(
    maps: Tensor, gt: GroundTruth, rules: Sequence[str] = tuple(RULES)
) -> Tensor:
    """Computes CIoU of localization maps under several rules in one pass.

    The same as ``ciou(binarise(...))``, sample by sample with counts of pixels:
    on a CPU that is several times faster than batched sums, and the result is the
    same for any batch size. Maps on another device are moved to the CPU before
    they are upsampled.

    Args:
        maps (Tensor): (N, h, w), or (1, h, w) for one map that all N samples share;
            finite; probabilities if a rule is ``'fixed'``.
        gt (GroundTruth): The N samples' ground truth, which sets the size.
        rules (Sequence[str]): R keys of :data:`ALL_RULES`.

    Returns:
        Tensor: (N, R) float64 in [0, 1], on the CPU.
    """
    maps = upsample_maps(maps.detach().cpu(), gt.size)
    levels = thresholds(maps, gt.area, rules)
    flat = maps.flatten(1).expand(len(gt), -1)
    rows = zip(
        flat.numpy(),
        levels.numpy(),
        gt.values,
        gt.annotated,
        gt.binary.tolist(),
        strict=True,
    )
    sums = []
    for pred, row_levels, values, annotated, binary in rows:
        for rule, level in zip(rules, row_levels, strict=True):
            mask = ALL_RULES[rule].compare(pred, level)
            inside = mask & annotated
            hits = np.count_nonzero(inside)
            # counting bits is far faster than adding numbers up
            weight = hits if binary else values[inside].sum(dtype=np.float64)
            sums.append((weight, np.count_nonzero(mask) - hits))
    sums = torch.tensor(sums, dtype=torch.float64).reshape(len(gt), len(rules), 2)
    return ciou_of_sums(*sums.unbind(-1), gt.total[:, None])


def success_rate(cious: Tensor, threshold: float = 0.5) -> Tensor:
    """Computes CIoU@threshold, the share of samples whose CIoU reaches it.

    ``cious`` are (..., N) in [0, 1], with N > 0; the result is (...) float64 in [0, 1].
    """
    return (cious.double() >= threshold).double().mean(-1)


def auc(cious: Tensor) -> Tensor:
    """Computes the area under the success rate over :data:`AUC_THRESHOLDS`.

    ``cious`` are (..., N) in [0, 1], with N > 0; the result is (...) float64 in [0, 1],
    by the trapezoidal rule.
    """
    rates = torch.stack([success_rate(cious, t) for t in AUC_THRESHOLDS], -1)
    return torch.trapezoid(rates, rates.new_tensor(AUC_THRESHOLDS))


def size_groups(gt: GroundTruth) -> list[str]:
    """Sorts N samples into the size groups of :data:`SIZE_GROUPS`, by name.

    The sum of a ground truth, of any size, is scaled to 224x224.
    """
    areas = gt.total * (224 / gt.size) ** 2
    names = list(SIZE_GROUPS)
    return [
        names[sum(area >= start for start in SIZE_GROUPS.values()) - 1]
        for area in areas.tolist()
    ]
