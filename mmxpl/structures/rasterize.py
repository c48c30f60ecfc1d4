"""Rasterization of boxes, pixel for pixel as in the public evaluators."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmxpl.utils import DataError

Boxes = Tensor | np.ndarray | Sequence


def rasterize_boxes(boxes: Boxes, size: int = 224) -> Tensor:
    """Rasterizes the union of normalised boxes.

    Coordinates are clipped to [0, 1] and become ``int(size * v)``; a box covers
    the pixels from its first corner up to, not including, its second one. This
    is the ground truth of VGG-SS in EZ-VSL, SLAVC, FNAC and SSLalignment. A box
    that is empty after clipping covers nothing.

    Args:
        boxes (Tensor | ndarray | Sequence): (N, 4) x1 y1 x2 y2, nominally in
            [0, 1]; N may be 0.
        size (int): Side of the map in pixels.

    Returns:
        Tensor: (size, size) float32, 0 or 1.

    Raises:
        DataError: If the shape is not (N, 4) or a coordinate is NaN.
    """
    gt_map = torch.zeros(size, size)
    for x1, y1, x2, y2 in (_as_corners(boxes).clamp(0, 1) * size).long().tolist():
        gt_map[y1:y2, x1:x2] = 1
    return gt_map


def rasterize_consensus(
    annotators: Sequence[Boxes], size: int = 224, frame: int = 256
) -> Tensor:
    """Rasterizes the consensus of several annotators (Flickr-SoundNet).

    Coordinates become ``int(size * v / frame)``. Every box adds one half and the
    sum is clipped to 1: a pixel counts fully where two boxes meet and half where
    there is one (Senocak et al. 2018; the boxes of one annotator are added like
    those of several, as EZ-VSL and SLAVC do).

    Args:
        annotators (Sequence): For each annotator the boxes, (K, 4) or one box
            (4,), x1 y1 x2 y2 in pixels of the annotation frame; may be empty.
        size (int): Side of the map in pixels.
        frame (int): Side of the annotation frame in pixels.

    Returns:
        Tensor: (size, size) float32, one of 0, 0.5 and 1.

    Raises:
        DataError: If boxes are not (K, 4) or a coordinate is NaN.
    """
    gt_map = torch.zeros(size, size)
    for boxes in annotators:
        corners = (size * _as_corners(boxes) / frame).clamp(0, size)
        for x1, y1, x2, y2 in corners.long().tolist():
            gt_map[y1:y2, x1:x2] += 0.5
    return gt_map.clamp_(max=1)


def _as_corners(boxes: Boxes) -> Tensor:
    """Converts boxes to (N, 4) float64, in which the public code truncates."""
    corners = torch.as_tensor(boxes, dtype=torch.float64)
    if corners.numel() == 0:
        return corners.reshape(0, 4)
    if corners.ndim == 1:
        corners = corners[None]
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise DataError(
            f'Boxes must be (N, 4), x1 y1 x2 y2, but have the shape '
            f'{tuple(corners.shape)}: check the field that holds them.'
        )
    if corners.isnan().any():
        raise DataError(
            f'A box has a coordinate that is no number ({corners.tolist()}): '
            'correct or remove it in the annotations.'
        )
    return corners
