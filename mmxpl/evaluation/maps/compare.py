"""Whether one set of maps is better than another, beyond chance."""

import torch

from ..functional import (
    bootstrap_intervals,
    mcnemar_p_value,
    per_sample_scores,
    sign_flip_p_values,
)
from .score import MapScores


def compare_scores(
    scores: MapScores,
    first: str,
    second: str,
    resamples: int = 2000,
    permutations: int = 10000,
    seed: int = 0,
) -> dict[str, dict]:
    """Paired test of two models on the same samples, under each rule.

    Args:
        scores (MapScores): Of both models.
        first (str): Name of one model.
        second (str): Name of the other; differences are first minus second.
        resamples (int): Of the paired bootstrap.
        permutations (int): Of the sign-flip test.
        seed (int): Seed of both.

    Returns:
        dict[str, dict]: For each rule, under ``CIoU@0.5`` and ``AUC``: both scores
        (``first``, ``second``), their ``difference`` with its 95 % ``interval``,
        in per cent, and ``p_sign_flip``; for CIoU@0.5 also the number of samples
        at which one alone succeeds (``only_first``, ``only_second``) and McNemar's
        exact ``p_mcnemar``. No p-value is corrected for the number of rules.
    """
    values = {
        name: torch.cat(
            [per_sample_scores(column) for column in scores.cious[name].unbind(1)], 1
        )
        for name in (first, second)
    }
    differences = values[first] - values[second]
    intervals = 100 * bootstrap_intervals(differences, resamples, seed)
    p_values = sign_flip_p_values(differences, permutations, seed)
    result: dict[str, dict] = {}
    measures = [(rule, m) for rule in scores.rules for m in ('CIoU@0.5', 'AUC')]
    for k, (rule, measure) in enumerate(measures):
        found = {
            'first': 100 * values[first][:, k].mean().item(),
            'second': 100 * values[second][:, k].mean().item(),
            'difference': 100 * differences[:, k].mean().item(),
            'interval': intervals[k].tolist(),
            'p_sign_flip': p_values[k].item(),
        }
        if measure == 'CIoU@0.5':
            only = [int((s * differences[:, k] > 0).sum()) for s in (1, -1)]
            found |= {
                'only_first': only[0],
                'only_second': only[1],
                'p_mcnemar': mcnemar_p_value(*only),
            }
        result.setdefault(rule, {})[measure] = found
    return result
