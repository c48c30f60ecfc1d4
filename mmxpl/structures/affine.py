"""Affine transforms between an augmented view and the canonical frame.

One affine per sample warps image, ground truth and pseudo-label alike. It maps
coordinates of the augmented view to coordinates of the canonical frame, both
normalised to [-1, 1] over the whole frame (``align_corners=False``), so the
same numbers serve a 224-pixel image and a 14-cell map.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def compose_affine(center: Tensor, scale: Tensor, flip: Tensor) -> Tensor:
    """Builds the affine of a crop with an optional horizontal flip.

    Args:
        center (Tensor): (B, 2), x and y of the crop's centre in [-1, 1].
        scale (Tensor): (B, 2), width and height of the crop as a share of the
            frame's, in (0, 1].
        flip (Tensor): (B,) bool, whether the view is mirrored left to right.

    Returns:
        Tensor: (B, 2, 3), augmented to canonical coordinates.
    """
    theta = scale.new_zeros(len(scale), 2, 3)
    theta[:, 0, 0] = torch.where(flip, -scale[:, 0], scale[:, 0])
    theta[:, 1, 1] = scale[:, 1]
    theta[:, :, 2] = center
    return theta


def invert_affine(theta: Tensor) -> Tensor:
    """Inverts affines.

    Args:
        theta (Tensor): (B, 2, 3).

    Returns:
        Tensor: (B, 2, 3), the way back.
    """
    linear = torch.linalg.inv(theta[:, :, :2])
    return torch.cat([linear, -linear @ theta[:, :, 2:]], dim=2)


def warp(images: Tensor, theta: Tensor) -> Tensor:
    """Resamples images or maps bilinearly under one affine each.

    Args:
        images (Tensor): (B, C, H, W).
        theta (Tensor): (B, 2, 3), output to input coordinates.

    Returns:
        Tensor: (B, C, H, W). Outside the input its border is repeated.
    """
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(
        images, grid.to(images), padding_mode='border', align_corners=False
    )


def visible_cells(theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Finds the cells of the output of :func:`warp` that lie inside its input.

    Args:
        theta (Tensor): (B, 2, 3), output to input coordinates.
        size (tuple[int, int]): Height and width of the output.

    Returns:
        Tensor: (B, h, w) bool, True where the cell's centre is inside.
    """
    grid = F.affine_grid(theta, [len(theta), 1, *size], align_corners=False)
    return (grid.abs() <= 1).all(dim=-1)
