"""Consensus intersection over union and what is read off it."""

import torch
from torch import Tensor

AUC_THRESHOLDS = tuple(0.05 * i for i in range(21))
"""tuple[float]: 0, 0.05 ... 1 as the public evaluators compute them; some are
one unit in the last place above the decimal number."""


def ciou(masks: Tensor, gt_maps: Tensor) -> Tensor:
    r"""Consensus intersection over union of masks with soft ground truth.

    .. math:: \frac{\sum A g}{\sum g + \sum A [g = 0]}

    for a mask :math:`A` and a ground truth :math:`g` (Senocak et al. 2018).
    :func:`mmxpl.evaluation.functional.score_maps` gives the same from maps, and
    faster.

    Args:
        masks (Tensor): (N, S, S) or, for several masks a sample, (N, R, S, S);
            0 or 1, or bool.
        gt_maps (Tensor): (N, S, S) in [0, 1].

    Returns:
        Tensor: (N,) or (N, R) float64 in [0, 1]; 0 where mask and ground truth
        are both empty, which the formula leaves open.
    """
    flat = masks.flatten(-2).double()
    gt = gt_maps.flatten(1).double()
    if masks.ndim == 4:
        gt = gt[:, None]
    return ciou_of_sums((flat * gt).sum(-1), (flat * (gt == 0)).sum(-1), gt.sum(-1))


def ciou_of_sums(intersection: Tensor, false_positive: Tensor, total: Tensor) -> Tensor:
    """CIoU from the three sums of :func:`ciou`.

    Args:
        intersection (Tensor): Sum of A g, of any shape, float64.
        false_positive (Tensor): Sum of A [g = 0].
        total (Tensor): Sum of g.

    Returns:
        Tensor: Of the common shape; 0 where the union is empty.
    """
    union = total + false_positive
    return torch.where(union > 0, intersection / union, 0.0)


def success_rate(cious: Tensor, threshold: float = 0.5) -> Tensor:
    """Share of samples whose CIoU reaches a threshold: CIoU@threshold.

    Args:
        cious (Tensor): (..., N) in [0, 1], with N > 0.
        threshold (float): Defaults to 0.5.

    Returns:
        Tensor: (...) float64 in [0, 1].
    """
    return (cious.double() >= threshold).double().mean(-1)


def auc(cious: Tensor) -> Tensor:
    """Area under the success rate over :data:`AUC_THRESHOLDS` by trapezoids.

    Args:
        cious (Tensor): (..., N) in [0, 1], with N > 0.

    Returns:
        Tensor: (...) float64 in [0, 1].
    """
    rates = torch.stack([success_rate(cious, t) for t in AUC_THRESHOLDS], -1)
    return torch.trapezoid(rates, rates.new_tensor(AUC_THRESHOLDS))
