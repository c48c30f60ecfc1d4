"""Several sources in one frame, each with its own ground truth."""

import numpy as np
import torch
from torch import Tensor

from .ground_truth import GroundTruth
from .pixel_ap import pixel_ap
from .scoring import score_maps
from .upsample import upsample_maps

ASSIGNMENTS = ('class', 'permutation', 'shared')


def pairwise_ap(maps: Tensor, gt_maps: Tensor) -> Tensor:
    """Pixel average precision of every map against every source.

    Args:
        maps (Tensor): (P, h, w), finite.
        gt_maps (Tensor): (K, S, S); what is not 0 is positive.

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
    """CIoU of every map against every source under one rule.

    Args:
        maps (Tensor): (P, h, w), finite.
        gt_maps (Tensor): (K, S, S) in [0, 1].
        rule (str): Name out of :data:`RULES`.

    Returns:
        Tensor: (P, K) float64 in [0, 1].
    """
    gt = GroundTruth(gt_maps)
    rows = [score_maps(m.expand(len(gt), -1, -1), gt, [rule])[:, 0] for m in maps]
    return torch.stack(rows) if rows else torch.zeros(0, len(gt), dtype=torch.float64)


def assigned_scores(pairwise: Tensor, assignment: str) -> Tensor:
    """Score of each source under an assignment of maps to sources.

    - ``'class'``: map k is the prediction for source k (class-aware: CAP).
    - ``'permutation'``: each map serves at most one source, so that the sum of
      scores is largest (class-agnostic: PIAP; the Hungarian method). Sources for
      which no map is left get 0, and maps beyond the sources count nothing.
    - ``'shared'``: the only map is held against every source, which is all that
      a method without notion of sources can offer.

    Args:
        pairwise (Tensor): (P, K) of maps and sources.
        assignment (str): One of :data:`ASSIGNMENTS`.

    Returns:
        Tensor: (K,)

    Raises:
        ValueError: If P does not suit the assignment.
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
