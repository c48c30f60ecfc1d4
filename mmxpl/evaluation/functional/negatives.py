"""Scores of sounds without a visible source: extended sets and negative audio.

Extended sets (``EvaluatorFull`` of stoneMo/SLAVC, utils.py): at a threshold on the
confidence, a pair without visible source that passes is a false positive, and nothing
otherwise. A pair with one that passes is a true positive if its CIoU reaches 0.5 and a
false positive if not; one that does not pass is a false negative.

Negative audio: Juanola, Haro and Fuentes, A Critical Assessment of Visual Sound Source
Localization Models Including Negative Audio (ICASSP 2025, arXiv 2410.01020; code
xavijuanola/vssl_eval, utils_dir/eval_utils.py).
"""

import numpy as np
import torch
from torch import Tensor

from .ciou import AUC_THRESHOLDS, upsample_maps


def map_confidence(maps: Tensor, size: int = 224) -> Tensor:
    """Computes the mean of the highest quarter of the pixels, upsampled to ``size``.

    The confidence with which SLAVC (Mo & Morgado, NeurIPS 2022; test.py of
    stoneMo/SLAVC) ranks pairs of its extended sets. SLAVC maps its similarities to a
    fixed range beforehand; probabilities have one already. (N, h, w) finite maps give
    (N,) float64.
    """
    flat = upsample_maps(maps.detach().cpu(), size).flatten(1).numpy()
    first = 3 * flat.shape[1] // 4
    means = [np.partition(r, first)[first:].mean(dtype=np.float64) for r in flat]
    return torch.tensor(means, dtype=torch.float64)


def precision_recall(
    confidences: Tensor, cious: Tensor, visible: Tensor, thresholds: Tensor
) -> tuple[Tensor, Tensor]:
    """Computes precision and recall at thresholds on the confidence.

    Args:
        confidences (Tensor): (N,) float, finite.
        cious (Tensor): (N,) in [0, 1]; a pair is localized from 0.5 on. Ignored where
            nothing is visible.
        visible (Tensor): (N,) bool, whether the source is in the frame.
        thresholds (Tensor): (T,) of the dtype of ``confidences``; a pair passes if
            it reaches one.

    Returns:
        tuple[Tensor, Tensor]: (T,) float64 each, in [0, 1]. Precision is 1 where
        nothing passes, recall is 1 where nothing is visible.
    """
    hit = visible & (cious >= 0.5)
    true_positive = _count_passing(confidences[hit], thresholds)
    positive = _count_passing(confidences, thresholds)
    false_negative = visible.sum() - _count_passing(confidences[visible], thresholds)
    found = true_positive + false_negative
    precision = torch.where(positive > 0, true_positive / positive, 1.0)
    return precision, torch.where(found > 0, true_positive / found, 1.0)


def extended_ap(confidences: Tensor, cious: Tensor, visible: Tensor) -> Tensor:
    r"""Computes average precision over about 200 confidences, as SLAVC does.

    Thresholds are every ``max(1, N // 200)``-th confidence, downwards from the second
    highest, and

    .. math:: AP = \sum_i \max_{j \ge i} P_j \, (R_{i+1} - R_i)

    The part before the first threshold counts nothing, so confidences that are all
    equal give 0. For the arguments, (N,) each, see :func:`precision_recall`; the result
    is () float64 in [0, 1].
    """
    step = max(1, len(confidences) // 200)
    thresholds = confidences.sort().values[:-1].flip(0)[::step]
    precision, recall = precision_recall(confidences, cious, visible, thresholds)
    if len(recall) < 2:
        return recall.new_zeros(())
    envelope = precision.flip(0).cummax(0).values.flip(0)
    return (envelope[:-1] * recall.diff()).sum()


def max_f1(confidences: Tensor, cious: Tensor, visible: Tensor) -> Tensor:
    """Computes the best F1 over the deciles of the confidence, as SLAVC does.

    Thresholds are every ``max(1, N // 10)``-th confidence, upwards from the lowest. For
    the arguments, (N,) each with N > 0, see :func:`precision_recall`; the result is ()
    float64 in [0, 1].
    """
    thresholds = confidences.sort().values[:: max(1, len(confidences) // 10)]
    precision, recall = precision_recall(confidences, cious, visible, thresholds)
    total = precision + recall
    return torch.where(total > 0, 2 * precision * recall / total, 0.0).max()


def localization_accuracy(cious: Tensor, visible: Tensor) -> Tensor:
    """Computes the share of pairs with a visible source whose CIoU exceeds 0.5.

    SLAVC's ``precision_at_50``: the comparison is strict, that of the average precision
    is not. For the arguments, (N,) each, see :func:`precision_recall`; the result is ()
    float64 in [0, 1], NaN where nothing is visible.
    """
    return (cious[visible] > 0.5).double().mean()


def _count_passing(values: Tensor, thresholds: Tensor) -> Tensor:
    """Counts the values (M,) that reach each threshold (T,), float64."""
    below = torch.searchsorted(values.sort().values, thresholds.contiguous())
    return (len(values) - below).double()


def active_area(maps: Tensor, threshold: float) -> Tensor:
    """Computes the share of the frame that exceeds a threshold (pIA, less is better).

    (N, S, S) maps give (N,) float64 in [0, 1].
    """
    return (maps.flatten(1) > threshold).double().mean(1)


def area_auc(areas: Tensor) -> Tensor:
    """Computes the area under the share of maps whose active area is at most t (AUC_N).

    ``areas`` are (N,) in [0, 1], with N > 0; t are the thresholds of the AUC. The
    result is () float64 in [0, 1], 1 if nothing is ever active.
    """
    areas = areas.double()
    rates = torch.stack([(areas <= t).double().mean() for t in AUC_THRESHOLDS])
    return torch.trapezoid(rates, rates.new_tensor(AUC_THRESHOLDS))


def harmonic_mean(first: float, second: float) -> float:
    """Computes the harmonic mean, vssl_eval's F-score; 0 where both numbers are 0."""
    total = first + second
    return 2 * first * second / total if total > 0 else 0.0


def universal_threshold(negative_maxima: Tensor, quantile: float = 0.75) -> float:
    """Computes the quantile, a threshold that most maps of negative sounds stay below.

    ``negative_maxima`` are (N,) highest values of the maps before upsampling, with N >
    0.
    """
    return float(np.quantile(negative_maxima.double().numpy(), quantile))
