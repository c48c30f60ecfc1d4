"""Scores of frames with several sources, and of images with several sounds."""

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from .ciou import GroundTruth, score_maps, upsample_maps
from .segmentation import pixel_ap

ASSIGNMENTS = ('class', 'permutation', 'shared')


def pairwise_ap(maps: Tensor, gt_maps: Tensor) -> Tensor:
    """Computes the pixel AP, (P, K) float64, of every map against every source.

    ``maps`` are (P, h, w), finite; of ``gt_maps``, (K, S, S), pixels that are not 0 are
    positive. See :func:`pixel_ap`.
    """
    full = upsample_maps(maps.detach().cpu(), gt_maps.shape[-1])
    count, sources = len(full), len(gt_maps)
    found = pixel_ap(
        full.repeat_interleave(sources, 0), gt_maps.detach().cpu().repeat(count, 1, 1)
    )
    return found.reshape(count, sources)


def pairwise_ciou(maps: Tensor, gt_maps: Tensor, rule: str) -> Tensor:
    """Computes CIoU, (P, K) float64 in [0, 1], of every map against every source.

    For ``maps`` and ``gt_maps``, in [0, 1], see :func:`pairwise_ap`; ``rule`` is a key
    of :data:`ALL_RULES`.
    """
    gt = GroundTruth(gt_maps)
    rows = [score_maps(one[None], gt, [rule])[:, 0] for one in maps]
    return torch.stack(rows) if rows else torch.zeros(0, len(gt), dtype=torch.float64)


def assigned_scores(pairwise: Tensor, assignment: str) -> Tensor:
    """Selects the score of each source, (K,), under an assignment of maps to sources.

    - ``'class'``: map k is the prediction for source k (class-aware: CAP).
    - ``'permutation'``: each map serves at most one source, so that the sum of scores
      is largest (class-agnostic: PIAP; the Hungarian method). Sources for which no map
      is left get 0; maps beyond the sources are ignored.
    - ``'shared'``: the only map is scored against every source, for methods that do not
      separate sources.

    Args:
        pairwise (Tensor): (P, K) of maps and sources.
        assignment (str): One of :data:`ASSIGNMENTS`.

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


def worst_of_group(values: Tensor, groups: Sequence[Hashable]) -> Tensor:
    r"""Computes the smallest value of each group: interactive IoU before its threshold.

    An image with sounds :math:`s` counts as interactively localized at a threshold t if
    every one of its sounds does, :math:`\min_s CIoU_s \ge t`. So the success rate of
    these minima is IIoU, and the area under it IAUC (Senocak et al., ICCV 2023;
    ``Evaluator_iiou`` of kaistmm/SSLalignment).

    Args:
        values (Tensor): (N, ...) with N > 0, such as CIoU under R rules (N, R).
        groups (Sequence): N names, equal for samples of one image.

    Returns:
        Tensor: (G, ...) in the order in which the groups appear first.
    """
    numbers: dict[Hashable, int] = {}
    index = torch.tensor([numbers.setdefault(g, len(numbers)) for g in groups])
    worst = values.new_empty(len(numbers), *values.shape[1:])
    index = index.reshape(-1, *[1] * (values.ndim - 1)).expand_as(values)
    # every row is written, since no group is empty
    return worst.scatter_reduce(0, index, values, 'amin', include_self=False)
