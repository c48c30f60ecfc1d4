"""Localization maps to the resolution at which they are scored."""

import torch.nn.functional as F
from torch import Tensor


def upsample_maps(maps: Tensor, size: int = 224) -> Tensor:
    """Resize maps bilinearly with aligned corners, as EZ-VSL's test does.

    Zeros and ones stay what they are; another flat region may come out with
    differences in the last bit, and then these decide between its pixels, here
    as in the public evaluators.

    Args:
        maps (Tensor): (N, h, w).
        size (int): Side of the result in pixels. Defaults to 224.

    Returns:
        Tensor: (N, size, size) float32; the input itself if it is that already.
    """
    maps = maps.float()
    if maps.shape[1:] == (size, size):
        return maps
    return F.interpolate(
        maps[:, None], (size, size), mode='bilinear', align_corners=True
    )[:, 0]
