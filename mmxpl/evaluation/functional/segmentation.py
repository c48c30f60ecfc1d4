"""Scores of maps as segmentations: AVSBench's mIoU and F-score, and pixel AP."""

import numpy as np
import torch
from torch import Tensor

from mmxpl.utils.parallel import map_in_threads

F_THRESHOLDS = torch.linspace(0, 1, 255)
"""Tensor: 0 to 1 in 254 steps, AVSBench's thresholds of the F-score."""


def mask_iou(masks: Tensor, targets: Tensor) -> Tensor:
    """Computes the IoU of (N, S, S) bool masks; its mean is AVSBench's mIoU.

    Where the target is empty, it is the share of pixels that the mask leaves empty too
    (``mask_iou`` of OpenNLPLab/AVSBench, utility.py; Zhou et al., ECCV 2022). AVSBench
    adds 1e-7 to the union; it is never 0 here. The result is (N,) float64 in [0, 1].
    """
    masks, targets = masks.flatten(1), targets.flatten(1)
    intersection = (masks & targets).sum(1)
    union = (masks | targets).sum(1)
    empty = ~targets.any(1)
    intersection = torch.where(empty, (~masks).sum(1), intersection)
    union = torch.where(empty, masks.shape[1], union)
    return intersection.double() / union.double()


def f_scores(maps: Tensor, targets: Tensor, beta2: float = 0.3) -> Tensor:
    r"""Computes the F-score of each map, (N, 255), at each of :data:`F_THRESHOLDS`.

    .. math:: F = \frac{(1 + \beta^2) P R}{\beta^2 P + R}

    with the pixels that reach the threshold as prediction, and 0 where it is not
    defined. AVSBench averages the curves of the images whose target is not empty and
    reports the highest point, ``f_scores(...).mean(0).max()`` (``Eval_Fmeasure`` of
    OpenNLPLab/AVSBench, utility.py).

    Args:
        maps (Tensor): (N, S, S) probabilities in [0, 1].
        targets (Tensor): (N, S, S) bool.
        beta2 (float): Weight of recall, the square of beta.
    """
    if not len(maps):
        return torch.zeros(0, len(F_THRESHOLDS), dtype=torch.float64)
    maps, targets = maps.detach().cpu().float().flatten(1), targets.cpu().flatten(1)
    rows = zip(maps.numpy(), targets.numpy(), strict=True)
    # rows are few and long, so that threads do not wait for Python's lock
    counts = list(map_in_threads(_count_passing, rows, torch.get_num_threads()))
    hits, passing = torch.from_numpy(np.stack(counts)).double().unbind(1)
    total = targets.sum(1, keepdim=True)
    precision = torch.where(passing > 0, hits / passing, 0.0)
    recall = torch.where(total > 0, hits / total, 0.0)
    score = (1 + beta2) * precision * recall / (beta2 * precision + recall)
    return score.nan_to_num(nan=0.0)


def _count_passing(row: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Counts target pixels, and pixels, of a map that reach each threshold, (2, T)."""
    pred, target = row
    levels = F_THRESHOLDS.numpy()
    # of the thresholds up to here the pixel reaches every one
    reached = np.searchsorted(levels, pred, side='right')
    sums = [
        np.bincount(r, minlength=len(levels) + 1)[:0:-1].cumsum()[::-1]
        for r in (reached[target], reached)
    ]
    return np.stack(sums)


def pixel_ap(maps: Tensor, targets: Tensor) -> Tensor:
    r"""Computes the average precision of each map with every pixel as one decision.

    .. math:: AP = \sum_n (R_n - R_{n-1}) P_n

    over the map's distinct values, pixels of one value together; the same as
    ``sklearn.metrics.average_precision_score`` on the flattened arrays, which is how
    Mix and Localize (Hu et al., CVPR 2022; hxixixh/mix-and-localize, issue 3), NoPrior
    (Kim et al., CVPR 2024) and DenseAV (Hamilton et al., CVPR 2024) take it. Maps are
    (N, S, S), finite; target pixels that are not 0 are positive. The result is (N,)
    float64 in [0, 1], NaN where no pixel is positive, since there is no recall then.
    """
    maps, targets = maps.detach().cpu().flatten(1), targets.cpu().flatten(1).ne(0)
    rows = zip(maps.numpy(), targets.numpy(), strict=True)
    found = list(map_in_threads(_average_precision, rows, torch.get_num_threads()))
    return torch.tensor(found, dtype=torch.float64)


def _average_precision(row: tuple[np.ndarray, np.ndarray]) -> float:
    scores, positive = row
    total = np.count_nonzero(positive)
    if not total:
        return float('nan')
    order = np.argsort(scores)[::-1]
    ordered = scores[order]
    # the last pixel of every run of equal scores
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    hits = np.cumsum(positive[order])[last]
    gained = np.diff(hits, prepend=0) / total
    return float((gained * (hits / (last + 1))).sum())
