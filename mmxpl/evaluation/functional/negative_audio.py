"""Scores of maps for sounds that come from nothing in the frame.

Juanola, Haro and Fuentes, A Critical Assessment of Visual Sound Source
Localization Models Including Negative Audio (ICASSP 2025, arXiv 2410.01020; code
xavijuanola/vssl_eval, utils_dir/eval_utils.py).
"""

import numpy as np
import torch
from torch import Tensor

from .ciou import AUC_THRESHOLDS


def active_area(maps: Tensor, threshold: float) -> Tensor:
    """Computes the share of the frame that exceeds a threshold (pIA, less is better).

    Args:
        maps (Tensor): (N, S, S)
        threshold (float): Pixels must exceed it.

    Returns:
        Tensor: (N,) float64 in [0, 1].
    """
    return (maps.flatten(1) > threshold).double().mean(1)


def area_auc(areas: Tensor) -> Tensor:
    """Computes the area under the share of maps whose active area is at most t (AUC_N).

    Over the thresholds of the AUC; 1 if nothing is ever active.

    Args:
        areas (Tensor): (N,) in [0, 1], with N > 0.

    Returns:
        Tensor: () float64 in [0, 1].
    """
    areas = areas.double()
    rates = torch.stack([(areas <= t).double().mean() for t in AUC_THRESHOLDS])
    return torch.trapezoid(rates, rates.new_tensor(AUC_THRESHOLDS))


def harmonic_mean(first: float, second: float) -> float:
    """Computes the harmonic mean, vssl_eval's F-score.

    Args:
        first (float): At least 0.
        second (float): At least 0.

    Returns:
        float: 0 where both are 0.
    """
    total = first + second
    return 2 * first * second / total if total > 0 else 0.0


def universal_threshold(negative_maxima: Tensor, quantile: float = 0.75) -> float:
    """Computes the threshold that most maps of negative sounds stay below.

    Args:
        negative_maxima (Tensor): (N,) highest value of each map whose sound is
            negative, before upsampling, with N > 0.
        quantile (float): Share of them that stays below, in [0, 1].

    Returns:
        float: The quantile, interpolated linearly.
    """
    return float(np.quantile(negative_maxima.double().numpy(), quantile))
