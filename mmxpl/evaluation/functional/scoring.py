"""Maps and ground truth to CIoU per sample and rule."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from .ciou import ciou_of_sums
from .ground_truth import GroundTruth
from .thresholds import (
    ALL_RULES,
    RULES,
    order_statistics,
    rule_levels,
    rule_ranks,
    thresholds,
)
from .upsample import upsample_maps


def score_maps(
    maps: Tensor, gt: GroundTruth, rules: Sequence[str] = tuple(RULES)
) -> Tensor:
    """CIoU of localization maps under several rules in one pass.

    The same as ``ciou(binarise(...))``, sample by sample with counts of pixels:
    on a CPU that is several times faster than batched sums, and the result is the
    same for any batch size. Maps on another device are fetched at the resolution
    they have.

    Args:
        maps (Tensor): (N, h, w), finite; probabilities if a rule is ``'fixed'``.
        gt (GroundTruth): The N samples' ground truth, which sets the size.
        rules (Sequence[str]): R names out of :data:`ALL_RULES`. Defaults to
            :data:`RULES`.

    Returns:
        Tensor: (N, R) float64 in [0, 1], on the CPU.
    """
    maps = upsample_maps(maps.detach().cpu(), gt.size)
    levels = thresholds(maps, gt.area, rules)
    return _ciou_at(maps.flatten(1), levels, gt, rules)


def score_shared_map(
    shared: Tensor, gt: GroundTruth, rules: Sequence[str] = tuple(RULES)
) -> Tensor:
    """CIoU of one and the same map on every sample.

    Args:
        shared (Tensor): (S, S), finite; probabilities if a rule is ``'fixed'``.
        gt (GroundTruth): N samples of that size.
        rules (Sequence[str]): R names out of :data:`ALL_RULES`. Defaults to
            :data:`RULES`.

    Returns:
        Tensor: (N, R) float64 in [0, 1], on the CPU.
    """
    flat = shared.detach().cpu().float().reshape(1, -1)
    # all samples look into the same row, so each place is selected once
    places = rule_ranks(gt.area, flat.shape[1], rules)
    unique, back = places.unique(return_inverse=True)
    selected = order_statistics(flat, unique[None])[0]
    levels = rule_levels(flat, selected[back], rules)
    return _ciou_at(flat.expand(len(gt), -1), levels, gt, rules)


def _ciou_at(
    flat: Tensor, levels: Tensor, gt: GroundTruth, rules: Sequence[str]
) -> Tensor:
    """CIoU of flat maps (N, P) at thresholds (N, R)."""
    sums = list(
        map(
            partial(_sums, [ALL_RULES[name].compare for name in rules]),
            flat.numpy(),
            levels.numpy(),
            gt.values,
            gt.annotated,
            gt.binary.tolist(),
        )
    )
    intersection, false_positive = torch.tensor(sums, dtype=torch.float64).unbind(-1)
    return ciou_of_sums(intersection, false_positive, gt.total[:, None])


def _sums(
    comparisons: Sequence[Callable],
    pred: np.ndarray,
    levels: np.ndarray,
    values: np.ndarray,
    annotated: np.ndarray,
    binary: bool,
) -> list[tuple[float, int]]:
    """Intersection and false positives of one sample under each of R rules."""
    sums = []
    for compare, level in zip(comparisons, levels, strict=True):
        mask = compare(pred, level)
        inside = mask & annotated
        hits = np.count_nonzero(inside)
        # counting bits is far faster than adding numbers up
        weight = hits if binary else values[inside].sum(dtype=np.float64)
        sums.append((weight, np.count_nonzero(mask) - hits))
    return sums
