"""Average precision with every pixel as one decision."""

import numpy as np
import torch
from torch import Tensor

from .rows import map_rows


def pixel_ap(maps: Tensor, targets: Tensor) -> Tensor:
    r"""Average precision of each map against its mask.

    .. math:: AP = \sum_n (R_n - R_{n-1}) P_n

    over the map's distinct values, pixels of one value together; the same as
    ``sklearn.metrics.average_precision_score`` on the flattened arrays, which is
    how Mix and Localize (Hu et al., CVPR 2022; hxixixh/mix-and-localize, issue
    3), NoPrior (Kim et al., CVPR 2024) and DenseAV (Hamilton et al., CVPR 2024)
    take it.

    Args:
        maps (Tensor): (N, S, S), finite.
        targets (Tensor): (N, S, S); pixels that are not 0 are positive.

    Returns:
        Tensor: (N,) float64 in [0, 1]; NaN where no pixel is positive, since
        there is no recall then.
    """
    if not len(maps):
        return torch.zeros(0, dtype=torch.float64)
    found = map_rows(
        _average_precision,
        maps.detach().cpu().flatten(1).numpy(),
        targets.detach().cpu().flatten(1).ne(0).numpy(),
    )
    return torch.tensor(found, dtype=torch.float64)


def _average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Average precision of one row, (P,) each."""
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
