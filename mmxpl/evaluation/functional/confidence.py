"""How sure a localization map is that anything sounds."""

import numpy as np
import torch
from torch import Tensor

from .rows import map_rows
from .upsample import upsample_maps


def map_confidence(maps: Tensor, size: int = 224) -> Tensor:
    """Mean of the highest quarter of the upsampled pixels.

    The confidence with which SLAVC (Mo & Morgado, NeurIPS 2022; test.py of
    stoneMo/SLAVC) ranks pairs of its extended sets. SLAVC maps its similarities
    to a fixed range beforehand; probabilities have one already.

    Args:
        maps (Tensor): (N, h, w), finite.
        size (int): Side in pixels to which maps are brought. Defaults to 224.

    Returns:
        Tensor: (N,) float64, in the range of the maps.
    """
    if not len(maps):
        return torch.zeros(0, dtype=torch.float64)
    flat = upsample_maps(maps.detach().cpu(), size).flatten(1)
    return torch.tensor(map_rows(_top_quarter, flat.numpy()), dtype=torch.float64)


def _top_quarter(row: np.ndarray) -> float:
    """Mean of the ceil(P / 4) highest values of a row (P,)."""
    first = len(row) - -(-len(row) // 4)
    return float(np.partition(row, first)[first:].mean(dtype=np.float64))
