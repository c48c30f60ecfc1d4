"""Rules that turn a localization map into a mask.

Published scores differ by rule and by comparison sign, so each has a name here
and the names are part of every score's key.
"""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Rule:
    """Binarisation of a map as one protocol does it.

    Attributes:
        about (str): The threshold in words.
        strict (bool): Whether a pixel must exceed the threshold (``>``) or may
            equal it (``>=``).
        rank (Callable, optional): Takes the number of non-zero ground-truth
            pixels (N,) and the number of pixels in the map; returns the
            threshold's index (N,) among the map's pixels in ascending order.
        level (float, optional): The threshold itself, for maps of probabilities;
            used where there is no ``rank``.
        minmax (bool): Whether ``level`` applies after the map's values are
            stretched to [0, 1]. A constant map then has an empty mask.
        logit (bool): Whether it is the log-odds that are stretched, of probabilities
            in [1e-6, 1 - 1e-6].
        keep_maximum (bool): Whether the map's maximum is positive even where the
            threshold equals it, in spite of the strict sign.
    """

    about: str
    strict: bool
    rank: Callable[[Tensor, int], Tensor] | None = None
    level: float | None = None
    minmax: bool = False
    logit: bool = False
    keep_maximum: bool = False

    @property
    def sign(self) -> str:
        """str: the comparison, ``'>'`` or ``'>='``."""
        return '>' if self.strict else '>='

    @property
    def compare(self) -> Callable:
        """Callable: the comparison of map and threshold."""
        return operator.gt if self.strict else operator.ge


