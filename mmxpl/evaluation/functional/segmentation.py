"""Maps as segmentations of what sounds (AVSBench's measures)."""

import numpy as np
import torch
from torch import Tensor

from .rows import map_rows

F_THRESHOLDS = torch.linspace(0, 1, 255)
"""Tensor: 0 to 1 in 254 steps, at which AVSBench takes the F-score."""


def mask_iou(masks: Tensor, targets: Tensor) -> Tensor:
    """Intersection over union of masks; their mean is AVSBench's mIoU.

    Where the target is empty, it is the share of pixels that the mask leaves
    empty too (``mask_iou`` of OpenNLPLab/AVSBench, utility.py; Zhou et al., ECCV
    2022). AVSBench adds 1e-7 to the union; it is never 0 here.

    Args:
        masks (Tensor): (N, S, S) bool.
        targets (Tensor): (N, S, S) bool.

    Returns:
        Tensor: (N,) float64 in [0, 1].
    """
    masks, targets = masks.flatten(1), targets.flatten(1)
    intersection = (masks & targets).sum(1)
    union = (masks | targets).sum(1)
    empty = ~targets.any(1)
    intersection = torch.where(empty, (~masks).sum(1), intersection)
    union = torch.where(empty, masks.shape[1], union)
    return intersection.double() / union.double()


def f_scores(maps: Tensor, targets: Tensor, beta2: float = 0.3) -> Tensor:
    r"""F-score of each map at each of :data:`F_THRESHOLDS`.

    .. math:: F = \frac{(1 + \beta^2) P R}{\beta^2 P + R}

    with the pixels that reach the threshold as prediction, and 0 where it is not
    defined. AVSBench averages the curves of the images whose target is not empty
    and reports the highest point, ``f_scores(...).mean(0).max()``
    (``Eval_Fmeasure`` of OpenNLPLab/AVSBench, utility.py).

    Args:
        maps (Tensor): (N, S, S) probabilities in [0, 1].
        targets (Tensor): (N, S, S) bool.
        beta2 (float): Weight of recall, the square of beta. Defaults to 0.3.

    Returns:
        Tensor: (N, 255) float64 in [0, 1].
    """
    if not len(maps):
        return torch.zeros(0, len(F_THRESHOLDS), dtype=torch.float64)
    counts = map_rows(
        _count_passing,
        maps.detach().cpu().float().flatten(1).numpy(),
        targets.detach().cpu().flatten(1).numpy(),
    )
    hits, passing = torch.from_numpy(np.stack(counts)).double().unbind(1)
    total = targets.detach().cpu().flatten(1).sum(1, keepdim=True)
    precision = torch.where(passing > 0, hits / passing, 0.0)
    recall = torch.where(total > 0, hits / total, 0.0)
    score = (1 + beta2) * precision * recall / (beta2 * precision + recall)
    return score.nan_to_num(nan=0.0)


def _count_passing(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """How many target pixels, and pixels, of a row reach each threshold, (2, T)."""
    levels = F_THRESHOLDS.numpy()
    # of the thresholds up to here the pixel reaches every one
    reached = np.searchsorted(levels, pred, side='right')
    sums = [
        np.bincount(r, minlength=len(levels) + 1)[:0:-1].cumsum()[::-1]
        for r in (reached[target], reached)
    ]
    return np.stack(sums)
