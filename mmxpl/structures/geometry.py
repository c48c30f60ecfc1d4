"""Affine transforms of views, and maps of boxes.

One affine per sample warps image, ground truth and pseudo-label alike. It maps
coordinates of the augmented view to coordinates of the canonical frame, both
normalised to [-1, 1] over the whole frame (``align_corners=False``), so the
same numbers serve a 224-pixel image and a 14-cell map.

Boxes are rasterized pixel for pixel as in the public evaluators.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmxpl.utils import DataError

Boxes = Tensor | np.ndarray | Sequence

FRAME = 256
"""int: side of the square frame, in pixels, in which Flickr-SoundNet is annotated."""


def compose_affine(center: Tensor, scale: Tensor, flip: Tensor) -> Tensor:
    """Builds the affine (B, 2, 3), augmented to canonical coordinates, of a crop.

    ``center`` is (B, 2), x and y of the crop's centre in [-1, 1]; ``scale`` (B, 2), its
    width and height as a share of the frame's, in (0, 1]; ``flip`` (B,) bool, whether
    the view is mirrored left to right.
    """
    theta = scale.new_zeros(len(scale), 2, 3)
    theta[:, 0, 0] = torch.where(flip, -scale[:, 0], scale[:, 0])
    theta[:, 1, 1] = scale[:, 1]
    theta[:, :, 2] = center
    return theta


def invert_affine(theta: Tensor) -> Tensor:
    """Inverts affines of shape (B, 2, 3)."""
    linear = torch.linalg.inv(theta[:, :, :2])
    return torch.cat([linear, -linear @ theta[:, :, 2:]], dim=2)


def warp(images: Tensor, theta: Tensor) -> Tensor:
    """Resamples images or maps (B, C, H, W) bilinearly under one affine each.

    ``theta`` are (B, 2, 3), output to input coordinates. Outside the input its border
    is repeated.
    """
    grid = _sampling_grid(theta, images.shape[2:]).to(images)
    return F.grid_sample(images, grid, padding_mode='border', align_corners=False)


def visible_cells(theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Finds the cells of the output of :func:`warp` whose centre lies inside its input.

    ``size`` is height and width of the output; the result is (B, h, w) bool.
    """
    return (_sampling_grid(theta, size).abs() <= 1).all(dim=-1)


def _sampling_grid(theta: Tensor, size: Sequence[int]) -> Tensor:
    """Finds where each pixel of the output of an affine lies in its input.

    The result, (B, h, w, 2), equals that of PyTorch's ``affine_grid``, which multiplies
    matrices: on the CPU that takes as long as the interpolation itself.
    """
    grid = theta.new_empty(len(theta), *size, 2)
    # centres of the rows and of the columns
    y, x = ((2 * torch.arange(n, device=theta.device) + 1) / n - 1 for n in size)
    for axis, (from_x, from_y, shift) in enumerate(theta.permute(1, 2, 0)[..., None]):
        across, down = from_x * x + shift, from_y * y
        torch.add(across[:, None], down[:, :, None], out=grid[..., axis])
    return grid


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


def rasterize_consensus(annotators: Sequence[Boxes], size: int = 224) -> Tensor:
    """Rasterizes the consensus of several annotators (Flickr-SoundNet).

    Coordinates become ``int(size * v / FRAME)``. Every box adds one half and the
    sum is clipped to 1: a pixel counts fully where two boxes meet and half where
    there is one (Senocak et al. 2018; the boxes of one annotator are added like
    those of several, as EZ-VSL and SLAVC do).

    Args:
        annotators (Sequence): For each annotator the boxes, (K, 4) or one box
            (4,), x1 y1 x2 y2 in pixels of a frame of side :data:`FRAME`; may be empty.
        size (int): Side of the map in pixels.

    Returns:
        Tensor: (size, size) float32, one of 0, 0.5 and 1.

    Raises:
        DataError: If boxes are not (K, 4) or a coordinate is NaN.
    """
    gt_map = torch.zeros(size, size)
    for boxes in annotators:
        corners = (size * _as_corners(boxes) / FRAME).clamp(0, size)
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
