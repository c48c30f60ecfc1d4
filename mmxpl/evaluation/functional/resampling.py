"""Confidence intervals of scores and significance of differences.

CIoU@t and AUC are means over samples of numbers that depend on one sample alone,
so these numbers are resampled.
"""

from collections.abc import Iterator, Sequence
from math import comb

import numpy as np
import torch
from torch import Tensor

from .ciou import AUC_THRESHOLDS

# number of resampled indices that are held at once
_BLOCK = 2**20


def per_sample_scores(
    cious: Tensor, ciou_thresholds: Sequence[float] = (0.5,)
) -> Tensor:
    """Computes what each sample contributes to CIoU@t, T values of t, and to AUC.

    (N,) CIoU give (N, T + 1) float64 in [0, 1], whose mean over N is
    :func:`success_rate` at each t and, in the last column, :func:`auc`.
    """
    cious = cious.double()[:, None]
    grid = cious.new_tensor(AUC_THRESHOLDS)
    area = torch.trapezoid((cious >= grid).double(), grid)
    hits = (cious >= cious.new_tensor(list(ciou_thresholds))).double()
    return torch.cat([hits, area[:, None]], 1)


def bootstrap_intervals(values: Tensor, resamples: int = 2000, seed: int = 0) -> Tensor:
    """Computes 95 % percentile bootstrap intervals of means over samples.

    Samples are drawn with replacement, the same for every column (Efron & Tibshirani,
    An Introduction to the Bootstrap, 1993). The difference of two models on the same
    samples is resampled in pairs by passing the differences.

    Args:
        values (Tensor): (N, M), M numbers of each sample, with N > 0.
        resamples (int): Number of resamples.
        seed (int): Seed of the draws.

    Returns:
        Tensor: (M, 2) float64, lower and upper end.
    """
    array, rng = values.double().numpy(), np.random.default_rng(seed)
    means = []
    for size in _blocks(resamples, len(array)):
        drawn = rng.integers(len(array), size=(size, len(array)))
        drawn += len(array) * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * len(array))
        means.append(counts.reshape(size, -1) @ array / len(array))
    tail = (1 - 0.95) / 2
    return torch.from_numpy(np.quantile(np.concatenate(means), [tail, 1 - tail], 0).T)


def sign_flip_p_values(
    differences: Tensor, permutations: int = 10000, seed: int = 0
) -> Tensor:
    """Computes two-sided p-values, (M,) in (0, 1], of the means of (N, M) differences.

    If two models were exchangeable, each sample's difference could as well have the
    other sign (Fisher's randomisation test). The observed signs count as one of the
    permutations, so p is never 0.
    """
    array, rng = differences.double().numpy(), np.random.default_rng(seed)
    # sums that are equal but for rounding must count as equal
    observed = np.abs(array.sum(0)) - 1e-9
    reached = np.zeros(array.shape[1])
    for size in _blocks(permutations, len(array)):
        signs = rng.integers(2, size=(size, len(array)), dtype=np.int8)
        sums = (2.0 * signs - 1) @ array
        reached += (np.abs(sums) >= observed).sum(0)
    return torch.from_numpy((reached + 1) / (permutations + 1))


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """Computes the exact two-sided p-value, in (0, 1], of McNemar's test.

    The numbers are of samples at which one model alone succeeds; both 0 give 1.
    """
    total = only_first + only_second
    smaller = min(only_first, only_second)
    tail = sum(comb(total, k) for k in range(smaller + 1))
    return min(1.0, 2 * tail / 2**total)


def _blocks(total: int, row: int) -> Iterator[int]:
    """Splits a number of rows into parts that are small in memory."""
    step = max(_BLOCK // row, 1)
    for start in range(0, total, step):
        yield min(step, total - start)
