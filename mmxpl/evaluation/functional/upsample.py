"""Localization maps to the resolution at which they are scored."""

import torch.nn.functional as F
from torch import Tensor

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


def upsample_maps(
    maps: Tensor, size: int = 224, interpolation: str = 'bilinear'
) -> Tensor:
    """Resize maps, by default bilinearly with aligned corners as EZ-VSL's test does.

    Zeros and ones stay what they are; another flat region may come out with
    differences in the last bit, and then these decide between its pixels, here
    as in the public evaluators. Bicubic results may leave [0, 1].

    Args:
        maps (Tensor): (N, h, w).
        size (int): Side of the result in pixels. Defaults to 224.
        interpolation (str): One of :data:`INTERPOLATIONS`. Defaults to
            ``'bilinear'``.

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