def _median_rank(gt_area: Tensor, num_pixels: int) -> Tensor:
    return torch.full_like(gt_area, num_pixels // 2)


def _adaptive_rank(gt_area: Tensor, num_pixels: int) -> Tensor:
    # SSLalignment falls back to the median where nothing is annotated
    return torch.where(gt_area > 0, num_pixels - gt_area, num_pixels // 2)


RULES = {
    # EZ-VSL, FNAC, SLAVC
    'median': Rule('upper median', strict=False, rank=_median_rank),
    # LVS, SSL-TIE, SSLalignment
    'median_strict': Rule('upper median', strict=True, rank=_median_rank),
    # cIoU-adap of SSLalignment: the strict sign leaves k - 1 pixels, fewer where
    # they tie
    'adaptive': Rule('k-th largest for k GT pixels', strict=True, rank=_adaptive_rank),
    # the probability itself
    'fixed': Rule('probability 0.5', strict=False, level=0.5),
}
"""dict[str, Rule]: the rules by name that every evaluation uses."""

SWEEP = tuple(f'fixed_{0.05 * i:.2f}' for i in range(1, 20))
"""tuple[str]: the rules of ACL-SSL's sweep, thresholds 0.05, 0.10 ... 0.95."""

ALL_RULES = RULES | {
    # SSPL
    'fixed_minmax': Rule('0.5 after min-max', strict=False, level=0.5, minmax=True),
    # the same of the similarities if their log-odds are an affine function of them
    'fixed_minmax_logit': Rule(
        'log-odds 0.5 after min-max', strict=False, level=0.5, minmax=True, logit=True
    ),
    # LVS and SSL-TIE set what exceeds the median to 1, then what is below 1 to 0;
    # the maximum is 1 by then
    'median_lvs': Rule(
        'upper median, and the maximum always in',
        strict=True,
        rank=_median_rank,
        keep_maximum=True,
    ),
    **{
        name: Rule(f'probability {name[6:]}', strict=False, level=float(name[6:]))
        for name in SWEEP
    },
}
"""dict[str, Rule]: :data:`RULES` and those that only some protocols use."""


def order_statistics(values: Tensor, ranks: Tensor) -> Tensor:
    """Selects values by their index, (N, R) in [0, P), in each row's ascending order.

    ``values`` are (N, P), finite; the result, (N, R), has their dtype and device.
    """
    found = list(map(_select, values.detach().cpu().numpy(), ranks.tolist()))
    return torch.from_numpy(np.stack(found)).to(values.device)


# prime, so that a sample of every 31st pixel is of all columns
_STRIDE = 31


def _select(row: np.ndarray, ranks: list[int]) -> list[np.generic]:
    """Selects from one row, (P,), the values of R ranks.

    Each rank is looked for among the values between two that enclose it in a sorted
    sample (Floyd & Rivest, CACM 18(3), 1975), and among all where they do not.
    """
    sample = np.sort(row[::_STRIDE])
    found = {rank: _select_one(row, rank, sample) for rank in set(ranks)}
    return [found[rank] for rank in ranks]


def _select_one(row: np.ndarray, rank: int, sample: np.ndarray) -> np.generic:
    """Selects one value from a row by its rank, with a sorted sample of the row."""
    place = rank * len(sample) // len(row)
    # 1.5 standard deviations of the place at most; maps are smooth, which a sample at
    # regular distances gains from
    margin = math.ceil(0.75 * math.sqrt(len(sample)))
    low = sample[place - margin] if place >= margin else -np.inf
    high = sample[place + margin] if place + margin < len(sample) else np.inf
    # equal values, of a map that is flat in places, make partition slow
    part = row[(row > low) & (row < high)]
    rank_in_part = rank - np.count_nonzero(row <= low)
    if not 0 <= rank_in_part < len(part):
        for value in (low, high):
            if np.count_nonzero(row < value) <= rank < np.count_nonzero(row <= value):
                return value
        part, rank_in_part = row.copy(), rank
    part.partition(rank_in_part)
    return part[rank_in_part]


def thresholds(maps: Tensor, gt_area: Tensor, rules: Sequence[str]) -> Tensor:
    """Computes the threshold of each map under each rule, (N, R) float32.

    Args:
        maps (Tensor): (N, S, S) float32, or (1, S, S) for one map that all N samples
            share; finite; probabilities if a rule is ``'fixed'``.
        gt_area (Tensor): (N,) int64, number of non-zero ground-truth pixels.
        rules (Sequence[str]): R keys of :data:`ALL_RULES`.
    """
    flat = maps.flatten(1)
    used = [ALL_RULES[name] for name in rules]
    ranks = [rule.rank(gt_area, flat.shape[1]) for rule in used if rule.rank]
    if ranks:
        places = torch.stack(ranks, 1)
        selected = order_statistics(flat, places.reshape(len(flat), -1))
        columns = iter(selected.reshape(places.shape).unbind(1))
    if any(rule.minmax or rule.keep_maximum for rule in used):
        low, high = flat.aminmax(dim=1)
    levels = []
    for rule in used:
        if rule.rank:
            level = next(columns)
        elif rule.minmax:
            ends = torch.stack([low, high]).double()
            ends = torch.logit(ends, eps=1e-6) if rule.logit else ends
            middle = torch.lerp(*ends, rule.level)
            middle = middle.sigmoid() if rule.logit else middle
            level = torch.where(high > low, middle.float(), torch.inf)
        else:
            level = torch.tensor(rule.level, device=flat.device)
        if rule.keep_maximum:
            below = level.nextafter(level.new_tensor(-torch.inf))
            level = torch.where(level == high, below, level)
        levels.append(level.expand(len(gt_area)))
    return torch.stack(levels, 1)


def binarise(maps: Tensor, levels: Tensor, rules: Sequence[str]) -> Tensor:
    """Turns (N, S, S) maps into (N, R, S, S) bool masks under several rules.

    ``levels``, (N, R), are from :func:`thresholds`; the rules give the comparison
    signs.
    """
    masks = [
        ALL_RULES[name].compare(maps, levels[:, i, None, None])
        for i, name in enumerate(rules)
    ]
    return torch.stack(masks, 1)
