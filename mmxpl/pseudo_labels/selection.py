"""Which pseudo-labels are good enough to be taught."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .exchange import exchange
from .reliability import confidence, reliability


def score_labels(
    maps: Tensor,
    labels: Tensor,
    change: Tensor,
    measures: Sequence[str],
    mode: str = 'cross',
) -> Tensor:
    """Scores what each localizer is about to be taught, for a fixed threshold.

    Agreement and stability are properties of a clip, the same for every
    localizer. Confidence belongs to one prediction: each localizer gets that of
    the prediction its target was made of, handed out as the labels are. It is
    measured on the probabilities, since hard labels are always confident.

    Args:
        maps (Tensor): (B, M, h, w) predicted probabilities of M localizers.
        labels (Tensor): (B, M, h, w) labels in [0, 1] before the exchange.
        change (Tensor): (B,), mean absolute change of the labels at their last
            visit, in [0, 1].
        measures (Sequence[str]): what is multiplied, see
            :func:`~.reliability.reliability`.
        mode (str): see :func:`~.exchange.exchange`. Defaults to 'cross'.

    Returns:
        Tensor: (B, M) in [0, 1].
    """
    of_clip = [measure for measure in measures if measure != 'confidence']
    scores = reliability(labels, change, of_clip).unsqueeze(1)
    if 'confidence' in measures:
        own = [confidence(maps[:, [m]]) for m in range(maps.shape[1])]
        handed_out = exchange(torch.stack(own, dim=1)[..., None, None], mode)
        scores = scores * handed_out[..., 0, 0]
    return scores.expand(maps.shape[:2])
