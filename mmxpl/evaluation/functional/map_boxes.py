"""Boxes around what a map marks."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

BOX_MODES = ('components', 'largest', 'tight')


class MapBoxes(NamedTuple):
    """Boxes read off one map.

    Attributes:
        bboxes (Tensor): (K, 4) float32, x1 y1 x2 y2 normalised to [0, 1], the
            highest score first.
        scores (Tensor): (K,) float32, highest value within the box's region.
    """

    bboxes: Tensor
    scores: Tensor


def boxes_from_map(
    pred: Tensor,
    threshold: float = 0.5,
    mode: str = 'components',
    normalise: bool = False,
    min_area: float = 0.0,
    connectivity: int = 8,
) -> MapBoxes:
    """Boxes around the region of a map that reaches a threshold.

    Reading boxes off the connected components of a thresholded map is the way of
    class activation maps (Zhou et al., CVPR 2016; Choe et al., CVPR 2020, who
    compare 'largest', normalised by the map's range, over all thresholds).

    Args:
        pred (Tensor): (S, S), finite, at the resolution that boxes should have.
        threshold (float): A pixel belongs to the region if it reaches it.
            Defaults to 0.5.
        mode (str): 'components' gives one box for each connected component,
            'largest' only that of most pixels, 'tight' one box around all.
            Defaults to 'components'.
        normalise (bool): Bring the map's range to [0, 1] before the threshold; a
            flat map then has no box. Scores stay those of the map itself.
            Defaults to False.
        min_area (float): Components of a smaller share of the frame are left
            out. Defaults to 0.
        connectivity (int): 4 or 8 neighbours. Defaults to 8.

    Returns:
        MapBoxes: K may be 0.
    """
    if mode not in BOX_MODES:
        raise ValueError(f'mode must be one of {BOX_MODES}, got {mode!r}.')
    if connectivity not in (4, 8):
        raise ValueError(f'connectivity must be 4 or 8, got {connectivity!r}.')
    values = pred.detach().cpu().float().numpy()
    region = _region(values, threshold, normalise)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        region, connectivity=connectivity
    )
    # number 0 is the background
    kept = 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= min_area * values.size)
    if mode == 'largest':
        kept = kept[np.argsort(-stats[kept, cv2.CC_STAT_AREA], kind='stable')[:1]]
    corners = stats[kept, :4].astype(np.float64)
    corners[:, 2:] += corners[:, :2]
    scores = np.array([values[labels == k].max() for k in kept])
    if mode == 'tight' and len(kept):
        corners = np.concatenate([corners.min(0)[:2], corners.max(0)[2:]])[None]
        scores = scores.max(keepdims=True)
    order = np.argsort(-scores, kind='stable')
    height, width = values.shape
    boxes = corners[order] / np.array([width, height, width, height])
    return MapBoxes(
        torch.from_numpy(boxes.astype(np.float32)),
        torch.from_numpy(scores[order].astype(np.float32)),
    )


def _region(values: np.ndarray, threshold: float, normalise: bool) -> np.ndarray:
    """Pixels that reach the threshold, uint8."""
    if normalise:
        low, high = values.min(), values.max()
        if low == high:
            return np.zeros(values.shape, np.uint8)
        values = (values - low) / (high - low)
    return (values >= threshold).astype(np.uint8)
