"""Scores of several maps against several sources in one frame."""

import numpy as np
import torch
from torch import Tensor

from .ciou import GroundTruth, score_shared_map, upsample_maps
from .segmentation import pixel_ap

ASSIGNMENTS = ('class', 'permutation', 'shared')


def pairwise_ap(maps: Tensor, gt_maps: Tensor) -> Tensor:
    """Computes the pixel average precision of every map against every source.

    Args:
        maps (Tensor): (P, h, w), finite.
        gt_maps (Tensor): (K, S, S); pixels that are not 0 are positive.

    Returns:
        Tensor: (P, K) float64, see :func:`pixel_ap`.
    """
    full = upsample_maps(maps.detach().cpu(), gt_maps.shape[-1])
    count, sources = len(full), len(gt_maps)
    found = pixel_ap(
        full.repeat_interleave(sources, 0), gt_maps.detach().cpu().repeat(count, 1, 1)
    )
    return found.reshape(count, sources)


def pairwise_ciou(maps: Tensor, gt_maps: Tensor, rule: str) -> Tensor:
    """Computes CIoU of every map against every source under one rule.

    Args:
        maps (Tensor): (P, h, w), finite.
        gt_maps (Tensor): (K, S, S) in [0, 1].
        rule (str): A key of :data:`ALL_RULES`.

    Returns:
        Tensor: (P, K) float64 in [0, 1].
    """
    gt = GroundTruth(gt_maps)
    full = upsample_maps(maps.detach().cpu(), gt.size)
    rows = [score_shared_map(one, gt, [rule])[:, 0] for one in full]
    return torch.stack(rows) if rows else torch.zeros(0, len(gt), dtype=torch.float64)


def assigned_scores(pairwise: Tensor, assignment: str) -> Tensor:
    """Selects the score of each source under an assignment of maps to sources.

    - ``'class'``: map k is the prediction for source k (class-aware: CAP).
    - ``'permutation'``: each map serves at most one source, so that the sum of
      scores is largest (class-agnostic: PIAP; the Hungarian method). Sources for
      which no map is left get 0; maps beyond the sources are ignored.
    - ``'shared'``: the only map is scored against every source, for methods that
      do not separate sources.

    Args:
        pairwise (Tensor): (P, K) of maps and sources.
        assignment (str): One of :data:`ASSIGNMENTS`.

    Returns:
        Tensor: (K,)

    Raises:
        ValueError: If the assignment is unknown or P does not suit it.
    """
    count, sources = pairwise.shape
    if assignment == 'permutation':
        # SciPy comes with mmdet; its import takes a while
        from scipy.optimize import linear_sum_assignment

        scores = pairwise.new_zeros(sources)
        chosen, source = linear_sum_assignment(np.asarray(pairwise), maximize=True)
        scores[source] = pairwise[chosen, source]
        return scores
    expected = {'class': sources, 'shared': 1}.get(assignment)
    if expected is None:
        raise ValueError(f'assignment must be one of {ASSIGNMENTS}, got {assignment!r}')
    if count != expected:
        raise ValueError(
            f"assignment '{assignment}' takes {expected} maps for {sources} sources, "
            f'got {count}'
        )
    return pairwise.diagonal() if assignment == 'class' else pairwise[0]
