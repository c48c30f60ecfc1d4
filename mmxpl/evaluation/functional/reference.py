"""Reference rows that give a score its meaning, and models scored beside them."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .ciou import GroundTruth, ciou_of_sums, score_maps
from .thresholds import ALL_RULES, RULES, Rule


def centred_disc(size: int = 224) -> Tensor:
    """Makes a (size, size) map in (0, 1) that grows towards the centre.

    Pixels are ranked by distance (ties in raster order) and the rank is spread over (0,
    1): no two pixels are equal, and a fixed threshold of 0.5 takes half the frame, as
    the median does.
    """
    return _disc(size).clone()


@lru_cache(maxsize=4)
def _disc(size: int) -> Tensor:
    offset = (2 * torch.arange(size) - (size - 1)) ** 2
    distance = (offset[:, None] + offset).flatten()
    disc = torch.empty(size**2, dtype=torch.float64)
    nearest_first = distance.argsort(stable=True)
    disc[nearest_first] = 1 - (torch.arange(size**2).double() + 0.5) / size**2
    return disc.reshape(size, size).float()


def mean_gt_map(gt_maps: Iterable[Tensor]) -> Tensor:
    """Averages (S, S) ground-truth maps in [0, 1], at least one, into a prior.

    Pass the training labels: the mean of the evaluated set itself is fitted to the
    test.
    """
    total, count = 0, 0
    for gt_map in gt_maps:
        total = total + gt_map.double()
        count += 1
    return (total / count).float()


def reference_cious(
    gt: GroundTruth, rules: Sequence[str], prior: Tensor | None = None
) -> dict[str, Tensor]:
    """Computes CIoU of the reference rows under the rules of the models.

    - ``disc``: :func:`centred_disc`, binarised by each rule like a prediction.
    - ``whole``: every pixel positive, whatever the rule.
    - ``prior``: a given map, binarised by each rule like a prediction.
    - ``oracle``: the best mask of as many pixels as the rule gives to a map whose
      pixels all differ: the ground truth's pixels, its highest values first, then
      others. Ties can beat it: under a strict sign a map that is constant over most of
      the frame gets a smaller mask than the rule's name says.

    Args:
        gt (GroundTruth): N samples.
        rules (Sequence[str]): R keys of :data:`ALL_RULES`.
        prior (Tensor, optional): (S, S) probabilities, for example from
            :func:`mean_gt_map`. Without it there is no such row.

    Returns:
        dict[str, Tensor]: (N, R) float64 in [0, 1] for each row.
    """
    whole = ciou_of_sums(gt.total, gt.size**2 - gt.area, gt.total)
    rows = {
        'disc': score_maps(_disc(gt.size)[None], gt, rules),
        'whole': whole[:, None].repeat(1, len(rules)),
    }
    if prior is not None:
        rows['prior'] = score_maps(prior[None], gt, rules)
    rows['oracle'] = torch.stack([_oracle(gt, ALL_RULES[name]) for name in rules], 1)
    return rows


def _oracle(gt: GroundTruth, rule: Rule) -> Tensor:
    """CIoU of the best mask of the rule's number of pixels, (N,)."""
    if rule.rank is None:
        num_positive = gt.area
    else:
        num_positive = gt.size**2 - rule.rank(gt.area, gt.size**2) - int(rule.strict)
    intersection = torch.minimum(num_positive.double(), gt.total)
    # fractional ground truth that does not fit in: its highest values do
    for i in (~gt.binary & (num_positive < gt.area)).nonzero().flatten().tolist():
        ascending = np.sort(gt.values[i])
        best = ascending[len(ascending) - int(num_positive[i]) :]
        intersection[i] = best.sum(dtype=np.float64)
    false_positive = (num_positive - gt.area).clamp(min=0)
    return ciou_of_sums(intersection, false_positive, gt.total)


def evaluate_maps(
    maps: Mapping[str, Tensor],
    gt_maps: Tensor,
    rules: Sequence[str] = tuple(RULES),
    prior: Tensor | None = None,
    chunk: int = 32,
) -> dict[str, Tensor]:
    """Computes CIoU of several models' maps and of the reference rows.

    Args:
        maps (Mapping[str, Tensor]): For each model (N, h, w); the resolution may differ
            between models.
        gt_maps (Tensor): (N, S, S) in [0, 1], with N > 0.
        rules (Sequence[str]): R keys of :data:`ALL_RULES`.
        prior (Tensor, optional): (S, S), see :func:`reference_cious`.
        chunk (int): Number of samples held at full resolution at once, without effect
            on the result.

    Returns:
        dict[str, Tensor]: (N, R) float64 by name for each model, and ``ref/<name>`` for
        each reference.
    """
    parts = []
    for start in range(0, len(gt_maps), chunk):
        part = slice(start, start + chunk)
        gt = GroundTruth(gt_maps[part])
        rows = {name: score_maps(m[part], gt, rules) for name, m in maps.items()}
        references = reference_cious(gt, rules, prior)
        rows |= {f'ref/{name}': values for name, values in references.items()}
        parts.append(rows)
    return {name: torch.cat([rows[name] for rows in parts]) for name in parts[0]}
