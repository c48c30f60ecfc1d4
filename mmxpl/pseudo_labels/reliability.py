"""Reliability of pseudo-labels, in [0, 1]."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .pseudo_labeler import exchange

MEASURES = ('agreement', 'confidence', 'stability')


def agreement(labels: Tensor) -> Tensor:
    """Computes the soft IoU of labels: sum of minima over sum of maxima.

    (N, M, h, w) labels in [0, 1] give (N,) in [0, 1]; 0 if all labels are empty.
    """
    low, high = labels.amin(dim=1), labels.amax(dim=1)
    return low.sum(dim=(1, 2)) / high.sum(dim=(1, 2)).clamp_min(1e-6)


def confidence(labels: Tensor) -> Tensor:
    """Computes one minus the mean binary entropy in bits.

    (N, M, h, w) labels in [0, 1] give (N,) in [0, 1]; 1 if every cell is 0 or 1.
    """
    nats = torch.special.entr(labels) + torch.special.entr(1 - labels)
    return 1 - nats.mean(dim=(1, 2, 3)) / torch.log(nats.new_tensor(2.0))


def reliability(labels: Tensor, change: Tensor, measures: Sequence[str]) -> Tensor:
    """Computes the reliability, (N,) in [0, 1], the product of the chosen measures.

    Args:
        labels (Tensor): (N, M, h, w) in [0, 1].
        change (Tensor): (N,), mean absolute change of the label at its last visit, in
            [0, 1]; stability is one minus it.
        measures (Sequence[str]): names out of :data:`MEASURES`.
    """
    score = torch.ones_like(change)
    for measure in measures:
        if measure == 'agreement':
            score = score * agreement(labels)
        elif measure == 'confidence':
            score = score * confidence(labels)
        elif measure == 'stability':
            score = score * (1 - change)
        else:
            raise ValueError(f"reliability measures are {MEASURES}, got '{measure}'.")
    return score


def score_labels(
    maps: Tensor,
    labels: Tensor,
    change: Tensor,
    measures: Sequence[str],
    mode: str = 'cross',
) -> Tensor:
    """Scores the targets of each localizer, (B, M) in [0, 1], for a fixed threshold.

    Agreement and stability are properties of a clip, equal for all localizers.
    Confidence is that of the prediction behind the target, exchanged as the labels are;
    it is computed from the probabilities, since hard labels are always confident.

    Args:
        maps (Tensor): (B, M, h, w) predicted probabilities of M localizers.
        labels (Tensor): (B, M, h, w) labels in [0, 1] before the exchange.
        change (Tensor): see :func:`~.reliability.reliability`, as ``measures``.
        measures (Sequence[str]): measures that are multiplied.
        mode (str): see :func:`~.pseudo_labeler.exchange`.
    """
    of_clip = [measure for measure in measures if measure != 'confidence']
    scores = reliability(labels, change, of_clip).unsqueeze(1)
    if 'confidence' in measures:
        own = [confidence(maps[:, [m]]) for m in range(maps.shape[1])]
        exchanged = exchange(torch.stack(own, dim=1)[..., None, None], mode)
        scores = scores * exchanged[..., 0, 0]
    return scores.expand(maps.shape[:2])
