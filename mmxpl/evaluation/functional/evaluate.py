"""Several models beside the reference rows, in bounded memory."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .ground_truth import GroundTruth
from .reference import reference_cious
from .scoring import score_maps
from .thresholds import RULES


def evaluate_maps(
    maps: Mapping[str, Tensor],
    gt_maps: Tensor,
    rules: Sequence[str] = tuple(RULES),
    prior: Tensor | None = None,
    chunk: int = 32,
) -> dict[str, Tensor]:
    """CIoU of several models' maps with the reference rows of the same samples.

    Args:
        maps (Mapping[str, Tensor]): For each model (N, h, w); the resolution may
            differ between models.
        gt_maps (Tensor): (N, S, S) in [0, 1], with N > 0.
        rules (Sequence[str]): R names out of :data:`ALL_RULES`. Defaults to
            :data:`RULES`.
        prior (Tensor, optional): (S, S), see :func:`reference_cious`.
        chunk (int): How many samples are held at full resolution at once.
            Defaults to 32; the result does not depend on it.

    Returns:
        dict[str, Tensor]: (N, R) float64 for each model under its name and for
        each reference under ``ref/<name>``.
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
